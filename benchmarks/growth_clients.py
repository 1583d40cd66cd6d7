"""Benchmark `growth_clients`: what the server spends on clients that ask at once, against their number.

Each client is a thread of one process that asks for `/info/`, the readiness and the list of jobs in turn, thirty times,
over a connection of its own; the server is as it is installed, with one idle worker. Seconds and CPU seconds are those
in which all clients were served; memory is how much the server itself had grown at the end.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests

from benchmarks.growth import MIB, Point, grown
from benchmarks.server_load_large import store_network
from tests.support.server import FRUGAL, START_SECONDS, Server

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
QUICK = (1, 2, 4, 8)
ROUNDS = 30
ASKED = ("/info/", "/health/ready", "/explain/jobs")


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure. Returns figures, rows and notes."""
    del data, out
    points, delays = [], []
    with tempfile.TemporaryDirectory(prefix="growth-clients-") as name:
        server = Server(Path(name), None, None, **FRUGAL)
        store_network(server, "tiny", spacing=3.0, features=(4, 8), patch=16)
        with server:
            process = psutil.Process(server.process.pid)
            _wait_until_ready(server.url)
            served(server.url, CLIENTS[0])
            for clients in QUICK if quick else CLIENTS:
                held, started, used = process.memory_info().rss, time.perf_counter(), sum(process.cpu_times()[:2])
                found = served(server.url, clients)
                seconds, cpu_seconds = time.perf_counter() - started, sum(process.cpu_times()[:2]) - used
                points.append(Point(clients, seconds, cpu_seconds, process.memory_info().rss - held))
                delays.append(np.quantile(found, (0.5, 0.95)) * 1000)
    grown_by = sum(point.memory for point in points)
    result = grown("clients", "clients", points, memory=False)
    for row, (middle, late) in zip(result["rows"], delays, strict=True):
        row.update({"p50 ms": float(middle), "p95 ms": float(late)})
    result["figures"]["server_grown_mib"] = grown_by / MIB
    return result


def served(url: str, clients: int) -> list[float]:
    """Seconds of every answer to so many clients at once. Raises for an answer that is an error."""
    with ThreadPoolExecutor(clients) as pool:
        return [seconds for found in pool.map(_client, [url] * clients) for seconds in found]


def _wait_until_ready(url: str) -> None:
    """Its worker lives, too. Raises `TimeoutError`."""
    deadline = time.monotonic() + START_SECONDS
    while requests.get(f"{url}/health/ready", timeout=60).status_code != requests.codes.ok:
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.2)


def _client(url: str) -> list[float]:
    found = []
    with requests.Session() as session:
        for path in ASKED * ROUNDS:
            started = time.perf_counter()
            session.get(url + path, timeout=60).raise_for_status()
            found.append(time.perf_counter() - started)
    return found
