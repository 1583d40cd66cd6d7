"""`slicerxai demo`: from nothing to a report, through the same server and routes that every other client uses."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import requests

from slicerxai import __version__
from slicerxai.cli.progress import progress_bar
from slicerxai.cli.scans import scan_name
from slicerxai.data.files import replaced_text
from slicerxai.data.io import read_volume
from slicerxai.data.phantom.parameters import PhantomParameters
from slicerxai.data.phantom.training import training_cohort
from slicerxai.errors import InputError
from slicerxai.models.store import ModelStore
from slicerxai.settings import settings

MODEL = "demo"
TRAINING_COHORT = training_cohort(patients=1, seed=1)
STEPS = 500
HELD_OUT_COHORT = PhantomParameters(patients=1, centres=("01",), spacing=1.0, seed=2)


@click.command("demo")
@click.option(
    "--image", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A skull-stripped FLAIR of your own."
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("demo-output"), show_default=True, help="Folder for it all."
)
@click.option("--open/--no-open", "open_browser", default=False, help="Open the report in a browser at the end.")
def command(image: Path | None, out: Path, open_browser: bool) -> None:
    """Make a phantom cohort, train on it, start the server, and explain one scan through it.

    Without --image the scan is a phantom patient that was not trained on. What exists already is used again.
    """
    if image:
        read_volume(image)  # an unusable one is refused before minutes of training
    out.mkdir(parents=True, exist_ok=True)
    _train(out / "cohort")
    scan = image or _held_out_scan(out / "held-out")
    name = scan_name(scan) if image else "phantom"
    with _server(out) as url:
        report = _explain(url, scan, name, out / name)
    click.echo(f"\nReport: {report.resolve()}")
    click.echo(f"Server: slicerxai serve {out / 'studies'}")
    if open_browser:
        webbrowser.open(report.resolve().as_uri())


def recipe() -> str:
    """What the demo's model depends on, as text."""
    cohort = TRAINING_COHORT.model_dump(mode="json")
    return json.dumps({"version": __version__, "cohort": cohort, "steps": STEPS})


def _train(cohort: Path) -> None:
    """Train the demo's model, unless one exists that this version trained in the same way."""
    store = ModelStore(settings().models)
    marker = cohort / "trained.json"
    if MODEL in store.names() and marker.is_file() and marker.read_text() == recipe():
        click.echo(f"1/4 phantom cohort: {cohort} exists\n2/4 model {MODEL!r} exists")
        return
    from slicerxai import runtime
    from slicerxai.data.phantom.cohort import write_cohort

    shutil.rmtree(cohort, ignore_errors=True)
    with progress_bar("1/4 phantom cohort") as progress:
        cases = write_cohort(cohort, TRAINING_COHORT, progress)
    runtime.configure()
    from slicerxai.models.fast_parameters import FastTrainingParameters
    from slicerxai.models.training import train

    with progress_bar("2/4 train") as progress:
        train(
            "fast",
            list(cases),
            rater="consensus",
            parameters=FastTrainingParameters(steps=STEPS),
            store=store,
            name=MODEL,
            device=runtime.device(),
            progress=progress,
        )
    replaced_text(marker, recipe())


def _held_out_scan(folder: Path) -> Path:
    from slicerxai.data.phantom.cohort import write_cohort

    shutil.rmtree(folder, ignore_errors=True)
    (case,) = write_cohort(folder, HELD_OUT_COHORT)
    return case.images["FLAIR"]


@contextmanager
def _server(out: Path) -> Iterator[str]:
    """The real server in a process of its own, on a free port of the loopback address."""
    studies, log = out / "studies", out / "server.log"
    studies.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "slicerxai.cli.main", "serve", str(studies), "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=os.environ.copy())  # noqa: S603
        try:
            with progress_bar("3/4 server") as progress:
                _wait_until_ready(url, process, log)
                progress(1.0, url)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            if requests.get(f"{url}/info/", timeout=5).ok:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.3)
    msg = f"the server did not start; the end of {log}: {log.read_text()[-1500:]}"
    raise InputError(msg)


def _explain(url: str, scan: Path, name: str, out: Path) -> Path:
    """Upload, infer and explain over HTTP. Returns the report."""
    from slicerxai.explain.folder import save
    from slicerxai.explain.multipart import decode

    suffix = "".join(scan.suffixes[-2:]) if scan.name.endswith(".gz") else scan.suffix
    with progress_bar("4/4 explain") as progress:
        progress(0.0, "uploading the scan")
        with scan.open("rb") as file:
            _checked(
                requests.put(
                    f"{url}/datastore/", params={"image": name}, files={"file": (name + suffix, file)}, timeout=300
                )
            )
        progress(0.02, "predicting lesions")
        _checked(requests.post(f"{url}/infer/{MODEL}", params={"image": name, "output": "json"}, timeout=1800))
        body = {"image": name, "model": MODEL, "parameters": {}}
        job = _checked(requests.post(f"{url}/explain/saliency", json=body, timeout=60)).json()
        while job["state"] in {"queued", "running"}:
            progress(0.1 + 0.85 * job["fraction"], job["message"])
            time.sleep(0.3)
            job = _checked(requests.get(f"{url}/explain/jobs/{job['id']}", timeout=60)).json()
        if job["state"] != "done":
            msg = f"the explanation {job['state']}: {job.get('error')}"
            raise InputError(msg)
        result = _checked(requests.get(f"{url}/explain/jobs/{job['id']}/result", timeout=300))
        explanation = decode(result.content, result.headers["content-type"])
        page = _checked(requests.get(f"{url}/explain/jobs/{job['id']}/report", timeout=300)).text
        save(explanation, out)
        replaced_text(out / "report.html", page)
        progress(1.0, f"verdict: {explanation.verdict}")
    for check in explanation.checks:
        click.echo(f"  {check.verdict}: {check.reason}")
    return out / "report.html"


def _checked(response: requests.Response) -> requests.Response:
    """The response, or an error with the server's own words."""
    if response.ok:
        return response
    detail: Any = response.text[:500]
    if "json" in response.headers.get("content-type", ""):
        detail = response.json().get("detail", detail)
    msg = f"{response.request.method} {response.url}: {response.status_code} {detail}"
    raise InputError(msg)
