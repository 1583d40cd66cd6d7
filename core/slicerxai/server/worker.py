"""What runs inside a worker process."""

from __future__ import annotations

import contextlib
import errno
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
from slicerxai.server import logs
from slicerxai.server.jobs import JobStore
from slicerxai.server.memory import limit_memory, worker_limit
from slicerxai.server.results import result_key
from slicerxai.server.storage import FULL, UNUSABLE, storage_error
from slicerxai.settings import settings

if TYPE_CHECKING:
    from slicerxai.data.cohort import Cohort
    from slicerxai.models.protocols import Model

logger = logging.getLogger(__name__)

PROGRESS_SECONDS = 0.2
PATIENCE_SECONDS = 60.0
"""So long is a result that was computed kept in memory when it cannot be stored."""
RETRY_SECONDS = 1.0
RESIDENT_MODELS = 2
NICENESS = 10
"""Workers yield to the server's own process, which answers while they compute."""

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
        sequence: files of images of the case in their order; their SHA-256 are among the digests as "sequence_1", ….
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
    sequence: tuple[Path, ...] = ()

    @property
    def key(self) -> str:
        """Address of the result."""
        model = self.model
        return result_key(self.method, self.parameters, self.image_id, self.digests, model.name, model.digest)

    @property
    def result(self) -> Path:
        """The folder to write."""
        return self.results / self.key


@dataclass(frozen=True)
class InferWork:
    """Everything that a worker needs for one segmentation.

    Attributes:
        paths, digests: file and SHA-256 of each image, by modality.
        out: the labelmap's file; the suffix names the format.
    """

    model: ModelReference
    paths: Mapping[str, Path]
    digests: Mapping[str, str]
    out: Path


def warm_up() -> None:
    """Prepare a worker once, so that no job waits for imports. A failed import is logged here and fails the jobs."""
    logs.configure_worker()
    end_with_parent()
    try:
        import_all()
        limit_memory()
    except Exception:
        logger.exception("a worker could not import everything")


def import_all() -> None:
    """Import what jobs need, and set what is of the process."""
    from slicerxai import runtime

    runtime.configure()
    import slicerxai.data.lesions
    import slicerxai.explain.folder
    import slicerxai.explain.run
    import slicerxai.models.fast
    from slicerxai.explain import registry
    from slicerxai.models.store import ModelStore

    for method in registry.METHODS:
        registry.explainer(method)
    if "nnunet" in ModelStore(settings().models).kinds():  # it takes a quarter of all this
        import slicerxai.models.nnunet  # noqa: F401


def lower_priority() -> None:
    """Let other processes go first, where the system has priorities."""
    if hasattr(os, "setpriority"):
        with contextlib.suppress(OSError):  # where the system does not let a process lower its priority
            os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))


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
    logs.JOB.set(computation)
    try:
        store = _begun(jobs, computation)
        if store is None:
            return Stopped()
        return Success(function(_reporter(store, computation), *arguments))
    except UserError as error:
        return Failure(error.http_status, str(error))
    except Cancelled:
        return Stopped()
    except Exception as error:
        return _failure(error, computation, jobs.parent)
    finally:
        logs.JOB.set("")
        logs.REQUEST.set("")


def explain(progress: Progress, work: ExplainWork) -> None:
    """Compute and store one explanation, on the same path as the command line."""
    from slicerxai.explain.folder import save
    from slicerxai.explain.inputs import case_files
    from slicerxai.explain.run import parse_parameters, run, run_cohort

    logs.redaction.learn([work.image_id])
    try:
        model = resident_model(progress, work.model)
        parameters = parse_parameters(work.method, work.parameters)
        if work.cohort is None:
            explanation = run(
                work.method, parameters, model, work.image_id, work.paths, progress, work.mask, work.sequence
            )
        else:
            explanation = run_cohort(work.method, parameters, model, work.cohort, progress)
    except InputError as error:
        files = case_files(work.paths, work.mask, work.sequence)
        raise InputError(without_paths(str(error), files, work.model)) from None
    expected = {f"{work.image_id}/{name}": digest for name, digest in work.digests.items()}
    if explanation.provenance is None or explanation.provenance.inputs != expected:
        what = "image" if work.cohort is None else "cohort"
        msg = f"{what} {work.image_id!r} changed while the job waited; submit the request again"
        raise ConflictError(msg)
    if not work.result.is_dir():
        patiently(progress, lambda: save(explanation, _place(work.result)))


def infer(progress: Progress, work: InferWork) -> dict[str, Any]:
    """Segment one case and write its labelmap. Messages name the images as `with_names` expects it."""
    from slicerxai.data.digests import file_digest
    from slicerxai.data.io import read_volume, write_volume
    from slicerxai.data.lesions import find_lesions
    from slicerxai.models.protocols import segmenter

    clock = time.perf_counter()
    try:
        loaded = segmenter(resident_model(progress, work.model), work.model.name)
        volumes = {modality: read_volume(path) for modality, path in work.paths.items()}
        segmentation = loaded.predict(volumes, progress)
    except InputError as error:
        text = str(error)
        for modality, path in work.paths.items():
            text = text.replace(str(path), _placeholder(modality))
        raise InputError(without_paths(text, {}, work.model)) from None
    if {modality: file_digest(path) for modality, path in work.paths.items()} != work.digests:
        msg = "an image changed while the request waited; send it again"
        raise ConflictError(msg)
    lesions = find_lesions(segmentation.labelmap, segmentation.probability)
    write_volume(work.out, segmentation.labelmap)
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


def with_names(text: str, paths: Mapping[str, Path]) -> str:
    """A message of `infer` with the names of one request's files, which those that share its work need not see."""
    for modality, path in paths.items():
        text = text.replace(_placeholder(modality), path.name)
    return text


def _placeholder(modality: str) -> str:
    return f"<{modality} image>"


def patiently(progress: Progress, store: Callable[[], None]) -> None:
    """Store what took long to compute; tried again for a while when the disk is full or the folder is gone."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return store()
        except OSError as error:
            if error.errno not in FULL | UNUSABLE | {errno.ENOENT} or time.monotonic() > deadline:
                raise
            logger.warning("the result cannot be stored, trying again: %s", error)
        progress(0.99, "computed; waiting for space on the disk, or for its folder")
        time.sleep(RETRY_SECONDS)


def _place(result: Path) -> Path:
    """The folder to be, unless the one that holds all results is gone: it must not be made again elsewhere."""
    if not result.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder of the results is gone", str(result.parent))
    return result


def _begun(jobs: Path, computation: str) -> JobStore | None:
    """The job list, in which the computation has begun; None when nobody waits for it any more.

    A list that cannot be written just now stops nothing: the server that waits notes the end itself.
    """
    store = _job_store(jobs)
    try:
        if not store.begin(computation, os.getpid()):
            return None
        logs.REQUEST.set(next((job.request_id for job in store.of_computation(computation)), ""))
    except (OSError, sqlite3.OperationalError) as error:
        logger.warning("the beginning of %s was not noted: %s", computation, error)
    return store


def _failure(error: Exception, computation: str, folder: Path) -> Failure:
    if isinstance(error, MemoryError) or _says_out_of_memory(error):
        allowed = f"one worker may take {worker_limit() / 2**30:.3g} GiB here (SLICERXAI_MEMORY_LIMIT)"
        return Failure(422, f"not enough memory for this image; use a smaller one, {allowed}")
    fault = storage_error(error, (folder,))
    if fault is not None:
        logger.warning("what %s computed could not be stored: %s", computation, error)
        return Failure(fault.http_status, str(fault))
    logger.error("computation %s failed", computation, exc_info=error)
    return Failure(500, f"{type(error).__name__} in the worker; the server's log has it under {computation}")


def _says_out_of_memory(error: Exception) -> bool:
    """torch has no error class for it on the CPU."""
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)


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
        except (OSError, sqlite3.OperationalError) as error:
            logger.warning("progress of %s was not noted: %s", computation, error)

    return progress


@lru_cache(maxsize=1)
def _job_store(path: Path) -> JobStore:
    return JobStore(path)
