"""What the explain routes receive and send."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from slicerxai.server.jobs import Job, Kind, State

Text = Annotated[str, Field(max_length=256)]


class ExplainRequest(BaseModel):
    """Which image to explain, for which model, how. Exactly one of `image`, `images` and `session` is given."""

    model_config = ConfigDict(extra="forbid")

    image: Text | None = Field(default=None, description="Id of an image of the datastore.")
    images: dict[Text, Text] | None = Field(default=None, max_length=16, description="Image ids by modality.")
    session: Text | None = Field(default=None, description="Id of an uploaded session.")
    model: Text | None = Field(default=None, description="Name of a model; not needed when there is just one.")
    parameters: dict[str, Any] = Field(default_factory=dict, description="Of the method; see GET /explain/.")

    @model_validator(mode="after")
    def _one_source(self) -> ExplainRequest:
        given = [name for name in ("image", "images", "session") if getattr(self, name) is not None]
        if len(given) != 1:
            msg = f"give exactly one of image, images and session; got {', '.join(given) or 'none'}"
            raise ValueError(msg)
        return self


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


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
