"""Parameters of every method and requests to explain that are fuzzed, with the real checks and the real routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.reader_fuzz_inputs import VALUES, damaged_json, encoded_json, parameters
from benchmarks.reader_fuzz_judge import Kind, Sample
from slicerxai.errors import ConflictError, UserError
from slicerxai.explain import registry

ACCEPTED = "accepted and not run"
FIELDS = ("image", "images", "session", "cohort", "case", "sequence", "model", "unknown")


def request_kinds() -> dict[str, Kind]:
    """The parameters of every method by themselves, and bodies of `POST /explain/METHOD`."""
    kinds = {f"parameters of {name}": _parameter_kind(name) for name in registry.METHODS}
    return kinds | {"requests": Kind(8_000, _request_samples, Requests(), "")}


def _parameter_kind(method: str) -> Kind:
    def read(folder: Path) -> object:
        from slicerxai.explain.run import parse_parameters

        return parse_parameters(method, json.loads((folder / "values.json").read_bytes())).model_dump_json()

    def samples() -> Callable[[Random], Sample]:
        schema = _schema(method)
        return lambda random: {"values.json": json.dumps(parameters(random, schema)).encode()}

    return Kind(2_500, samples, read, method)


def _request_samples() -> Callable[[Random], Sample]:
    schemas = {name: _schema(name) for name in registry.METHODS}

    def sample(random: Random) -> Sample:
        method = random.choice(list(schemas))
        body: dict[str, Any] = {"cohort": "some"} if registry.entry(method).subject == "cohort" else {"image": "case1"}
        body["parameters"] = parameters(random, schemas[method])
        if random.random() < 0.2:
            return {"method": method.encode(), "body": damaged_json(random, [body])}
        if random.random() < 0.5:
            body[random.choice(FIELDS)] = random.choice(VALUES)
        text = encoded_json(body) if random.random() < 0.5 else json.dumps(body).encode()
        return {"method": method.encode(), "body": text}

    return sample


def _schema(method: str) -> dict[str, Any]:
    return registry.parameters_class(method).model_json_schema()


class Requests:
    """The real routes in this process, whose pool accepts a job and does not run it."""

    def __init__(self) -> None:
        self._app: Callable[..., Any] | None = None

    def __call__(self, folder: Path) -> object:
        """Raises `UserError` for a problem document of status 4XX, `AssertionError` for every other answer."""
        app = self._app
        if app is None:
            app = self._app = _explain_app(folder.parent / "home")
        path = f"/explain/{(folder / 'method').read_text()}"
        status, content = asyncio.run(_answer(app, path, (folder / "body").read_bytes()))
        problem = json.loads(content.decode("ascii"))
        if not 400 <= status < 500 or problem.get("status") != status or not problem.get("detail"):
            msg = f"status {status}: {content[:300]!r}"
            raise AssertionError(msg)
        if problem["detail"] != ACCEPTED:
            raise UserError(problem["detail"].encode("ascii", "backslashreplace").decode())
        return problem


def _explain_app(home: Path) -> Callable[..., Any]:
    """The routes over a home with one model, two images and one cohort."""
    from fastapi import FastAPI

    from slicerxai.models.store import ModelStore
    from slicerxai.server.cohorts import Cohorts, server_cohorts
    from slicerxai.server.explain_routes import router
    from slicerxai.server.pool import Pool, shared_pool
    from slicerxai.server.problems import install_problem_handlers
    from slicerxai.server.results import ResultStore
    from slicerxai.server.sources import Sources, monai_label_sources

    class Accepting(Pool):
        """Goes as far as the job list would."""

        def __init__(self) -> None:
            self.models = ModelStore(home / "models")
            self.results = ResultStore(home / "results")
            self._explain = _never

        def submit(self, function: object, *arguments: Any, request: Mapping[str, Any], **options: Any) -> Any:
            json.dumps(request).encode("utf-8")
            raise ConflictError(ACCEPTED)

    _fill(home)
    pool = Accepting()
    app = FastAPI()
    app.include_router(router)
    install_problem_handlers(app)
    app.dependency_overrides[shared_pool] = lambda: pool
    app.dependency_overrides[monai_label_sources] = lambda: Sources(_Folder(home / "studies"), home / "studies")
    app.dependency_overrides[server_cohorts] = lambda: Cohorts(home / "cohorts")
    return app


class _Folder:
    """A datastore over a folder of images."""

    def __init__(self, folder: Path) -> None:
        self.folder = self._datastore_path = folder

    def list_images(self) -> list[str]:
        return ["case1", "case2"]

    def get_image_uri(self, image: str) -> str:
        return str(self.folder / f"{image}.nii.gz")

    def get_label_uri(self, image: str, tag: str) -> str:
        return ""


def _fill(home: Path) -> None:
    model, cohort, studies = home / "models" / "tiny", home / "cohorts" / "some", home / "studies"
    for folder in (model, cohort, studies, home / "results"):
        folder.mkdir(parents=True, exist_ok=True)
    described = {"name": "tiny", "kind": "fast", "channels": ["FLAIR"], "labels": ["background", "lesion"]}
    (model / "model.json").write_text(json.dumps(described))
    for name in ("case1", "case2"):
        (studies / f"{name}.nii.gz").write_bytes(b"one")
    (cohort / "a.nii.gz").write_bytes(b"two")
    (cohort / "cases.csv").write_text("case_id,FLAIR,mask,centre,age\na,a.nii.gz,a.nii.gz,01,30\n")


def _never() -> None:
    raise NotImplementedError


async def _answer(app: Callable[..., Any], path: str, body: bytes) -> tuple[int, bytes]:
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80), "headers": [(b"content-type", b"application/json"), (b"host", b"localhost")],
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
