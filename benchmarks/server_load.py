"""Benchmark `server_load`: 50 clients for 5 minutes at our server, then at MONAI Label's own; then an image of 512³.

`python -m benchmarks run server_load` does everything; SERVER_LOAD_SECONDS changes the 5 minutes, `--quick` makes 30 s
of them and 256³ of 512³. Each part ("ours", "stock", "large", "remembered") is written below `OUT/server_load` when it
has ended, and a run that was interrupted goes on with the next one: delete that folder to measure anew. The machine
should be idle. The clients are one process (`benchmarks.server_load_clients`), a probe that asks for /info and the
health routes ten times a second is another one, at a higher priority where this user may set it, for it is to tell the
server's delays and not its own.

A client draws one operation after the other, with pauses of one second on average: information, health, segmenting an
image of the datastore or a session that it uploads and deletes, and explaining with seeds that many ask for or with
one of its own, polling the job and fetching the result. At stock MONAI Label the same but health and explanations,
which it does not have, with a network of a similar size in a task made of its own classes.

Before the load, one client alone segments and explains the same, and every result under load is compared with its
own, bit for bit (voxels, maps). Explanations with a seed of their own are deleted after the load and computed again by
one client alone, some of them. Memory is the resident memory of the server and of all it started, once a second; its
slope is fitted after the first fifth, with an interval that allows for autocorrelation.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests

from benchmarks.server_load_clients import FRESH, Log, Plan, overlays_digest, voxels_digest
from benchmarks.server_load_large import measure, store_network
from benchmarks.server_load_remembered import measure as measure_remembered
from benchmarks.server_load_watch import Watch
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from tests.support.server import Server

CLIENTS = 50
PAUSE_SECONDS = 1.0
SHAPE, SPACING = (64, 72, 56), 3.0
IMAGES, UPLOADS, SEEDS = 4, 4, (1, 2)
MODEL = "tiny"
WEIGHTS = {"info": 0.3, "health": 0.15, "infer": 0.2, "session": 0.15, "explain": 0.2}
STOCK_WEIGHTS = {name: WEIGHTS[name] for name in ("info", "infer", "session")}
PROBED = ["/info/", "/health/live", "/health/ready"]
CHECKED_AGAIN = 8
WARM_UP_SHARE = 0.2
SLOW_SECONDS = 0.1
PATIENCE_SECONDS = 900.0


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """Measure what has not been measured. Returns figures, rows and notes."""
    del data
    seconds = float(os.environ.get("SERVER_LOAD_SECONDS", "30" if quick else "300"))
    edge = 256 if quick else 512
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        f"ours-{seconds:.0f}": lambda: ours(seconds),
        f"stock-{seconds:.0f}": lambda: stock(seconds),
        f"large-{edge}": lambda: large(edge),
        "remembered": measure_remembered,
    }
    results = [_kept(out / "server_load" / f"{name}.json", part) for name, part in parts.items()]
    figures = {f"{result['server']}_{key}": value for result in results for key, value in result["figures"].items()}
    rows = [row for result in results for row in result["rows"]]
    notes = [note for result in results for note in result["notes"]]
    return {"figures": figures, "rows": rows, "notes": notes}


def _kept(path: Path, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    if path.is_file():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    result = measure() | {"load_average": os.getloadavg(), "cores": os.cpu_count()}
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1))
    temporary.replace(path)
    return result


def ours(seconds: float) -> dict[str, Any]:
    """Load on `slicerxai serve` as it is installed, with two workers of one thread."""
    with tempfile.TemporaryDirectory(prefix="server-load-") as folder:
        server = Server(Path(folder), SLICERXAI_WORKERS="2", SLICERXAI_THREADS="1", SLICERXAI_DEVICE="cpu")
        store_network(server, MODEL, SPACING, features=(8, 16), patch=48)
        uploads = _studies(server, Path(folder))
        with _running(server):
            plan = Plan(server.url, MODEL, CLIENTS, seconds, PAUSE_SECONDS, WEIGHTS, _ids(), uploads, list(SEEDS), {})
            result = _loaded(server, plan, PROBED)
            log = result.pop("log")
            again, wrong = _checked_again(server, log)
            result["figures"] |= {"checked_again": again, "different_again": wrong}
            states = Counter(job["state"] for job in server.jobs())
            result["notes"].append(f"States of the newest 200 jobs: {dict(states)}.")
        return result | {"server": "ours"}


def stock(seconds: float) -> dict[str, Any]:
    """Load on `monailabel start_server`."""
    from tests.support.stock import StockServer

    with tempfile.TemporaryDirectory(prefix="server-load-") as folder:
        server = StockServer(Path(folder))
        uploads = _studies(server, Path(folder))
        with _running(server):
            images = _ids()
            plan = Plan(
                server.url, "segmentation", CLIENTS, seconds, PAUSE_SECONDS, STOCK_WEIGHTS, images, uploads, [], {}
            )
            result = _loaded(server, plan, ["/info/"])
            del result["log"]
        return result | {"server": "stock"}


@contextmanager
def _running(server: Server) -> Iterator[None]:
    server.start()
    try:
        yield
    finally:
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait()


def _ids() -> list[str]:
    return [f"image{number}" for number in range(IMAGES)]


def _studies(server: Server, folder: Path) -> list[str]:
    for number, name in enumerate(_ids()):
        write_volume(server.studies / f"{name}.nii.gz", head(number))
    files = [folder / f"upload{number}.nii.gz" for number in range(UPLOADS)]
    for number, file in enumerate(files):
        write_volume(file, head(100 + number))
    return [str(file) for file in files]


def head(seed: int) -> Volume:
    """A bright ellipsoid with bright spots, of the size of a brain at 3 mm."""
    random = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij"))
    array = np.where((grid**2).sum(0) < 0.8, random.normal(300, 20, SHAPE), 0).astype(np.int16)
    for _ in range(6):
        i, j, k = (int(n * random.uniform(0.3, 0.65)) for n in SHAPE)
        array[i : i + 4, j : j + 4, k : k + 4] += 200
    return Volume(array, np.diag([SPACING, SPACING, SPACING, 1.0]))


def _loaded(server: Server, plan: Plan, probed: list[str]) -> dict[str, Any]:
    """Ask alone, then load; what came of it."""
    alone = _alone(server, plan)
    plan.expected = alone["digests"]
    with tempfile.TemporaryDirectory(prefix="server-load-") as folder, Watch(server.process.pid) as watch:
        probe = {"url": plan.url, "probe": probed, "seconds": plan.seconds, "per_second": 10.0}
        started, used = time.monotonic(), _cpu_seconds(server)
        clients = [_client(Path(folder), "clients", asdict(plan)), _client(Path(folder), "probe", probe)]
        _prefer(clients[1][0])
        limit = plan.seconds + 600
        logs = [_log(process, out, max(10.0, started + limit - time.monotonic())) for process, out in clients]
        spent = time.monotonic() - started
        used = _cpu_seconds(server) - used
    log, probes = logs
    slopes = watch.slopes(WARM_UP_SHARE * plan.seconds)
    figures = _figures(log, probes) | {
        "requests_per_second": len(log.requests) / spent,
        "compared_results": log.compared,
        "different_results": len(log.different),
        "alone_infer_seconds": alone["infer_seconds"],
        "server_cpu_share": used / spent,
        "peak_mb": watch.peak_mb,
        "worker_processes": len(watch.workers),
    }
    figures |= {f"{name}_{key}": value for name, found in slopes.items() for key, value in found.items()}
    notes = [f"{plan.url.rpartition(':')[0]}: {error}" for error in log.errors[:10]]
    return {"figures": figures, "rows": _rows(log, probes), "notes": notes, "samples": watch.samples, "log": log}


def _ask(server: Server, method: str, path: str, **options: Any) -> requests.Response:
    """The answer to a client alone, whose first segmentation waits for the workers to be warm. Raises for an error."""
    answer = requests.request(method, server.url + path, timeout=PATIENCE_SECONDS, **options)
    answer.raise_for_status()
    return answer


def _cpu_seconds(server: Server) -> float:
    """Of the server itself, without its workers."""
    return float(sum(psutil.Process(server.process.pid).cpu_times()[:2]))


def _alone(server: Server, plan: Plan) -> dict[str, Any]:
    """Digests that one client gets, and the seconds of its segmentations."""
    digests, seconds = {}, []

    def segment(name: str, query: dict[str, str]) -> None:
        started = time.perf_counter()
        answer = _ask(server, "POST", f"/infer/{plan.model}", params={**query, "output": "image"})
        seconds.append(time.perf_counter() - started)
        digests[name] = voxels_digest(answer.content)

    for image in plan.images:
        segment(f"infer {image}", {"image": image})
        for seed in plan.seeds:
            digests[f"explain {image} {seed}"] = _explained(server, image, seed)
    for file in map(Path, plan.uploads):
        answer = _ask(server, "PUT", "/session/", files={"files": (file.name, file.read_bytes())})
        identifier = answer.json()["session_id"]
        segment(f"session {file.name}", {"session_id": identifier})
        _ask(server, "DELETE", f"/session/{identifier}")
    return {"digests": digests, "infer_seconds": float(np.median(seconds[1:]))}


def _explained(server: Server, image: str, seed: int) -> str:
    """Digest of an explanation's maps, computed anew: the job and its result are deleted afterwards."""
    body = {"image": image, "model": MODEL, "parameters": {"method": "input_x_gradient", "seed": seed}}
    answer = _ask(server, "POST", "/explain/saliency?wait=true", json=body)
    _ask(server, "DELETE", answer.headers["location"])
    return overlays_digest(answer)  # type: ignore[arg-type]  # of requests and of httpx alike


def _checked_again(server: Server, log: Log) -> tuple[int, int]:
    """Some explanations that were computed under load, computed again by a client alone: how many, how many differ."""
    fresh = [name for name in log.fresh if name.startswith("explain") and int(name.split()[2]) >= FRESH]
    chosen = fresh[:: max(1, len(fresh) // CHECKED_AGAIN)][:CHECKED_AGAIN]
    wrong = 0
    for name in chosen:
        _ask(server, "DELETE", f"/explain/jobs/{log.jobs[name]}")
        _, image, seed = name.split()
        wrong += _explained(server, image, int(seed)) != log.fresh[name]
    return len(chosen), wrong


def _client(folder: Path, name: str, plan: dict[str, Any]) -> tuple[subprocess.Popen[bytes], Path]:
    (folder / f"{name}.plan").write_text(json.dumps(plan))
    out = folder / f"{name}.json"
    command = [sys.executable, "-m", "benchmarks.server_load_clients", str(folder / f"{name}.plan"), str(out)]
    return subprocess.Popen(command, cwd=Path(__file__).parents[1]), out


def _prefer(process: subprocess.Popen[bytes]) -> None:
    try:
        psutil.Process(process.pid).nice(-5)
    except psutil.AccessDenied:
        return


def _log(process: subprocess.Popen[bytes], out: Path, limit: float) -> Log:
    try:
        process.wait(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if not out.is_file():
        msg = f"the clients ended with {process.returncode} and wrote nothing"
        raise RuntimeError(msg)
    return Log(**json.loads(out.read_text()))


def _figures(log: Log, probes: Log) -> dict[str, Any]:
    """Errors by status, and the delays that count."""
    statuses = Counter(status for _, _, _, status in log.requests + probes.requests)
    refused = sum(count for status, count in statuses.items() if status >= 400 or status == 0)
    figures: dict[str, Any] = {
        "requests": len(log.requests),
        "refused_429": statuses[429],
        "refused_429_without_time": log.unnamed_429,
        "errors_other_than_429": refused - statuses[429],
        "statuses": json.dumps({str(status): count for status, count in sorted(statuses.items())}),
    }
    for name, found in (("client", log), ("probe", probes)):
        quick = [
            seconds for operation, _, seconds, _ in found.requests if operation.split("/")[0] in {"info", "health"}
        ]
        if quick:
            figures |= {f"{name}_p50_ms": 1000 * _quantile(quick, 50), f"{name}_p95_ms": 1000 * _quantile(quick, 95)}
            figures |= {f"{name}_slow_share": sum(one > SLOW_SECONDS for one in quick) / len(quick)}
    return figures


def _rows(log: Log, probes: Log) -> list[dict[str, Any]]:
    """One for each operation."""
    rows = []
    for who, found in (("clients", log), ("probe", probes)):
        for operation in sorted({request[0] for request in found.requests}):
            asked = [request for request in found.requests if request[0] == operation]
            good = [seconds for _, _, seconds, status in asked if 0 < status < 400]
            row: dict[str, Any] = {"who": who, "operation": operation, "requests": len(asked), "answered": len(good)}
            row["429"] = sum(status == 429 for *_, status in asked)
            row["other errors"] = len(asked) - len(good) - row["429"]
            for percent in (50, 95, 99):
                row[f"p{percent} ms"] = 1000 * _quantile(good, percent) if good else None
            rows.append(row | {"most ms": 1000 * max(good) if good else None})
    return rows


def _quantile(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent))


def large(edge: int) -> dict[str, Any]:
    """One image of `edge`³: uploaded, segmented, explained, with the peak of memory of server and workers together."""
    return measure(edge)
