"""Which predictions for a case should be read again?"""

from __future__ import annotations

from typing import ClassVar

from slicerxai.errors import ConflictError
from slicerxai.explain.contract import Explainer, Explanation, Inputs, Subject
from slicerxai.explain.quality_classes import explain_classes
from slicerxai.explain.quality_lesions import explain_lesions
from slicerxai.explain.quality_parameters import NO_ALARM, QualityParameters
from slicerxai.models.protocols import Segmenter
from slicerxai.monitoring.alarm import Alarm
from slicerxai.monitoring.alarm_store import AlarmStore, StoredAlarm
from slicerxai.monitoring.lesion_alarm import LesionAlarm
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
        alarm = None if stored is None else stored.alarm
        if isinstance(inputs.model, Segmenter):
            if isinstance(alarm, Alarm):
                raise _other_kind(chosen, "classes", "segmenter")
            return explain_lesions(inputs, inputs.model, alarm, chosen, progress)
        if isinstance(alarm, LesionAlarm):
            raise _other_kind(chosen, "lesions", "classifier")
        return explain_classes(inputs, inputs.model, alarm, chosen, progress)


def _other_kind(parameters: QualityParameters, judges: str, model: str) -> ConflictError:
    return ConflictError(f"alarm {parameters.alarm} judges {judges}, and the model is a {model}; fit one to it")


def _alarm(parameters: QualityParameters, model_digest: str) -> StoredAlarm | None:
    if parameters.alarm is None or parameters.alarm == NO_ALARM:
        return None
    return AlarmStore(settings().alarms).load(parameters.alarm, model_digest)
