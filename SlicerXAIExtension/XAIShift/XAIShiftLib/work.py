"""What is done on a server while the panel stays usable. Touches neither MRML nor Qt: it runs in a thread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any

from slicer.i18n import tr as _
from XAILib.client import Client, OnProgress
from XAILib.document import damaged
from XAILib.nrrd import Volume
from XAILib.parts import labelmap_of
from XAILib.result import Result
from XAILib.run import run_explanation

from .prepared import PreparedCase, prepare_case
from .words import METHOD, PREDICTION

BRIGHT = ("FLAIR", "T2", "PD")
"""Modalities in which lesions are bright, best first."""


def attribute(
    client: Client, cohort: str, model: str | None, parameters: Mapping[str, Any], stop: Event, progress: OnProgress
) -> Result:
    """Attribute a drop. Raises `ServerError` and `Stopped` as `run_explanation`."""
    return complete(run_explanation(client, METHOD, {"cohort": cohort}, model, parameters, stop, progress))


def complete(result: Result) -> Result:
    """The result of an attribution. Raises `ServerError` for another one."""
    if "shares" not in result.tables:
        raise damaged(_("it lacks the table of shares"))
    return result


def fetch(
    client: Client,
    cohort: str,
    case: str,
    channels: Sequence[str],
    raters: Sequence[str],
    stop: Event,
    progress: OnProgress,
) -> PreparedCase:
    """Image and masks of a case, ready for the scene.

    Args:
        channels: modalities that the model sees; the one that shows lesions best is fetched.
    """
    modality = next((name for name in BRIGHT if name in channels), channels[0])
    progress(0.0, _("Fetching the case"), None)
    return prepare_case(client.case(cohort, case, modality, raters, stop, progress), case, modality)


def predict(client: Client, cohort: str, case: str, model: str, stop: Event, progress: OnProgress) -> Volume:
    """What a model predicts for a case, as 0 and 1."""
    source = {"cohort": cohort, "case": case}
    return labelmap_of(run_explanation(client, PREDICTION, source, model, {}, stop, progress), PREDICTION)
