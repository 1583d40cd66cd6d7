"""What is asked for of every case of a cohort, as plain data that travels to the workers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from slicerxai import __version__
from slicerxai.errors import InputError
from slicerxai.explain import registry
from slicerxai.explain.contract import ExplainParameters
from slicerxai.models.store import ModelStore, digest
from slicerxai.settings import settings

INFER = "infer"
"""Plain prediction, beside the methods of cases."""


@dataclass(frozen=True)
class Request:
    """What decides the content of all results of a folder.

    Attributes:
        method: `INFER`, or a registered method of cases.
        parameters: all of the method's parameters, defaults included and names resolved, as JSON has them.
        cohort: its name.
        rater: whose masks the method compares with.
        version: of this package.
    """

    method: str
    parameters: Mapping[str, Any]
    cohort: str
    model: str
    model_digest: str
    rater: str | None = None
    version: str = __version__

    def differing(self, other: Mapping[str, Any]) -> list[str]:
        """Names of what another request, as `asdict` gives it, has otherwise."""
        return [name for name, value in asdict(self).items() if other.get(name) != value]


@dataclass(frozen=True)
class Place:
    """The settings of whoever asks, which hold on the workers too.

    Attributes:
        home: the folder of models, alarms, ….
        device: as `SLICERXAI_DEVICE`.
        threads: CPU threads of one case.
    """

    home: Path
    device: str
    threads: int
    voxel_limit: int

    @property
    def environment(self) -> dict[str, str]:
        """The same as environment variables."""
        return {f"SLICERXAI_{name.upper()}": str(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class CaseWork:
    """Everything that a worker needs for one case.

    Attributes:
        case: its id.
        images: file of each of the model's modalities.
        mask: file of the rater's mask.
        folder: where the result is to be.
        run: an empty file that is there as long as somebody waits for results.
    """

    request: Request
    place: Place
    case: str
    images: Mapping[str, Path]
    mask: Path | None
    folder: Path
    run: Path


def case_method(name: str) -> registry.Entry:
    """The entry of a method of cases. Raises `NotFoundError` for an unknown one, `InputError` for one of cohorts."""
    entry = registry.entry(name)
    if entry.subject != "case":
        msg = f"{name} explains a whole cohort, not its cases; use: slicerxai explain {name} --cohort COHORT"
        raise InputError(msg)
    return entry


def request(
    method: str, parameters: ExplainParameters | None, model: str, cohort: str, rater: str | None = None
) -> Request:
    """A request for a stored model of this installation.

    Args:
        parameters: None for `INFER`, which has none.

    Raises:
        NotFoundError, InputError: no such model, and see `case_method`.
    """
    if method != INFER:
        case_method(method)
    model_digest = digest(ModelStore(settings().models).folder(model))
    values = {} if parameters is None else parameters.resolved(model_digest).model_dump(mode="json")
    return Request(method, values, cohort, model, model_digest, rater)


def place(threads: int) -> Place:
    """This process's settings for workers."""
    here = settings()
    return Place(here.home.absolute(), here.device, threads, here.voxel_limit)
