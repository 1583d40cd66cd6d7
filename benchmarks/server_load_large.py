"""Part "large" of benchmark `server_load`: the largest image that is accepted is uploaded, segmented, explained."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import requests

from benchmarks.server_load_watch import Watch
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.models.store import ModelStore
from tests.support.server import Server
from tests.support.small_studies import store_model

SPACING = 0.5
"""mm; 512 of them are a head with some air around it."""
LIMIT_SECONDS = 3600


def measure(edge: int) -> dict[str, Any]:
    """A server with one worker, a network on a grid of 1 mm, an image of int16."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="server-large-") as folder:
        server = Server(Path(folder), SLICERXAI_WORKERS="1", SLICERXAI_THREADS="1", SLICERXAI_DEVICE="cpu")
        store_network(server, "thin", spacing=1.0, features=(4, 8), patch=64)
        file = Path(folder) / "large.nii"
        write_volume(file, image(edge))
        server.start()
        try:
            session = _step(rows, server, "upload", lambda: _upload(server, file))["session_id"]
            _step(rows, server, "infer", lambda: _post(server, f"/infer/thin?session_id={session}&output=image"))
            body = {"session": session, "parameters": {"method": "input_x_gradient"}}
            _step(rows, server, "explain", lambda: _explain(server, body))
        finally:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()
    peak = max(row["peak GiB"] for row in rows)
    figures = {"peak_gib": peak, "edge": edge, "statuses": ", ".join(str(row["status"]) for row in rows)}
    return {"figures": figures, "rows": rows, "notes": [], "server": "large"}


def store_network(server: Server, name: str, spacing: float, features: tuple[int, ...], patch: int) -> None:
    """A network that is not trained and sees an image in patches of `patch`³."""
    store = ModelStore(server.home / "models")
    store_model(store, name, spacing, features)
    file = store.folder(name) / "model.json"
    description = json.loads(file.read_text())
    description["config"]["patch_size"] = [patch] * 3
    file.write_text(json.dumps(description))


def image(edge: int) -> Volume:
    """Noise in a box that leaves a sixth of air on each side, with a brighter cube."""
    random, air = np.random.default_rng(0), edge // 6
    array = np.zeros((edge, edge, edge), np.int16)
    for i in range(air, edge - air):
        array[i, air:-air, air:-air] = random.normal(300, 30, (edge - 2 * air, edge - 2 * air))
    cube = slice(2 * edge // 5, 2 * edge // 5 + edge // 12)
    array[cube, cube, cube] += 300
    return Volume(array, np.diag([SPACING, SPACING, SPACING, 1.0]))


def _step(rows: list[dict[str, Any]], server: Server, name: str, ask: Any) -> dict[str, Any]:
    started = time.monotonic()
    with Watch(server.process.pid, every=0.1) as watch:
        answer: requests.Response = ask()
    row = {"step": name, "status": answer.status_code, "seconds": time.monotonic() - started}
    row |= {"peak GiB": watch.peak_mb / 1024, "server GiB": max(s[1] for s in watch.samples) / 1024}
    row |= {"answer MB": len(answer.content) / 1e6, "detail": "" if answer.ok else answer.text[:200]}
    rows.append(row)
    is_json = answer.headers.get("content-type", "").startswith("application/json")
    return dict(answer.json()) if is_json else {}


def _upload(server: Server, file: Path) -> requests.Response:
    from requests_toolbelt import MultipartEncoder

    with file.open("rb") as opened:
        body = MultipartEncoder({"files": (file.name, opened, "application/octet-stream")})
        headers = {"Content-Type": body.content_type}
        return requests.put(f"{server.url}/session/", data=body, headers=headers, timeout=LIMIT_SECONDS)


def _post(server: Server, path: str, **options: Any) -> requests.Response:
    return requests.post(server.url + path, timeout=LIMIT_SECONDS, **options)


def _explain(server: Server, body: dict[str, Any]) -> requests.Response:
    """Submit, wait for the end, fetch the result, or the job where there is none."""
    job = _post(server, "/explain/saliency", json=body)
    if not job.ok:
        return job
    identifier = job.json()["id"]
    server.wait(identifier, lambda found: found["state"] not in {"queued", "running"}, LIMIT_SECONDS)
    return requests.get(f"{server.url}/explain/jobs/{identifier}/result", timeout=LIMIT_SECONDS)
