"""Train tasks: learn from the labels that annotators have submitted."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_origin

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.train import TrainTask
from pydantic import BaseModel

from slicerxai.data.case import Case
from slicerxai.errors import ConflictError, InputError
from slicerxai.models.store import ModelStore
from slicerxai.models.training import PARAMETERS, train
from slicerxai.monitoring.after_training import fit_after_training
from slicerxai.monitoring.alarm_store import AlarmStore
from slicerxai.parameters import validate_parameters
from slicerxai.progress import Progress
from slicerxai.server.monailabel.image_files import channel_paths
from slicerxai.settings import settings

if TYPE_CHECKING:
    import torch

    from slicerxai.models.protocols import ModelInfo

logger = logging.getLogger(__name__)

RATER = "submitted"
MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
OWN_KEYS = ("name", "resume")
IGNORED_KEYS = ("model", "gpus", "device", "local_rank", "client_id")
"""What MONAI Label or its clients add to a request and this task has no use for."""


class TrainOnLabels(TrainTask):
    """Trains one kind of segmenter; runs in the process that MONAI Label starts for it, which cancelling kills."""

    rater: str | None = RATER

    def __init__(self, kind: str, store: ModelStore, description: str | None = None) -> None:
        super().__init__(
            description or f"Train a {kind!r} model on the submitted labels; a checkpoint lets it be resumed"
        )
        self.kind = kind
        self.store = store

    @property
    def parameter_model(self) -> type[BaseModel]:
        """What the request's parameters are."""
        return PARAMETERS[self.kind]

    def cases(self, datastore: Datastore, parameters: Any) -> tuple[list[Case], Any]:
        """What to learn from, and the parameters to learn it with. Raises `ConflictError` when there is nothing."""
        return labelled_cases(datastore, parameters.channels), parameters

    def prepared(self, cases: list[Case], parameters: Any) -> tuple[list[Case], Any]:
        """Cases and parameters after work that takes time and is done in the training's own process."""
        return cases, parameters

    def config(self) -> dict[str, Any]:
        """Defaults in forms that MONAI Label's clients can edit: choices as lists, tuples as text with commas."""
        defaults: dict[str, Any] = {"name": self.kind, "resume": False}
        for name, field in self.parameter_model.model_fields.items():
            default = field.default
            if get_origin(field.annotation) is Literal:
                choices = [c for c in field.annotation.__args__ if c != default]  # type: ignore[union-attr]
                default = [default, *choices]
            elif isinstance(default, tuple):
                default = ",".join(map(str, default))
            defaults[name] = default
        return defaults

    def stats(self) -> dict[str, Any]:
        """Provenance of the model that this task trains by default, when there is one."""
        return dict(self.store.describe(self.kind)["provenance"]) if self.kind in self.store.names() else {}

    def parse(self, request: Mapping[str, Any]) -> tuple[str, bool, Any]:
        """Name of the model, whether to resume, and parameters. Raises `InputError` naming every bad value."""
        name, resume = request.get("name", self.kind), request.get("resume", False)
        if not isinstance(name, str) or not MODEL_NAME.fullmatch(name):
            msg = f"bad model name {name!r}; letters, digits, '-' and '_' are accepted, at most 64"
            raise InputError(msg)
        if not isinstance(resume, bool):
            msg = f"bad resume {resume!r}; true and false are accepted"
            raise InputError(msg)
        model = self.parameter_model
        values = {
            key: _plain(model, key, value) for key, value in request.items() if key not in OWN_KEYS + IGNORED_KEYS
        }
        return name, resume, validate_parameters(model, values, f"train {self.kind}")

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train; `GET /train/` shows the log lines. Returns name, kind, digest, provenance and alarm."""
        from slicerxai import runtime

        name, resume, parameters = self.parse(request)
        cases, parameters = self.cases(datastore, parameters)
        runtime.configure()
        logger.info("training %r (%s) on %d labelled images", name, self.kind, len(cases))
        cases, parameters = self.prepared(cases, parameters)
        info = self.train(name, cases, parameters, runtime.device(), resume=resume)
        logger.info("model %r is ready", name)
        model = self.store.load(name, runtime.device())
        alarm = fit_after_training(model, cases, AlarmStore(settings().alarms), rater=RATER, progress=logged())
        logger.info(alarm.message)
        return {
            "name": info.name,
            "kind": info.kind,
            "digest": info.digest,
            "provenance": dict(info.provenance),
            "images": [case.id for case in cases],
            "alarm": {"id": alarm.id, "message": alarm.message},
        }

    def train(
        self, name: str, cases: Sequence[Case], parameters: Any, device: torch.device, *, resume: bool
    ) -> ModelInfo:
        """Put the trained model into the store."""
        return train(
            self.kind,
            cases,
            rater=self.rater,
            parameters=parameters,
            store=self.store,
            name=name,
            device=device,
            progress=logged(),
            resume=resume,
        )


def labelled_cases(datastore: Datastore, channels: tuple[str, ...]) -> list[Case]:
    """A case for each image with a submitted label. Raises `ConflictError` when there is none."""
    tag = DefaultLabelTag.FINAL.value
    cases = [
        Case(
            id=image,
            images=channel_paths(datastore, image, channels),
            masks={RATER: Path(datastore.get_label_uri(image, tag))},
        )
        for image in sorted(datastore.get_labeled_images())
    ]
    if not cases:
        msg = "no image has a submitted label yet; submit labels (PUT /datastore/label?tag=final), then train"
        raise ConflictError(msg)
    return cases


def _plain(model: type[BaseModel], key: str, value: Any) -> Any:
    """A value as the parameter model takes it: comma-separated text becomes a list where a tuple is expected."""
    field = model.model_fields.get(key)
    if field is not None and isinstance(field.default, tuple) and isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def logged(seconds: float = 2.0) -> Progress:
    """Progress as log lines, one every so many seconds and at the end."""
    last = -seconds

    def progress(fraction: float, message: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= seconds or fraction >= 1:
            last = now
            logger.info("%3.0f %% %s", 100 * fraction, message)

    return progress
