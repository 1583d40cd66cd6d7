"""Scoring: which predictions of a model are likely to be wrong, image by image."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.scoring import ScoringMethod

from slicerxai.errors import ConflictError, InputError, UserError
from slicerxai.server.worker import ModelReference, without_paths
from slicerxai.server.worklist_schemas import ClassView, LesionView
from slicerxai.server.worklist_store import Record, stamps

if TYPE_CHECKING:
    from slicerxai.models.protocols import Model
    from slicerxai.monitoring.alarm_store import StoredAlarm
    from slicerxai.monitoring.case_reading import LesionOutcome
    from slicerxai.server.worklists import Scored, Worklists

logger = logging.getLogger(__name__)


class Quality(ScoringMethod):
    """Runs in the process that MONAI Label starts for it; what is scored is kept at once, so that stopping loses only
    the image at hand.
    """

    def __init__(self, worklists: Callable[[], Worklists]) -> None:
        super().__init__("How likely each prediction is wrong, by the model's alarm; fills GET /explain/worklist")
        self.worklists = worklists

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Score the images that have not been scored with this model and alarm.

        Args:
            request: "model", needed when more than one is stored.

        Returns:
            "model", and how many images were "scored", "skipped" and "unusable".

        Raises:
            ConflictError: the model has no alarm, or was replaced meanwhile.
        """
        from slicerxai import runtime

        worklists = self.worklists()
        model = worklists.model(request.get("model"))
        alarm = required_alarm(worklists, model)
        runtime.configure()
        loaded = worklists.models.load(model.name, runtime.device())
        if loaded.info.digest != model.digest:
            msg = f"model {model.name!r} was replaced meanwhile; score again"
            raise ConflictError(msg)
        images = worklists.images(model)
        count = {"scored": 0, "skipped": 0, "unusable": 0}
        for number, image in enumerate(images, 1):
            outcome = _score(worklists, model, loaded, alarm, image)
            count[outcome] += 1
            logger.info("image %d of %d, %s: %s", number, len(images), image, outcome)
        return {"model": model.name, **count}


def required_alarm(worklists: Worklists, model: Scored) -> StoredAlarm:
    """The alarm of a model. Raises `ConflictError` that says how to fit one."""
    alarm = worklists.alarm(model)
    if alarm is None:
        msg = f"model {model.name!r} has no alarm yet; fit one with: slicerxai alarm {model.name} COHORT"
        raise ConflictError(msg)
    return alarm


def _score(worklists: Worklists, model: Scored, loaded: Model, alarm: StoredAlarm, image: str) -> str:
    """Score one image and keep the record, or why there is none."""
    try:
        paths = worklists.paths(model, image)
    except UserError as error:
        logger.warning("%s: %s", image, error)
        return "unusable"  # the worklist finds the same reason by itself
    known = worklists.record(model, alarm, image, paths)
    if known is not None and known.error is None:
        return "skipped"
    found: dict[str, Any] = {}
    try:
        found = judged(loaded, paths, alarm)
    except UserError as error:
        found["error"] = without_paths(str(error), paths, _reference(worklists, model))
    except Exception as error:  # one image must not stop the others
        logger.exception("image %s cannot be scored", image)
        found["error"] = f"unexpected {type(error).__name__}; the server's log has the details"
    record = Record(image=image, files=stamps(paths), alarm=alarm.id, time=datetime.now(UTC), **found)
    worklists.store.keep_record(model.digest, record)
    return "scored" if record.error is None else "unusable"


def judged(model: Model, paths: Mapping[str, Path], alarm: StoredAlarm) -> dict[str, Any]:
    """What a record says of an image: "suspicion", and "classes" of a classifier or "lesions" of a segmenter.

    Raises:
        InputError: an unusable image.
    """
    from slicerxai.data.io import read_volume
    from slicerxai.models.protocols import Segmenter
    from slicerxai.monitoring.alarm import Alarm
    from slicerxai.monitoring.case_reading import judged_case, judged_lesions

    images = {channel: read_volume(path) for channel, path in paths.items()}
    if isinstance(model, Segmenter) and not isinstance(alarm.alarm, Alarm):
        lesions = [_lesion_view(one) for one in judged_lesions(model, images, alarm.alarm)]
        return {"suspicion": sum(one.suspicion for one in lesions), "lesions": lesions}
    if not isinstance(model, Segmenter) and isinstance(alarm.alarm, Alarm):
        outcomes = judged_case(model, images, alarm.alarm)
        classes = [ClassView.model_validate(asdict(outcome)) for outcome in outcomes]
        return {"suspicion": sum(one.suspicion for one in classes), "classes": classes}
    msg = f"alarm {alarm.id} is not of the model's kind; fit it again with slicerxai alarm"
    raise InputError(msg)


def _lesion_view(one: LesionOutcome) -> LesionView:
    lesion = one.lesion
    about = {"lesion": lesion.number, "volume_ml": lesion.volume_ml, "probability": lesion.mean_probability}
    judged = {"suspicion": one.suspicion, "flagged": one.flagged, "reason": one.reason}
    return LesionView.model_validate(about | judged | {"centre": lesion.centroid})


def _reference(worklists: Worklists, model: Scored) -> ModelReference:
    return ModelReference(worklists.models.root, model.name, model.digest)
