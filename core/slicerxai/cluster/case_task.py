"""What runs inside a worker: one case, from files to its folder of results."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from slicerxai import __version__
from slicerxai.cluster.request import INFER, CaseWork, Place
from slicerxai.data.digests import file_digest
from slicerxai.errors import Cancelled, ConflictError, InputError, UserError
from slicerxai.progress import Progress

if TYPE_CHECKING:
    from slicerxai.models.protocols import Model

WATCH_SECONDS = 1.0
"""How often a running case looks whether somebody still waits for it."""

_ONE_AT_A_TIME = threading.Lock()
"""Seeds, thread counts and hooks in networks belong to the process."""


@dataclass(frozen=True)
class Outcome:
    """How the work on one case ended, as plain data: an exception would be logged with the names of files, and those of
    other libraries do not always survive the way between processes.

    Attributes:
        state: `unfit` when this worker can compute no case at all, `stopped` when nobody waits any more.
        error: why, in words.
        seconds: that it took.
    """

    state: Literal["computed", "kept", "failed", "unfit", "stopped"]
    error: str
    seconds: float


class _UnfitError(UserError):
    """This worker cannot do what was asked for, whichever the case."""


def compute(work: CaseWork) -> Outcome:
    """Compute one case and put its results in place, unless they are there already. Never raises."""
    with _ONE_AT_A_TIME:
        clock = time.perf_counter()
        state, error = _state(work)
        return Outcome(state, error, round(time.perf_counter() - clock, 3))


def _state(work: CaseWork) -> tuple[Literal["computed", "kept", "failed", "unfit", "stopped"], str]:
    try:
        return _computed(work), ""
    except Cancelled:
        return "stopped", ""
    except _UnfitError as error:
        return "unfit", f"worker on {socket.gethostname()}: {error}"
    except UserError as error:
        return "failed", str(error)
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"


def _computed(work: CaseWork) -> Literal["computed", "kept"]:
    _check_worker(work)
    digests = input_digests(work)
    if is_finished(work, digests):
        return "kept"
    progress = _watching(work)
    model = _resident_model(work.place, work.request.model, work.request.model_digest)
    if work.request.method == INFER:
        _infer(work, model, digests, progress)
    else:
        _explain(work, model, digests, progress)
    return "computed"


def _check_worker(work: CaseWork) -> None:
    """Raises `_UnfitError` for another version or for folders that are not those of whoever asks."""
    if work.request.version != __version__:
        msg = f"has slicerxai {__version__}, but {work.request.version} asks; install the same"
        raise _UnfitError(msg)
    models = work.place.home / "models" / work.request.model
    for what, path in (("folder for results", work.run), ("model", models)):
        if not path.exists():
            where = "models, cohort and results have to lie where all workers see them, under the same path"
            msg = f"does not see the {what} ({path}): {where}"
            raise _UnfitError(msg)


def _watching(work: CaseWork) -> Progress:
    """Progress that raises `Cancelled` when nobody waits any more."""
    last = time.monotonic()

    def progress(fraction: float, message: str) -> None:
        nonlocal last
        del fraction, message
        now = time.monotonic()
        if now - last >= WATCH_SECONDS:
            last = now
            if not work.run.exists():
                raise Cancelled

    return progress


def input_digests(work: CaseWork) -> dict[str, str]:
    """SHA-256 of each file of the case, by modality and "mask". Raises `InputError` for one that cannot be read."""
    from slicerxai.explain.inputs import case_files

    found = {}
    for name, path in case_files(work.images, work.mask).items():
        try:
            found[name] = file_digest(path)
        except OSError as error:
            msg = f"{name} cannot be read on {socket.gethostname()} ({error.strerror}): {path}"
            raise InputError(msg) from None
    return found


def is_finished(work: CaseWork, digests: Mapping[str, str]) -> bool:
    """Whether the folder holds the results of this very request, made of these very files."""
    if not work.folder.is_dir():
        return False
    return _is_inferred(work, digests) if work.request.method == INFER else _is_explained(work, digests)


def _is_inferred(work: CaseWork, digests: Mapping[str, str]) -> bool:
    made = _summary(work.folder)
    asked = {"model_digest": work.request.model_digest, "package_version": work.request.version}
    return all(made.get(name) == value for name, value in (asked | {"inputs": dict(digests)}).items())


def _is_explained(work: CaseWork, digests: Mapping[str, str]) -> bool:
    from slicerxai.explain.folder import read_document

    asked = work.request
    try:
        document = read_document(work.folder)
    except InputError:
        return False
    made = document.provenance
    return (
        made is not None
        and (document.method, document.image_id, document.parameters) == (asked.method, work.case, asked.parameters)
        and (made.model_digest, made.package_version) == (asked.model_digest, asked.version)
        and made.inputs == {f"{work.case}/{name}": digest for name, digest in digests.items()}
    )


def _summary(folder: Path) -> dict[str, object]:
    from slicerxai.models.inference import LABELS, LESIONS

    for name in (LESIONS, LABELS):
        try:
            found = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            return found
    return {}


@lru_cache(maxsize=1)
def _resident_model(place: Place, name: str, digest: str) -> Model:
    """The model, loaded once for all cases of a request, and this process set up as whoever asks is."""
    from slicerxai.settings import settings

    os.environ |= place.environment
    settings.cache_clear()
    from slicerxai import runtime

    runtime.configure()
    from slicerxai.models.store import ModelStore

    try:
        model = ModelStore(settings().models).load(name, runtime.device())
    except UserError as error:
        raise _UnfitError(str(error)) from None
    if model.info.digest != digest:
        msg = f"model {name!r} is not the one that was asked for; it was replaced meanwhile"
        raise _UnfitError(msg)
    return model


def _infer(work: CaseWork, model: Model, digests: Mapping[str, str], progress: Progress) -> None:
    from slicerxai.data.files import replaced_folder
    from slicerxai.data.io import read_volume
    from slicerxai.models.inference import write_inference

    images = {modality: read_volume(path) for modality, path in work.images.items()}
    with replaced_folder(work.folder) as partial:
        write_inference(model, images, digests, partial, progress)


def _explain(work: CaseWork, model: Model, digests: Mapping[str, str], progress: Progress) -> None:
    from slicerxai.explain.result import save_result
    from slicerxai.explain.run import parse_parameters, run

    asked = work.request
    parameters = parse_parameters(asked.method, asked.parameters)
    explanation = run(asked.method, parameters, model, work.case, work.images, progress, work.mask)
    expected = {f"{work.case}/{name}": digest for name, digest in digests.items()}
    if explanation.provenance is None or explanation.provenance.inputs != expected:
        msg = f"a file of case {work.case!r} changed while it was read; run the same command again"
        raise ConflictError(msg)
    save_result(explanation, work.folder)
