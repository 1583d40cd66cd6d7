"""The worklist of a model: every image of a server with what is suspicious in it, and what its readers decided."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable, TypeVar

CLASSIFIER, SEGMENTER = "classifier", "segmenter"
ACCEPTED, CORRECTED, WRONG = "accepted", "corrected", "wrong"
DECISIONS = (ACCEPTED, CORRECTED, WRONG)

T = TypeVar("T")


@dataclass(frozen=True)
class Alarm:
    """What tells which predictions are suspicious.

    Attributes:
        score: what is measured, such as "distinctiveness".
        rule, action: how a score becomes a flag, and what becomes of a flagged prediction.
        cases: number of cases that it was fitted on.
    """

    id: str
    score: str
    rule: str
    action: str
    cases: int


@dataclass(frozen=True)
class ClassItem:
    """One class of an image.

    Attributes:
        probability: in [0, 1].
        distinctiveness: of its map from those of the other classes; None where it was not measured.
        suspicion: estimated probability that the prediction of this class is wrong; None where it was not scored.
        reason: why it is suspicious, in words; may be empty.
    """

    label: str
    probability: float
    predicted: bool
    distinctiveness: float | None
    suspicion: float | None
    flagged: bool
    reason: str


@dataclass(frozen=True)
class LesionItem:
    """One predicted lesion of an image.

    Attributes:
        number: its label in the label map.
        centre: R, A, S in mm.
        suspicion: estimated probability that it is no lesion; None where it was not scored.
    """

    number: int
    volume_ml: float
    probability: float
    suspicion: float | None
    flagged: bool
    reason: str
    centre: tuple[float, float, float]


@dataclass(frozen=True)
class Review:
    """What a reader decided.

    Attributes:
        decision: one of `DECISIONS`.
        labels: the corrected classes; None when nothing was corrected.
        time: ISO 8601.
    """

    decision: str
    labels: Mapping[str, bool] | None
    comment: str
    time: str


@dataclass(frozen=True)
class Item:
    """One image.

    Attributes:
        suspicion: expected number of wrong classes, or of false lesions; None while it is not scored.
        error: why it could not be scored; empty when it could.
        review: None while nobody has decided.
    """

    image: str
    scored: bool
    suspicion: float | None
    classes: tuple[ClassItem, ...]
    lesions: tuple[LesionItem, ...]
    error: str
    review: Review | None

    @property
    def open(self) -> bool:
        """Whether nobody has decided yet."""
        return self.review is None

    @property
    def flagged_classes(self) -> tuple[str, ...]:
        return tuple(one.label for one in self.classes if one.flagged)

    @property
    def flagged_lesions(self) -> int:
        return sum(lesion.flagged for lesion in self.lesions)

    @property
    def flagged(self) -> bool:
        return bool(self.flagged_classes or self.flagged_lesions)


@dataclass(frozen=True)
class Worklist:
    """The images of a server under one model, in the order in which they should be read.

    Attributes:
        digest: of the model; decisions hold for this very model.
        alarm: None while none is fitted for this model.
        scoring: the server is scoring images now.
    """

    model: str
    digest: str
    kind: str
    labels: tuple[str, ...]
    alarm: Alarm | None
    scoring: bool
    items: tuple[Item, ...]

    @property
    def settled(self) -> int:
        """Number of images that are scored, or of which it is known why they cannot be."""
        return sum(item.scored or bool(item.error) for item in self.items)

    def item(self, image: str) -> Item | None:
        """The item of an image; None when it is not in the list."""
        return next((item for item in self.items if item.image == image), None)


def worklist_of(document: Any) -> Worklist:
    """The worklist of a JSON answer. Raises `ValueError` when it is none."""
    try:
        return Worklist(
            model=_text(document["model"]),
            digest=_text(document["digest"]),
            kind=_one_of(document["kind"], (CLASSIFIER, SEGMENTER)),
            labels=tuple(map(_text, document["labels"])),
            alarm=_maybe(document["alarm"], _alarm),
            scoring=_bool(document["scoring"]),
            items=tuple(map(_item, document["items"])),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"not a worklist: {error!r}"
        raise ValueError(msg) from None


def item_of(document: Any) -> Item:
    """The item of a JSON answer. Raises `ValueError` when it is none."""
    try:
        return _item(document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"not an item of a worklist: {error!r}"
        raise ValueError(msg) from None


def _alarm(one: Any) -> Alarm:
    identifier, score, rule, action = (_text(one[name]) for name in ("id", "score", "rule", "action"))
    return Alarm(identifier, score, rule, action, int(one["cases"]))


def _item(one: Any) -> Item:
    return Item(
        image=_text(one["image"]),
        scored=_bool(one["scored"]),
        suspicion=_maybe(one["suspicion"], _number),
        classes=tuple(map(_class, one.get("classes") or ())),
        lesions=tuple(map(_lesion, one.get("lesions") or ())),
        error=_maybe(one.get("error"), _text) or "",
        review=_maybe(one["review"], _review),
    )


def _class(one: Any) -> ClassItem:
    return ClassItem(
        label=_text(one["label"]),
        probability=_number(one["probability"]),
        predicted=_bool(one["predicted"]),
        distinctiveness=_maybe(one.get("distinctiveness"), _number),
        suspicion=_maybe(one["suspicion"], _number),
        flagged=_bool(one["flagged"]),
        reason=_text(one["reason"]),
    )


def _lesion(one: Any) -> LesionItem:
    right, anterior, superior = map(_number, one["centre"])
    return LesionItem(
        number=int(one["lesion"]),
        volume_ml=_number(one["volume_ml"]),
        probability=_number(one["probability"]),
        suspicion=_maybe(one["suspicion"], _number),
        flagged=_bool(one["flagged"]),
        reason=_text(one["reason"]),
        centre=(right, anterior, superior),
    )


def _review(one: Any) -> Review:
    labels = one.get("labels")
    return Review(
        decision=_one_of(one["decision"], DECISIONS),
        labels=None if labels is None else {_text(label): _bool(value) for label, value in labels.items()},
        comment=_text(one.get("comment") or ""),
        time=_text(one["time"]),
    )


def _maybe(value: Any, read: Callable[[Any], T]) -> T | None:
    return None if value is None else read(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _one_of(value: Any, accepted: tuple[str, ...]) -> str:
    if value not in accepted:
        raise ValueError(value)
    return _text(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(value)
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise TypeError(value)
    return float(value)
