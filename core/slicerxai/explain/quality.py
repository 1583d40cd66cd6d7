"""Which predictions for a case should be read again?"""

from __future__ import annotations

from typing import ClassVar

from slicerxai.errors import ConflictError
from slicerxai.explain.contract import Explainer, Explanation, Inputs, Subject
from slicerxai.explain.quality_classes import explain_classes
from slicerxai.explain.quality_parameters import NO_ALARM, QualityParameters
from slicerxai.models.protocols import Segmenter
from slicerxai.monitoring.alarm import Alarm
from slicerxai.monitoring.alarm_store import AlarmStore, StoredAlarm
from slicerxai.progress import Progress
from slicerxai.settings import settings


class QualityExplainer(Explainer[Inputs, QualityParameters]):
    """Class-specific maps and their distances, the alarm's flags, and how much to believe them.

    Shu et al. 2024, INFORMER: predictions whose maps resemble those of other classes are likely to be wrong.
    """

    subject: ClassVar[Subject] = "case"
    name: ClassVar[str] = "quality"
    title: ClassVar[str] = "Quality"
    summary: ClassVar[str] = "Which predictions for this image are likely to be wrong and should be read again."
    Parameters: ClassVar[type[QualityParameters]] = QualityParameters

    def explain(self, inputs: Inputs, parameters: QualityParameters, progress: Progress) -> Explanation:
        """Judge the predictions of one case.

        Raises:
            InputError: unusable images. NotFoundError, ConflictError: the alarm is gone, or another model's.
            Cancelled: through `progress`.
        """
        chosen = parameters.resolved(inputs.model.info.digest)
        stored = _alarm(chosen, inputs.model.info.digest)
        if isinstance(inputs.model, Segmenter):
            raise NotImplementedError
        alarm = None if stored is None else stored.alarm
        if alarm is not None and not isinstance(alarm, Alarm):
            msg = f"alarm {chosen.alarm} judges lesions of a segmenter, and the model is a classifier"
            raise ConflictError(msg)
        return explain_classes(inputs, inputs.model, alarm, chosen, progress)


def _alarm(parameters: QualityParameters, model_digest: str) -> StoredAlarm | None:
    if parameters.alarm is None or parameters.alarm == NO_ALARM:
        return None
    return AlarmStore(settings().alarms).load(parameters.alarm, model_digest)
