"""What the worklist routes receive and send."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from slicerxai.server.schemas import Text

Decision = Literal["accepted", "corrected", "wrong"]
Kind = Literal["classifier", "segmenter"]


class ClassView(BaseModel):
    """One label of one image, as a classifier and its alarm see it."""

    label: str
    probability: float = Field(ge=0, le=1)
    predicted: bool
    distinctiveness: float | None = Field(description="Of its saliency map; null when the alarm's score needs none.")
    suspicion: float = Field(ge=0, le=1, description="Estimated probability that this prediction is wrong.")
    flagged: bool
    reason: str


class LesionView(BaseModel):
    """One predicted lesion, as a segmenter and its alarm see it."""

    lesion: int
    volume_ml: float
    probability: float = Field(ge=0, le=1, description="Mean over the lesion.")
    suspicion: float = Field(ge=0, le=1, description="Estimated probability that there is no lesion.")
    flagged: bool
    reason: str
    centre: tuple[float, float, float] = Field(description="R, A, S in mm.")


class Review(BaseModel):
    """What a reader said of the predictions for an image."""

    decision: Decision
    labels: dict[str, bool] | None = Field(
        description="What is true according to the reader: as predicted when accepted; null when unknown."
    )
    comment: str
    time: datetime


class ReviewRequest(BaseModel):
    """A reader's decision on one image."""

    model_config = ConfigDict(extra="forbid")

    model: Text
    digest: Text = Field(description="Of the model whose predictions were read, as the worklist has it.")
    decision: Decision
    labels: dict[Text, Annotated[bool, Field(strict=True)]] | None = Field(
        default=None, max_length=1000, description="All labels of a classifier, with the decision corrected."
    )
    comment: Annotated[str, Field(max_length=4000)] = ""


class Item(BaseModel):
    """One image of the worklist."""

    image: str
    scored: bool
    suspicion: float | None = Field(
        description="Expected number of wrong classes (classifier) or of false lesions (segmenter)."
    )
    classes: list[ClassView] | None = Field(description="Of a classifier.")
    lesions: list[LesionView] | None = Field(description="Of a segmenter.")
    error: str | None = Field(description="Why the image could not be scored.")
    review: Review | None


class AlarmView(BaseModel):
    """The alarm that scores the images."""

    id: str
    score: str
    rule: str
    action: str
    cases: int = Field(description="Labelled cases on which it was fitted.")


class Worklist(BaseModel):
    """The images of the datastore: not reviewed before reviewed, most suspicious first, those without a score last."""

    model: str
    digest: str
    kind: Kind
    labels: list[str]
    alarm: AlarmView | None
    scoring: bool = Field(description="Whether a scoring task runs.")
    items: list[Item]
