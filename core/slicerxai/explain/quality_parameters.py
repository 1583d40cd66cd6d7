"""Parameters of the quality check."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field

from slicerxai.explain.contract import ExplainParameters
from slicerxai.saliency.class_method import ClassMethod

NO_ALARM: Final = "none"


class QualityParameters(ExplainParameters):
    """By which alarm, and with which maps."""

    alarm: str | None = Field(
        default=None,
        pattern=rf"^([0-9a-f]{{12}}|{NO_ALARM})$",
        description="Id of an alarm that was fitted to the model; by default the newest one. none: measure without "
        "an alarm, so that nothing is flagged.",
    )
    saliency: ClassMethod = Field(
        default="lrp",
        description="How the maps of the classes are computed where the alarm does not say it: without an alarm, or "
        "with one that needs no maps.",
    )

    def resolved(self, model_digest: str) -> Self:
        """With the id of an alarm, or "none" where the model has none.

        Raises:
            NotFoundError, ConflictError: no such alarm, or that of another model. InputError: it is damaged.
        """
        from slicerxai.monitoring.alarm_store import AlarmStore
        from slicerxai.settings import settings

        store = AlarmStore(settings().alarms)
        if self.alarm is None:
            return self.model_copy(update={"alarm": store.newest_id(model_digest) or NO_ALARM})
        if self.alarm != NO_ALARM:
            store.load(self.alarm, model_digest)
        return self
