"""Why a prediction is suspicious, in words."""

from __future__ import annotations

from collections.abc import Sequence

from slicerxai.monitoring.alarm import Alarm
from slicerxai.monitoring.readings import Judgement, Readings


def reasons(
    labels: Sequence[str], readings: Readings, judgement: Judgement, alarm: Alarm, row: int = 0
) -> dict[str, str]:
    """One sentence for each label of one image (its row in the readings); "" where nothing was measured."""
    raise NotImplementedError
