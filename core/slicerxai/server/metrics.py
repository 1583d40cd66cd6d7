"""Figures for Prometheus. Labels name routes, methods and states: never images, clients or paths."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from slicerxai import __version__
from slicerxai.settings import settings

if TYPE_CHECKING:
    from slicerxai.server.conditions import Condition
    from slicerxai.server.gate import Gate
    from slicerxai.server.pool import Pool

disable_created_metrics()  # one series for each, of the time when it was made: nobody asks for them
REGISTRY = CollectorRegistry()
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

REQUESTS = Counter("slicerxai_requests", "Requests.", ["method", "route", "status"], registry=REGISTRY)
SECONDS = Histogram(
    "slicerxai_request_seconds",
    "Time until the response was sent.",
    ["method", "route"],
    buckets=BUCKETS,
    registry=REGISTRY,
)
IN_PROGRESS = Gauge("slicerxai_requests_in_progress", "Requests that are being answered.", registry=REGISTRY)
WORKER_ENDS = Counter(
    "slicerxai_worker_ends",
    "Worker processes that ended and were replaced: killed or crashed (died), stopped with their job (cancelled).",
    ["reason"],
    registry=REGISTRY,
)
GATES: dict[str, Gate] = {}
"""What bounds the requests of each kind; the app names them."""
for _reason in ("died", "cancelled"):
    WORKER_ENDS.labels(_reason)
ProcessCollector(registry=REGISTRY)


def known_method(method: str) -> str:
    """The HTTP method, or "other": clients may send any word."""
    return method if method in METHODS else "other"


def exposition(pool: Pool, conditions: list[Condition]) -> bytes:
    """All figures in Prometheus' text format."""
    return generate_latest(REGISTRY) + generate_latest(_State(pool, conditions))


class _State(Collector):
    """What is counted when it is asked for."""

    def __init__(self, pool: Pool, conditions: list[Condition]) -> None:
        self._pool, self._conditions = pool, conditions

    def collect(self) -> Iterator[Metric]:
        yield _one("slicerxai_version", "1, with the version as label.", 1, version=__version__)
        ready = GaugeMetricFamily("slicerxai_condition", "1 where a condition holds, else 0.", labels=["condition"])
        for condition in self._conditions:
            ready.add_metric([condition.name], float(condition.ok))
        yield ready
        yield from self._jobs()
        waiting = GaugeMetricFamily("slicerxai_tasks_waiting", "Work that no worker has taken yet.", labels=["lane"])
        running = GaugeMetricFamily("slicerxai_tasks_running", "Work that workers do now.", labels=["lane"])
        for lane, (queued, taken) in self._pool.workers.lanes().items():
            waiting.add_metric([lane], queued)
            running.add_metric([lane], taken)
        yield from (waiting, running)
        admitted = GaugeMetricFamily("slicerxai_requests_admitted", "Requests that are served.", labels=["kind"])
        held = GaugeMetricFamily("slicerxai_requests_waiting", "Requests that wait to be served.", labels=["kind"])
        for kind, gate in GATES.items():
            admitted.add_metric([kind], gate.inside)
            held.add_metric([kind], gate.waiting)
        yield from (admitted, held)
        yield _one("slicerxai_tasks_waiting_limit", "Work that may wait in each lane.", self._pool.queue_limit)
        pids = self._pool.workers.pids()
        yield _one("slicerxai_workers", "Worker processes that live.", len(pids))
        resident = sum(filter(None, map(_resident_bytes, pids)))
        yield _one("slicerxai_workers_resident_memory_bytes", "Memory of all worker processes.", resident)
        yield from _free()

    def _jobs(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("slicerxai_jobs", "Jobs in the job list.", labels=["method", "state"])
        try:
            counts = self._pool.jobs.counts()
        except (OSError, sqlite3.Error):
            return  # the condition "jobs" tells
        for (method, state), count in sorted(counts.items()):
            jobs.add_metric([method, state], count)
        yield jobs


def _free() -> Iterator[Metric]:
    try:
        free = shutil.disk_usage(settings().home).free
    except OSError:
        return  # the condition "home" tells
    yield _one("slicerxai_home_free_bytes", "Free space where models, jobs and results are kept.", free)


def _one(name: str, help_text: str, value: float, **labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _resident_bytes(pid: int) -> int | None:
    """Memory of a process; None where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
