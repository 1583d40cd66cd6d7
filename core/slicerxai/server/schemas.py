"""What the explain routes receive and send."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from slicerxai.explain.contract import Subject
from slicerxai.server.jobs import Job, Kind, State

Text = Annotated[str, Field(max_length=256)]


SOURCES: dict[Subject, tuple[str, ...]] = {"case": ("image", "images", "session"), "cohort": ("cohort",)}
"""Fields of a request that name what a method of each subject explains; a cohort with a `case` is a case as well."""


class ExplainRequest(BaseModel):
    """What to explain, for which model, how. Exactly one of `image`, `images`, `session` and `cohort` is given."""

    model_config = ConfigDict(extra="forbid")

    image: Text | None = Field(default=None, description="Id of an image of the datastore.")
    images: dict[Text, Text] | None = Field(default=None, max_length=16, description="Image ids by modality.")
    session: Text | None = Field(default=None, description="Id of an uploaded session.")
    cohort: Text | None = Field(default=None, description="Name of a cohort; for the methods that explain cohorts.")
    case: Text | None = Field(
        default=None, description="Id of a case of the cohort; for the methods that explain cases."
    )
    sequence: list[Text] | None = Field(
        default=None,
        max_length=256,
        description="Ids of images of the same case that were recorded one after the other; for the methods that "
        "follow them, and models of one modality.",
    )
    model: Text | None = Field(default=None, description="Name of a model; not needed when there is just one.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Of the method; see GET /explain/.")

    @model_validator(mode="after")
    def _one_source(self) -> ExplainRequest:
        given = [name for name in (*SOURCES["case"], *SOURCES["cohort"]) if getattr(self, name) is not None]
        if len(given) != 1:
            msg = f"give exactly one of image, images, session and cohort; got {', '.join(given) or 'none'}"
            raise ValueError(msg)
        if self.case is not None and self.cohort is None:
            msg = "case names a case of a cohort: give cohort as well"
            raise ValueError(msg)
        return self

    def studies(self) -> list[str]:
        """What it is about: ids of images, of a session, a cohort, or "COHORT/CASE"."""
        named = [self.image, *(self.images or {}).values(), self.session, *(self.sequence or ())]
        cohort = self.cohort if self.case is None else f"{self.cohort}/{self.case}"
        return [name for name in (*named, cohort) if name is not None]


class JobError(BaseModel):
    """Why a job failed."""

    status: int
    title: str
    detail: str


class JobView(BaseModel):
    """A job as clients see it."""

    id: str
    kind: Kind
    method: str
    state: State
    fraction: float = Field(description="Share done, 0 to 1.")
    message: str
    eta: float | None = Field(description="Seconds left at the pace so far; null while unknown.")
    created: datetime
    started: datetime | None
    ended: datetime | None
    request: dict[str, Any] = Field(description="Can be sent again as it is to POST /explain/{method}.")
    key: str = Field(description="Address of the result; jobs with the same key share it.")
    error: JobError | None

    @classmethod
    def of(cls, job: Job) -> JobView:
        """The view of a job, now."""
        eta = job.eta(time.time())
        return cls(
            id=job.id,
            kind=job.kind,
            method=job.method,
            state=job.state,
            fraction=round(job.fraction, 4),
            message=job.message,
            eta=None if eta is None else round(eta, 1),
            created=_utc(job.created),
            started=None if job.started is None else _utc(job.started),
            ended=None if job.ended is None else _utc(job.ended),
            request=job.request,
            key=job.key,
            error=None if job.error is None else JobError.model_validate(job.error),
        )


class MethodView(BaseModel):
    """A method and what it can be asked."""

    name: str
    subject: Subject = Field(description="What it explains: a case (image, images or session) or a cohort.")
    title: str
    summary: str
    parameters: dict[str, Any] = Field(description="JSON schema.")


class ModelView(BaseModel):
    """A stored model."""

    name: str
    kind: str
    channels: list[str] = Field(description="Modality of each input channel.")
    labels: list[str]


class Catalogue(BaseModel):
    """What this server can explain."""

    version: str
    methods: list[MethodView]
    models: list[ModelView]
    unusable: dict[str, str] = Field(description="Stored models that cannot be read, with the reason.")


class ColumnView(BaseModel):
    """What the cases of a cohort have under one metadata key, and so what an environment can select on."""

    cases: int = Field(description="Cases that have it.")
    values: list[str | float] | None = Field(description="Distinct values, sorted; null when there are too many.")
    minimum: float | None = Field(description="Null for text.")
    maximum: float | None = Field(description="Null for text.")


class CohortView(BaseModel):
    """A cohort that this server knows."""

    name: str
    cases: int
    modalities: dict[str, int] = Field(description="Number of cases that have each modality.")
    raters: dict[str, int] = Field(description="Number of cases that have a mask of each rater.")
    metadata: dict[str, ColumnView]


class CohortsView(BaseModel):
    """The cohorts that this server knows."""

    cohorts: list[CohortView]
    unusable: dict[str, str] = Field(description="Folders that cannot be read as a cohort, with the reason.")


class CaseView(BaseModel):
    """A case of a cohort."""

    id: str
    modalities: list[str]
    raters: list[str] = Field(description="Raters whose masks it has.")
    metadata: dict[str, str | float]


class CohortCasesView(BaseModel):
    """A cohort case by case."""

    name: str
    cases: list[CaseView]


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
