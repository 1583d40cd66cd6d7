"""Fitted alarms on disk, below the digest of the model that they belong to."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from slicerxai.data.files import replaced_text
from slicerxai.errors import InputError, NotFoundError
from slicerxai.models.bound_files import IDENTIFIER, BoundFiles

if TYPE_CHECKING:
    from slicerxai.monitoring.alarm import Alarm
    from slicerxai.monitoring.lesion_alarm import LesionAlarm

AlarmKind = Literal["classes", "lesions"]
"""Alarms over the classes of a classifier, and over the lesions of a segmenter."""

FORMAT = 1


@dataclass(frozen=True)
class StoredAlarm:
    """An alarm and its address.

    Attributes:
        id: first 12 hexadecimal digits of the SHA-256 of the alarm's text and its model's digest.
        model: name of the model when the alarm was fitted.
        created: seconds since the epoch.
    """

    id: str
    kind: AlarmKind
    model: str
    created: float
    alarm: Alarm | LesionAlarm


class AlarmStore(BoundFiles):
    """The alarms below one folder, each a file `MODEL DIGEST/ID.json`. An alarm is there whole or not at all."""

    def save(self, model: str, alarm: Alarm | LesionAlarm) -> str:
        """Keep an alarm and return its id. The same alarm again has the same id and becomes the newest."""
        text = alarm.text()
        identifier = hashlib.sha256(f"{alarm.model_digest}\n{text}".encode()).hexdigest()[:12]
        content = {
            "format": FORMAT,
            "kind": _kind(alarm),
            "model": model,
            "model_digest": alarm.model_digest,
            "created": time.time(),
            "alarm": json.loads(text),
        }
        folder = self._folder(alarm.model_digest)
        folder.mkdir(parents=True, exist_ok=True)
        replaced_text(folder / f"{identifier}.json", json.dumps(content, indent=2))
        return identifier

    def newest(self, model_digest: str) -> StoredAlarm | None:
        """The alarm that was saved last for a model; None when it has none.

        Raises:
            InputError: a file of the store is damaged.
        """
        identifier = self.newest_id(model_digest)
        return None if identifier is None else self.load(identifier, model_digest)

    def load(self, identifier: str, model_digest: str) -> StoredAlarm:
        """The alarm of an id, for a model.

        Raises:
            InputError: no id of an alarm, or the file is damaged.
            NotFoundError: no such alarm.
            ConflictError: it was fitted for another model.
        """
        if not IDENTIFIER.fullmatch(identifier):
            msg = f"bad alarm id {identifier[:40]!r}; 12 hexadecimal digits are accepted"
            raise InputError(msg)
        path = next(iter(sorted(self.root.glob(f"*/{identifier}.json"))), None)
        if path is None:
            known = sorted(file.stem for file in self._files(model_digest))
            msg = f"no alarm {identifier!r}; of this model: {', '.join(known) or 'none, fit one with slicerxai alarm'}"
            raise NotFoundError(msg, accepted=known)
        content = self._content(path)
        alarm = _parser(content["kind"])(json.dumps(content["alarm"]), model_digest)
        return StoredAlarm(identifier, content["kind"], content["model"], content["created"], alarm)

    @staticmethod
    def _content(path: Path) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            sound = content["format"] == FORMAT and content["kind"] in get_args(AlarmKind) and content["alarm"]
            float(content["created"]), str(content["model"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            sound = False
        if not sound:
            msg = f"alarm {path.stem} is damaged; delete {path.name} below HOME/alarms and fit it again"
            raise InputError(msg)
        return content


def _kind(alarm: Alarm | LesionAlarm) -> AlarmKind:
    from slicerxai.monitoring.alarm import Alarm

    return "classes" if isinstance(alarm, Alarm) else "lesions"


def _parser(kind: AlarmKind) -> Callable[[str, str], Alarm | LesionAlarm]:
    if kind == "classes":
        from slicerxai.monitoring.alarm import Alarm

        return Alarm.parse
    from slicerxai.monitoring.lesion_alarm import LesionAlarm

    return LesionAlarm.parse
