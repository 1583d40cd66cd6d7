"""A synthetic case from the server, for who has no images yet. May be called from any thread."""

from __future__ import annotations

from threading import Event

from .client import Client, OnProgress
from .i18n import tr as _
from .result import Result

NAME = _("Sample case")
"""For buttons and for the case itself."""
HINT = _("Load a synthetic patient from the server: no image of your own is needed, and none is sent.")
"""For tooltips."""


def sample_case(client: Client, stop: Event | None = None, progress: OnProgress | None = None) -> Result:
    """The case: modalities and masks as volumes, as those of a cohort's case.

    `parameters["images"]` and `parameters["masks"]` name the part of each modality and rater. When it is first asked
    for, the server computes for some seconds before it answers.

    Raises:
        ServerError: in words. Stopped: `stop` was set.
    """
    return client.sample(stop, progress)
