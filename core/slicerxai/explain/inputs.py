"""What a method may read, and its digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from slicerxai.data.cohort import Cohort, Environment
from slicerxai.data.digests import known_digest
from slicerxai.errors import InputError
from slicerxai.progress import Progress, silent

METADATA = "metadata"
MASK = "mask"
"""Name of the expert's mask among the digests of a case; modalities are upper-case."""


def case_files(paths: Mapping[str, Path], mask: Path | None, sequence: Sequence[Path] = ()) -> dict[str, Path]:
    """Every file of a case by the name of its digest: the modalities, "mask", "sequence_1", …."""
    found = dict(paths) | ({} if mask is None else {MASK: mask})
    return found | {f"sequence_{number}": path for number, path in enumerate(sequence, start=1)}


def check_sequence(sequence: Sequence[object], channels: Sequence[str]) -> None:
    """Raises `InputError` for a sequence of images for a model of several modalities."""
    if sequence and len(channels) > 1:
        msg = f"a sequence holds one image for each step, but the model needs {', '.join(channels)}; leave it out"
        raise InputError(msg)


def readable(cohort: Cohort, channels: Sequence[str]) -> Cohort:
    """The cohort with the images of a model's channels alone, and all masks.

    Raises:
        InputError: no case has one of the channels, or cases share an id.
    """
    missing = [channel for channel in channels if channel not in cohort.modalities]
    if missing:
        has = ", ".join(cohort.modalities) or "none"
        msg = (
            f"the model needs {', '.join(channels)}, but no case of cohort {cohort.name!r} has {', '.join(missing)}; "
            f"its images are {has}"
        )
        raise InputError(msg, accepted=cohort.modalities)
    ids = [case.id for case in cohort]
    if repeated := sorted({name for name in ids if ids.count(name) > 1}):
        msg = f"cohort {cohort.name!r} has several cases named {', '.join(repeated[:5])}; give each an id of its own"
        raise InputError(msg)
    cases = [replace(case, images={key: case.images[key] for key in channels if key in case.images}) for case in cohort]
    return Cohort(cohort.name, tuple(cases))


def cohort_files(cohort: Cohort) -> dict[str, Path]:
    """Every file of the cohort, as "CASE/MODALITY" and "CASE/mask-RATER"."""
    found: dict[str, Path] = {}
    for case in cohort:
        found |= {f"{case.id}/{modality}": path for modality, path in case.images.items()}
        found |= {f"{case.id}/mask-{rater}": path for rater, path in case.masks.items()}
    return found


def cohort_digests(cohort: Cohort, progress: Progress = silent) -> dict[str, str]:
    """SHA-256 of every file (see `cohort_files`), and of all metadata as "metadata".

    Files that this process has read before, unchanged by time and size, are not read again.

    Raises:
        InputError: a file is gone or cannot be read.
    """
    about = [[case.id, dict(case.metadata)] for case in cohort]
    found = {METADATA: hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()}
    paths = cohort_files(cohort)
    for index, (name, path) in enumerate(paths.items()):
        progress(index / len(paths), f"checking file {index + 1} of {len(paths)}")
        try:
            found[name] = known_digest(path)
        except OSError as error:
            msg = f"{name} of cohort {cohort.name!r} cannot be read ({error.strerror})"
            raise InputError(msg) from None
    return found


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Names whose digests differ, sorted."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def check_environments(parameters: BaseModel, cohort: Cohort) -> None:
    """Select every `Environment` among the parameters once.

    Raises:
        InputError: naming the parameter whose environment selects nothing, and what there is.
    """
    for name in type(parameters).model_fields:
        environment = getattr(parameters, name)
        if isinstance(environment, Environment):
            try:
                cohort.select(environment)
            except InputError as error:
                msg = f"{name}: {error}"
                raise InputError(msg, accepted=error.accepted) from None
