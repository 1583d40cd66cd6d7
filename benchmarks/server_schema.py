"""Benchmark `server_schema`: schemathesis over the whole OpenAPI document, against the real server.

Every operation of the document is asked with requests that fit its schema and with ones that do not, some of whose
values are replaced by known and by hostile ones (`server_schema_cases`): without logins, and with logins as nobody and
as each role. Seeds are fixed. A part (one sender) is kept as soon as it has ended, and a run that was stopped goes on
with the next; `--quick` asks fewer questions, without logins alone.

Figures: `cases`; `server_errors`, answers of 500 and above; `hangs`, requests without an answer within 30 s;
`crashes`, ends of the server; `lost_workers`, worker processes that died under a task or while idle; `incidents`,
unforeseen errors in its log; `files_outside`, files that it or a process of its own wrote outside of its home, the
studies and its temporary folder; `secrets_read`, openings of a file that no request may name; `untrue`, answers below
`/explain` that the document does not announce (status, media type, schema).
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import requests
import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from benchmarks.server_schema_cases import MARK, Known, Sender, changed, explain_body, printable
from tests.support.issuer import ROLES, Issuer
from tests.support.server import FRUGAL, Server
from tests.support.small_studies import prepare

SEED = 20
TIMEOUT_SECONDS = 30
FULL, WITH_LOGINS, QUICK = 24, 6, 3
"""Requests of each operation and kind (fitting, not fitting): without logins, with them for each sender (twice
as many for the admin, who comes furthest), and in all of a quick run."""
TRUTH = [status_code_conformance, content_type_conformance, response_schema_conformance]
WATCH = Path(__file__).parent / "file_watch"
DEEP = {"/explain/{method}", "/infer/{model}", "/datastore/image", "/datastore/label", "/session/"}
"""Paths with more behind their checks than others, of which more is asked."""
STARTS_PROCESS = re.compile(r"/(train|scoring|batch/infer)/\{")


Headers = dict[str, str]


@dataclass(frozen=True)
class Who:
    """A sender of requests.

    Attributes:
        headers: sent with every request.
        keeper: headers of the one who prepares the server and stops what was begun.
        environment: variables of the server that is asked.
    """

    name: str
    headers: Headers
    keeper: Headers
    environment: dict[str, str]


@dataclass
class Part:
    """What one sender saw."""

    sender: str
    cases: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    server_errors: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    crashes: int = 0
    lost_workers: int = 0
    incidents: int = 0
    files_outside: list[str] = field(default_factory=list)
    secrets_read: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    slowest: str = ""
    seconds: float = 0.0


class Moves(FileSystemEventHandler):
    """Paths that were made, changed, moved or removed."""

    def __init__(self) -> None:
        self.paths: set[str] = set()

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in {"opened", "closed", "closed_no_write"}:
            self.paths |= {os.fsdecode(path) for path in (event.src_path, event.dest_path) if path}


@dataclass
class Watched:
    """A running server and what looks after its files."""

    server: Server
    log: Path
    secret: Path
    moves: Moves

    def outside(self) -> list[str]:
        """Files written outside of the server's folders, by the audit hook, by the file system and by listing."""
        root = self.server.root
        own = tuple(str(root / name) for name in ("home", "studies", "tmp", "stdout", "stderr"))
        noted = [line for line in self.log.read_text().splitlines() if not line.startswith("read\t")]
        seen = [path for path in self.moves.paths if MARK in path or path.startswith(str(root.parent))]
        seen += [str(path) for path in [*root.parent.rglob("*"), *Path("/tmp").glob(f"*{MARK}*")]]
        allowed = {str(root.parent), str(root), str(self.log), str(self.secret), str(self.secret.parent)}
        return noted + sorted({path for path in seen if path not in allowed and not path.startswith(own)})

    def read(self) -> list[str]:
        """Openings of the secret file."""
        return [line for line in self.log.read_text().splitlines() if line.startswith("read\t")]


@contextmanager
def watched(**environment: str) -> Iterator[Watched]:
    """A server in a folder of its own, below one that only the watch looks at."""
    base = Path(tempfile.mkdtemp(prefix="server-schema-"))
    log, secret, root = base / "watch.log", base / "secret" / "secret.nii.gz", base / "root"
    log.touch()
    (root / "tmp").mkdir(parents=True)
    own = {
        "TMPDIR": str(root / "tmp"),
        "TORCHINDUCTOR_CACHE_DIR": str(root / "tmp" / "torch"),
        "MPLCONFIGDIR": str(root / "tmp" / "matplotlib"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(WATCH), os.environ.get("PYTHONPATH")])),
        "FILE_WATCH_LOG": str(log),
        "FILE_WATCH_ALLOWED": str(root),
        "FILE_WATCH_SECRETS": str(secret),
    }
    server = Server(root, None, None, **(FRUGAL | own | environment))
    prepare(server)
    secret.parent.mkdir()
    shutil.copy(server.studies / "one.nii.gz", secret)
    moves, observer = Moves(), Observer()
    observer.schedule(moves, str(base), recursive=True)
    observer.schedule(moves, "/tmp", recursive=False)
    observer.start()
    try:
        with server:
            yield Watched(server, log, secret, moves)
    finally:
        observer.stop()
        observer.join()
        shutil.rmtree(base, ignore_errors=True)


def known(running: Watched, keeper: Headers) -> Known:
    """Make what earlier requests removed: images, a label, a session, a job. Tell what there is; a worker is warm."""
    server, good = running.server, running.secret.read_bytes()
    for image in ("one", "two"):
        server.request("PUT", f"/datastore/image?image={image}", files={"file": ("x.nii.gz", good)}, headers=keeper)
    label = (server.home / "cohorts" / "pair" / "01" / "lesions.nii.gz").read_bytes()
    session = server.request("PUT", "/session/", files={"files": ("FLAIR.nii.gz", good)}, headers=keeper).json()
    server.request("PUT", "/datastore/label?image=one&tag=drawn", files={"label": ("x.nii.gz", label)}, headers=keeper)
    job = server.request("POST", "/explain/prediction", json={"image": "one"}, headers=keeper).json()
    while server.request("GET", f"/explain/jobs/{job['id']}", headers=keeper).json()["state"] in {"queued", "running"}:
        time.sleep(0.5)
    values = {
        **dict.fromkeys(("image", "label", "id"), ("one", "two", "new")),
        **dict.fromkeys(("model",), ("tiny", "fast", "classifier", "aligned")),
        "session_id": (str(session.get("session_id")),),
        "tag": ("drawn", "final", "original"),
        "job_id": (str(job.get("id")),),
        "part": ("params", "segmentation"),
        "method": ("prediction", "saliency", "quality", "property", "shift", "agreement"),
        "strategy": ("random", "uncertainty", "suspicion"),
        "cohort": ("pair",),
        "case": ("01", "02"),
        "output": ("image", "json", "all", "dicom_seg"),
        "wait": ("false",),
        "run_sync": ("false", "true"),
    }
    return Known(values, (good, label), str(running.secret))


def ask(running: Watched, who: Who, examples: int) -> Part:
    """Ask every operation as one sender."""
    part, started = Part(who.name), time.monotonic()
    server = running.server
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json", headers=who.keeper)
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]
        there = known(running, who.keeper)
        few = STARTS_PROCESS.search(operation.path) and operation.method == "post"
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            seed = f"{SEED} {who.name} {operation.label} {mode.value}"
            session = Sender(there, seed)
            asker = Asker(part, running, who, session, random.Random(seed))
            many = 3 * examples if operation.path in DEEP and mode == GenerationMode.POSITIVE else examples
            asker.ask(operation, mode, max(2, examples // 4) if few else many, seed)
        _stop_work(server, who.keeper)
    log = "".join(path.read_text() for path in (server.home / "monailabel_app" / "logs").glob("app.log*"))
    part.lost_workers = log.count("a worker process died while idle") + log.count("a task was lost")
    part.incidents = len(re.findall(r"incident \w+ at", log))
    part.files_outside, part.secrets_read = running.outside(), running.read()
    part.seconds = time.monotonic() - started
    return part


@dataclass
class Asker:
    """Sends the requests of one operation."""

    part: Part
    running: Watched
    who: Who
    session: Sender
    dice: random.Random

    def ask(self, operation: Any, mode: GenerationMode, examples: int, seed: str) -> None:
        """So many requests that fit the schema, or that do not."""

        @hypothesis.seed(seed)
        @hypothesis.settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def one(case: Any) -> None:
            self._send(self._changed(case))

        try:
            one()
        except hypothesis.errors.Unsatisfiable:
            return  # nothing that this operation is sent breaks its schema

    def _changed(self, case: Any) -> Any:
        dice, there = self.dice, self.session.known
        if dice.random() < 0.85:
            for values in (case.path_parameters, case.query):
                printable(values)
        if dice.random() < 0.7:
            for values in (case.path_parameters, case.query, case.body):
                changed(values, there, dice)
        if case.operation.path == "/explain/{method}" and dice.random() < 0.6:
            case.body = explain_body(there, dice)
        if isinstance(case.query, dict):
            case.query.pop("wait", None)  # an answer that comes when a job has ended is no hang
        return case

    def _send(self, case: Any) -> None:
        part, server, what = self.part, self.running.server, f"{case.method} {case.operation.path}"
        started = time.monotonic()
        try:
            response = case.call(
                base_url=server.url, session=self.session, headers=dict(self.who.headers), timeout=TIMEOUT_SECONDS
            )
        except requests.exceptions.InvalidHeader:
            return  # the client itself refuses to send it
        except requests.Timeout:
            part.cases += 1
            part.hangs.append(what)
            return
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            part.cases += 1
            if server.process.poll() is None:
                part.server_errors.append(f"{what}: {type(error).__name__}: {error}"[:300])
            else:
                part.crashes += 1
                server.start()
            return
        part.cases += 1
        seconds = time.monotonic() - started
        if seconds > part.slowest_seconds:
            part.slowest_seconds, part.slowest = seconds, what
        self._judge(case, response, what)

    def _judge(self, case: Any, response: Any, what: str) -> None:
        part, status = self.part, str(response.status_code)
        part.statuses[status] = part.statuses.get(status, 0) + 1
        if response.status_code >= 500:
            part.server_errors.append(f"{status} {case.as_curl_command()[:600]} -> {response.text[:200]}")
        elif case.operation.path.startswith("/explain") and not _of_another_route(case):
            try:
                case.validate_response(response, checks=TRUTH)
            except (FailureGroup, AssertionError) as error:
                said = " ".join(str(one) for one in getattr(error, "exceptions", [error]))
                part.untrue.append(f"{what} {status}: {said}"[:1000])


def _of_another_route(case: Any) -> bool:
    """A value without a name of its own in a path, such as "" or "..", leads to another operation."""
    values = case.path_parameters or {}
    return any(not str(value).strip("./ ") or "/" in str(value) for value in values.values())


def _stop_work(server: Server, headers: Headers) -> None:
    """No queue grows from one operation to the next."""
    for path in ("/train/", "/scoring/", "/batch/infer/"):
        requests.delete(server.url + path, headers=headers, timeout=120)
    jobs = requests.get(server.url + "/explain/jobs", headers=headers, timeout=120)
    for job in jobs.json() if jobs.ok else ():
        if job["state"] in {"queued", "running"}:
            requests.delete(f"{server.url}/explain/jobs/{job['id']}", headers=headers, timeout=120)


def run(data: Path | None, out: Path, quick: bool) -> dict[str, Any]:
    """All parts; see the module's text."""
    kept = out / "server_schema.parts"
    kept.mkdir(parents=True, exist_ok=True)
    parts = []
    with Issuer() as issuer:
        for who, examples in senders(issuer, quick):
            file = kept / f"{who.name}-{examples}.json"
            if not file.is_file():
                with watched(**who.environment) as running:
                    part = ask(running, who, examples)
                file.write_text(json.dumps(asdict(part), indent=1))
            parts.append(Part(**json.loads(file.read_text())))
            print(f"{who.name}: {parts[-1].cases} cases in {parts[-1].seconds:.0f} s", flush=True)
    return {"rows": [_row(part) for part in parts], "figures": figures(parts), "notes": _notes(parts)}


def senders(issuer: Issuer, quick: bool) -> Iterator[tuple[Who, int]]:
    """Who asks, and how many requests of each operation and kind are sent."""
    yield Who("without logins", {}, {}, {}), QUICK if quick else FULL
    if quick:
        return
    late = int(time.time()) + 6 * 3600
    keeper = {"Authorization": f"Bearer {issuer.token('admin', exp=late)}"}
    yield Who("no token", {}, keeper, issuer.environment), WITH_LOGINS
    for role in ROLES:
        headers = {"Authorization": f"Bearer {issuer.token(role, exp=late)}"}
        yield Who(role, headers, keeper, issuer.environment), WITH_LOGINS * (2 if role == "admin" else 1)


def figures(parts: list[Part]) -> dict[str, float]:
    """The sums over all parts, and the slowest answer."""
    total: dict[str, float] = {"cases": sum(part.cases for part in parts)}
    for name in ("server_errors", "hangs", "files_outside", "secrets_read", "untrue"):
        total[name] = sum(len(getattr(part, name)) for part in parts)
    for name in ("crashes", "lost_workers", "incidents"):
        total[name] = sum(getattr(part, name) for part in parts)
    return total | {"slowest_seconds": max(part.slowest_seconds for part in parts)}


def _row(part: Part) -> dict[str, Any]:
    classes = Counter[str]()
    for status, count in part.statuses.items():
        classes[f"{status[0]}xx"] += count
    return {
        "sender": part.sender,
        "cases": part.cases,
        **{name: classes[name] for name in ("2xx", "3xx", "4xx", "5xx")},
        "hangs": len(part.hangs),
        "slowest s": round(part.slowest_seconds, 2),
        "slowest": part.slowest,
        "seconds": round(part.seconds),
    }


def _notes(parts: list[Part]) -> list[str]:
    names = ("server_errors", "hangs", "files_outside", "secrets_read", "untrue")
    return [f"{part.sender}, {name}: {one}" for part in parts for name in names for one in getattr(part, name)[:20]]
