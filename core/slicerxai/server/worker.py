"""What runs inside a worker process."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicerxai.errors import Cancelled, ConflictError, InputError, UserError
from slicerxai.progress import Progress
from slicerxai.server.jobs import JobStore
from slicerxai.server.results import result_key

if TYPE_CHECKING:
    from slicerxai.data.cohort import Cohort
    from slicerxai.models.protocols import Model

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.2
RESIDENT_MODELS = 2

_models: OrderedDict[tuple[str, str], Model] = OrderedDict()


@dataclass(frozen=True)
class Failure:
    """Why work failed, as plain data: exceptions of other libraries do not always survive the way between processes.

    Attributes:
        status: HTTP status; below 500 it is the user's error and `detail` says what is accepted.
    """

    status: int
    detail: str


@dataclass(frozen=True)
class Success:
    """The value of work that ended well."""

    value: Any


@dataclass(frozen=True)
class Stopped:
    """Work that was cancelled."""


Outcome = Success | Failure | Stopped


@dataclass(frozen=True)
class ModelReference:
    """A stored model as it was when the job was submitted."""

    store: Path
    name: str
    digest: str


@dataclass(frozen=True)
class ExplainWork:
    """Everything that a worker needs for one explanation.

    Attributes:
        image_id: id of the case or name of the cohort.
        paths, digests: file and SHA-256 of each image, by modality; for a cohort see `slicerxai.explain.inputs`.
        results: the folder of all results.
        cohort: what a method of cohorts explains.
        mask: file of the expert's mask of a case; its SHA-256 is among the digests as "mask".
    """

    method: str
    parameters: Mapping[str, Any]
    image_id: str
    paths: Mapping[str, Path]
    digests: Mapping[str, str]
    model: ModelReference
    results: Path
    cohort: Cohort | None = None
    mask: Path | None = None

    @property
    def key(self) -> str:
        """Address of the result."""
        model = self.model
        return result_key(self.method, self.parameters, self.image_id, self.digests, model.name, model.digest)

    @property
    def result(self) -> Path:
        """The folder to write."""
        return self.results / self.key


def warm_up() -> None:
    """Prepare a worker once, so that no job waits for imports. A failed import is logged here and fails the jobs."""
    logging.basicConfig(level=logging.INFO, format="[%(asctime)s] [%(process)d] [%(levelname)s] %(name)s: %(message)s")
    end_with_parent()
    try:
        from slicerxai import runtime

        runtime.configure()
        import slicerxai.data.lesions
        import slicerxai.explain.folder
        import slicerxai.explain.run
        import slicerxai.models.fast
        import slicerxai.models.nnunet  # noqa: F401
        from slicerxai.explain import registry

        for method in registry.METHODS:
            registry.explainer(method)
    except Exception:
        logger.exception("a worker could not import everything")


def end_with_parent() -> None:
    """End this process as soon as its parent does, even when that was killed: nobody would fetch the work."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()


def execute(jobs: Path, computation: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    """Run `function(progress, *arguments)` for the jobs of a computation; progress goes to the job list."""
    store = _job_store(jobs)
    if not store.begin(computation, os.getpid()):
        return Stopped()
    try:
        return Success(function(_reporter(store, computation), *arguments))
    except UserError as error:
        return Failure(error.http_status, str(error))
    except Cancelled:
        return Stopped()
    except MemoryError:
        return Failure(500, "not enough memory for this image; use a smaller one or fewer worker processes")
    except Exception as error:
        logger.exception("computation %s failed", computation)
        return Failure(500, f"{type(error).__name__} in the worker; the server's log has it under {computation}")


def explain(progress: Progress, work: ExplainWork) -> None:
    """Compute and store one explanation, on the same path as the command line."""
    from slicerxai.explain.folder import save
    from slicerxai.explain.inputs import MASK
    from slicerxai.explain.run import parse_parameters, run, run_cohort

    try:
        model = resident_model(progress, work.model)
        parameters = parse_parameters(work.method, work.parameters)
        if work.cohort is None:
            explanation = run(work.method, parameters, model, work.image_id, work.paths, progress, work.mask)
        else:
            explanation = run_cohort(work.method, parameters, model, work.cohort, progress)
    except InputError as error:
        files = dict(work.paths) | ({} if work.mask is None else {MASK: work.mask})
        raise InputError(without_paths(str(error), files, work.model)) from None
    expected = {f"{work.image_id}/{name}": digest for name, digest in work.digests.items()}
    if explanation.provenance is None or explanation.provenance.inputs != expected:
        what = "image" if work.cohort is None else "cohort"
        msg = f"{what} {work.image_id!r} changed while the job waited; submit the request again"
        raise ConflictError(msg)
    if not work.result.is_dir():
        save(explanation, work.result)


def infer(progress: Progress, model: ModelReference, paths: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Segment one case and write its labelmap to `out`."""
    from slicerxai.data.io import read_volume, write_volume
    from slicerxai.data.lesions import find_lesions
    from slicerxai.models.protocols import segmenter

    clock = time.perf_counter()
    try:
        loaded = segmenter(resident_model(progress, model), model.name)
        volumes = {modality: read_volume(path) for modality, path in paths.items()}
        segmentation = loaded.predict(volumes, progress)
    except InputError as error:
        raise InputError(without_paths(str(error), paths, model)) from None
    lesions = find_lesions(segmentation.labelmap, segmentation.probability)
    write_volume(out, segmentation.labelmap)
    return {
        "labels": {name: index for index, name in enumerate(loaded.info.labels) if index},
        "lesions": [asdict(lesion) for lesion in lesions],
        "volume_ml": sum(lesion.volume_ml for lesion in lesions),
        "model_digest": loaded.info.digest,
        "seconds": round(time.perf_counter() - clock, 3),
    }


def resident_model(progress: Progress, reference: ModelReference) -> Model:
    """The model, kept in memory for the next job. Raises `ConflictError` when it was replaced since the submission."""
    from slicerxai import runtime
    from slicerxai.models.store import ModelStore, digest

    key = (reference.name, reference.digest)
    if key not in _models:
        progress(0.0, f"loading model {reference.name}")
        store = ModelStore(reference.store)
        model = store.load(reference.name, runtime.device())
        if digest(store.folder(reference.name)) != reference.digest:
            msg = f"model {reference.name!r} was replaced while the job waited; submit the request again"
            raise ConflictError(msg)
        _models[key] = model
        while len(_models) > RESIDENT_MODELS:
            _models.popitem(last=False)
    _models.move_to_end(key)
    return _models[key]


def without_paths(text: str, paths: Mapping[str, Path], model: ModelReference) -> str:
    """A message with names in place of the server's paths."""
    for name, path in paths.items():
        shown = f"{path.name} ({name})" if "/" in name else path.name
        text = text.replace(str(path), shown)
    return text.replace(str(model.store / model.name), model.name)


def _reporter(store: JobStore, computation: str) -> Progress:
    last = 0.0

    def progress(fraction: float, message: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < PROGRESS_SECONDS and fraction < 1:
            return
        last = now
        try:
            store.report(computation, min(1.0, max(0.0, fraction)), message)
        except sqlite3.OperationalError as error:
            logger.warning("progress of %s was not noted: %s", computation, error)

    return progress


@lru_cache(maxsize=1)
def _job_store(path: Path) -> JobStore:
    return JobStore(path)
