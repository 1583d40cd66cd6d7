"""The one contract of all methods: an `Explainer` turns inputs and `ExplainParameters` into an `Explanation`.

A method explains a model on one case (`Inputs`) or on a cohort (`CohortInputs`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from slicerxai.data.volume import Volume
from slicerxai.progress import Progress

if TYPE_CHECKING:
    from slicerxai.data.cohort import Cohort
    from slicerxai.models.protocols import Model

Verdict = Literal["reliable", "caution", "unreliable"]
Subject = Literal["case", "cohort"]
OverlayKind = Literal["image", "labelmap", "probability", "saliency", "counterfactual", "difference"]
VERDICTS: tuple[Verdict, ...] = ("reliable", "caution", "unreliable")
"""From best to worst."""


class ExplainParameters(BaseModel):
    """Base of every method's parameters: the single source of the REST schema, the command line and the forms."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, ge=0, lt=2**31, description="Seed of everything random in the method.")

    def resolved(self, model_digest: str) -> Self:
        """The same parameters with a name in place of each "newest", as it is now for a model of this digest.

        Called when a request is accepted, so that a result is addressed by what it was made from. Resolved parameters
        stay as they are.
        """
        return self


@dataclass(frozen=True)
class Inputs:
    """What a method of cases explains.

    Attributes:
        image_id: the datastore id, session id or file name of the case, for provenance and display.
        images: volumes by modality, such as {"FLAIR": …}.
        digests: SHA-256 of each image file, by modality, of the mask's as "mask", and of a sequence's as "sequence_1"….
        model: the loaded model whose decision is explained.
        mask: an expert's delineation of the finding, not 0 inside, on any grid; for the methods that compare with it.
        sequence: images of the same case that were recorded one after the other, each by modality; for the methods that
            follow them.
    """

    image_id: str
    images: Mapping[str, Volume]
    digests: Mapping[str, str]
    model: Model
    mask: Volume | None = None
    sequence: tuple[Mapping[str, Volume], ...] = ()


@dataclass(frozen=True)
class CohortInputs:
    """What a method of cohorts explains.

    Attributes:
        cohort_id: the cohort's name, for provenance and display.
        cohort: its cases with the model's modalities and all masks; other images are left out. Voxels are read when
            asked for. A case may lack a modality or a mask.
        digests: SHA-256 of each of these files, as "CASE/MODALITY" or "CASE/mask-RATER", and of "metadata".
        model: the loaded model that is explained.
    """

    cohort_id: str
    cohort: Cohort
    digests: Mapping[str, str]
    model: Model


class Check(BaseModel):
    """The outcome of one self-test of this very result.

    Attributes:
        value, limit: the measured number and the bound that it must keep; `value` is None where it is undefined.
        reason: one sentence in words for the reader of the result.
    """

    name: str
    value: float | None
    limit: float
    verdict: Verdict
    reason: str


class Flag(BaseModel):
    """Something a human should look at, such as one lesion or one label."""

    subject: str
    message: str


class Table(BaseModel):
    """Rows of plain values under named columns; units belong in the column's name."""

    title: str
    columns: list[str]
    rows: list[list[str | int | float | bool | None]]


class Provenance(BaseModel):
    """Where a result comes from; enough to compute it again."""

    package_version: str
    model: str
    model_digest: str
    inputs: dict[str, str] = Field(
        description="SHA-256 of every input: ID/MODALITY and ID/mask of a case; COHORT/CASE/MODALITY, "
        "COHORT/CASE/mask-RATER and COHORT/metadata of a cohort."
    )
    versions: dict[str, str] = Field(default_factory=dict, description="Versions of the libraries that computed it.")
    device: str = "cpu"
    threads: int = 1
    started: str = Field(default="", description="ISO 8601, UTC.")
    seconds: float = 0.0


@dataclass(frozen=True)
class Overlay:
    """A named volume of the result.

    Attributes:
        units: what one unit of the array means ("label", "probability", "logit", "mm", …).
    """

    volume: Volume
    kind: OverlayKind
    units: str
    description: str


@dataclass(frozen=True)
class Figure:
    """A finished picture."""

    png: bytes
    caption: str


@dataclass(frozen=True)
class Explanation:
    """Plain data: everything that a viewer, a report or another program needs of a result.

    Attributes:
        image_id: what was explained: the id of the case or the name of the cohort.
    """

    method: str
    parameters: dict[str, Any]
    image_id: str
    overlays: dict[str, Overlay] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    provenance: Provenance | None = None

    @property
    def verdict(self) -> Verdict:
        """The worst verdict of all checks; a result without a check is never called reliable."""
        if not self.checks:
            return "caution"
        return max((check.verdict for check in self.checks), key=VERDICTS.index)


I = TypeVar("I", Inputs, CohortInputs)  # noqa: E741
P = TypeVar("P", bound=ExplainParameters)


class Explainer(ABC, Generic[I, P]):
    """One small class per method.

    Attributes:
        subject: what `explain` gets: `Inputs` of a "case" or `CohortInputs` of a "cohort".
        name: as in `slicerxai explain NAME` and `POST /explain/NAME`.
        title, summary: for people.
        Parameters: the pydantic model of its parameters.
    """

    subject: ClassVar[Subject]
    name: ClassVar[str]
    title: ClassVar[str]
    summary: ClassVar[str]
    Parameters: ClassVar[type[ExplainParameters]]

    @abstractmethod
    def explain(self, inputs: I, parameters: P, progress: Progress) -> Explanation:
        """Compute the explanation. Raises `InputError` for bad input and `Cancelled` through `progress`."""
