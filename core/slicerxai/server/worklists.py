"""The worklist of a model over the images of the datastore: reading it, and writing decisions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slicerxai.errors import ConflictError, InputError, NotFoundError, UserError
from slicerxai.models.store import ModelStore
from slicerxai.monitoring.alarm import Alarm
from slicerxai.monitoring.alarm_store import AlarmStore, StoredAlarm
from slicerxai.monitoring.lesion_alarm import LesionAlarm
from slicerxai.server.monailabel.image_files import KnowsSequences, case_images
from slicerxai.server.schemas import ExplainRequest
from slicerxai.server.sources import ID, Sources, checked
from slicerxai.server.worklist import item, ordered
from slicerxai.server.worklist_schemas import AlarmView, Item, Kind, Review, ReviewRequest, Worklist
from slicerxai.server.worklist_store import FOLDER, KeptReview, Record, WorklistStore, stamps

logger = logging.getLogger(__name__)

BACKGROUND = "background"
LESION_SCORE = "lesion features"


@dataclass(frozen=True)
class Scored:
    """A stored model whose predictions are read.

    Attributes:
        labels: without the background.
        digest: of the model's files as they are now.
    """

    name: str
    digest: str
    kind: Kind
    channels: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Worklists:
    """The worklists of all models over one datastore.

    Attributes:
        digest_of: gives the digest of a stored model by its name.
    """

    models: ModelStore
    digest_of: Callable[[str], str]
    sources: Sources
    alarms: AlarmStore

    @property
    def store(self) -> WorklistStore:
        return WorklistStore(self.sources.images_root / FOLDER)

    def model(self, name: str | None) -> Scored:
        """The model of that name, or the only one. Raises `NotFoundError`, `InputError`."""
        try:
            known = self.models.resolve(name)
        except (InputError, NotFoundError) as error:
            raise type(error)(str(error), accepted=self.models.names()) from None
        description = self.models.describe(known)
        return Scored(
            name=known,
            digest=self.digest_of(known),
            kind="classifier" if description["kind"] == "classifier" else "segmenter",
            channels=tuple(description["channels"]),
            labels=tuple(label for label in description["labels"] if label != BACKGROUND),
        )

    def alarm(self, model: Scored) -> StoredAlarm | None:
        """The alarm that was fitted last for a model. Raises `InputError` when its file is damaged."""
        return self.alarms.newest(model.digest)

    def paths(self, model: Scored, image: str) -> dict[str, Path]:
        """The image file of each channel. Raises `InputError`, `NotFoundError`."""
        return self.sources.resolve(ExplainRequest(image=image), model.channels)[1]

    def images(self, model: Scored) -> list[str]:
        """Ids of the images to read; one for each case where the model has several channels."""
        return case_images(self.sources.datastore, model.channels)

    def view(self, name: str | None, *, scoring: Callable[[str], bool]) -> Worklist:
        """The whole list.

        Args:
            scoring: tells whether a scoring task runs for a model.
        """
        model = self.model(name)
        alarm = self.alarm(model)
        items = [self._item(model, alarm, image) for image in self.images(model)]
        return Worklist(
            model=model.name,
            digest=model.digest,
            kind=model.kind,
            labels=list(model.labels),
            alarm=None if alarm is None else _alarm_view(alarm),
            scoring=scoring(model.name),
            items=ordered(items),
        )

    def items(self, model: Scored) -> list[Item]:
        """The images in the order of the list."""
        alarm = self.alarm(model)
        return ordered(self._item(model, alarm, image) for image in self.images(model))

    def decide(self, image: str, request: ReviewRequest) -> Item:
        """Keep a reader's decision.

        Raises:
            NotFoundError: no such image or model.
            ConflictError: the model was replaced since it was read, or nothing was predicted that could be accepted.
            InputError: labels that do not fit model or decision, or unusable image files.
        """
        model = self.model(request.model)
        self._known(model, image)
        if request.digest != model.digest:
            msg = (
                f"model {model.name!r} is not the one whose predictions were read (digest {request.digest[:12]!r}, "
                f"now {model.digest[:12]!r}); fetch the worklist again"
            )
            raise ConflictError(msg)
        alarm = self.alarm(model)
        now = self._item(model, alarm, image)
        review = Review(
            decision=request.decision,
            labels=_labels(model, now, request),
            comment=request.comment,
            time=datetime.now(UTC),
        )
        files = stamps(self.paths(model, image))
        self.store.keep_review(model.digest, KeptReview(image=image, files=files, model=model.name, review=review))
        return self._item(model, alarm, image)

    def undo(self, image: str, name: str | None) -> Item:
        """Forget a decision; nothing happens where there is none. Raises `NotFoundError`, `InputError`."""
        model = self.model(name)
        self._known(model, image)
        self.store.remove_review(model.digest, image)
        return self._item(model, self.alarm(model), image)

    def record(self, model: Scored, alarm: StoredAlarm, image: str, paths: Mapping[str, Path]) -> Record | None:
        """What scoring found of these very files with this alarm; None when they are still to be scored."""
        kept = self.store.record(model.digest, image)
        return kept if kept is not None and kept.alarm == alarm.id and kept.is_of(paths) else None

    def reviewed_labels(self) -> dict[str, dict[str, bool]]:
        """What readers found to be true of each image: the newest review, under whichever model, that says it.

        Left out are images whose files have changed since.
        """
        found = {}
        for image in sorted(self.sources.datastore.list_images()):
            for kept in self.store.reviews(image):
                if kept.review.labels is not None and self._unchanged(kept):
                    found[image] = dict(kept.review.labels)
                    break
        return found

    def _unchanged(self, kept: KeptReview) -> bool:
        try:
            return kept.is_of(self.sources.resolve(ExplainRequest(image=kept.image), tuple(kept.files))[1])
        except UserError:
            return False

    def _known(self, model: Scored, image: str) -> None:
        checked(image, ID, "image id")
        if image not in self.images(model):
            msg = f"no image {image!r} in the worklist of model {model.name!r}; GET /explain/worklist lists them"
            raise NotFoundError(msg)

    def _item(self, model: Scored, alarm: StoredAlarm | None, image: str) -> Item:
        if isinstance(self.sources.datastore, KnowsSequences) and not self.store.keeps(model.digest, image):
            return item(image, None, None)  # an archive's images are not fetched for being listed
        try:
            paths = self.paths(model, image)
        except UserError as error:
            return item(image, None, None).model_copy(update={"error": str(error)})
        record = None if alarm is None else self.record(model, alarm, image, paths)
        kept = self.store.review(model.digest, image)
        review = kept.review if kept is not None and kept.is_of(paths) else None
        return item(image, record, review)


def _alarm_view(stored: StoredAlarm) -> AlarmView:
    alarm: Alarm | LesionAlarm = stored.alarm
    about: dict[str, Any] = {"id": stored.id, "cases": len(stored.alarm.cases)}
    if isinstance(alarm, Alarm):
        chosen = alarm.parameters
        return AlarmView(score=chosen.score, rule=chosen.rule, action=chosen.action, **about)
    return AlarmView(score=LESION_SCORE, rule=alarm.parameters.rule, action="review", **about)


def _labels(model: Scored, now: Item, request: ReviewRequest) -> dict[str, bool] | None:
    """What is true by the decision. Raises `InputError`, `ConflictError`."""
    if request.decision != "corrected" or model.kind == "segmenter":
        if request.labels is not None:
            what = "a segmenter's masks are corrected with PUT /datastore/label" if model.kind == "segmenter" else ""
            msg = f"labels belong to the decision 'corrected' on a classifier; leave them out{what and ': ' + what}"
            raise InputError(msg)
        if request.decision != "accepted":
            return None
        if not now.scored:
            msg = f"image {now.image!r} has not been scored, so there is nothing to accept; POST /scoring/quality"
            raise ConflictError(msg)
        return {one.label: one.predicted for one in now.classes} if now.classes is not None else None
    if request.labels is None or set(request.labels) != set(model.labels):
        msg = f"decision 'corrected' needs labels, true or false for each of {', '.join(model.labels)}"
        raise InputError(msg, accepted=model.labels)
    return {label: request.labels[label] for label in model.labels}
