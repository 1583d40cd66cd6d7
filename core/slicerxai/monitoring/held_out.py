"""Cases that a model was not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slicerxai.errors import InputError
from slicerxai.models.training_case import case_digests

if TYPE_CHECKING:
    from slicerxai.data.case import Case
    from slicerxai.models.protocols import ModelInfo

ASIDE = ("validation_cases", "held_out")
"""Where a model's provenance lists the cases that its training left aside."""


@dataclass(frozen=True)
class Separated:
    """Cases by whether the model was trained on them.

    Attributes:
        known: the model says what it was trained on; without that nothing can be told apart.
    """

    unseen: list[Case]
    trained: list[Case]
    known: bool


def separate(info: ModelInfo, cases: Sequence[Case]) -> Separated:
    """Tell cases apart by the digests of their images: ids repeat from one cohort to the next, and masks are corrected.

    Segmenters of earlier versions noted images and mask as one; for these the mask counts as well.
    """
    provenance: dict[str, Any] = dict(info.provenance)
    of_images = "images" in provenance or "rater" not in provenance
    digests = provenance.get("images", provenance.get("cases"))
    if not isinstance(digests, dict):
        return Separated(list(cases), [], known=False)
    names = _names_left_aside(info)
    learned = {digest for identifier, digest in digests.items() if identifier not in names}
    rater = None if of_images else provenance["rater"]
    trained = [_digest(case, info.channels, rater) in learned for case in cases]
    return Separated(
        [case for case, seen in zip(cases, trained, strict=True) if not seen],
        [case for case, seen in zip(cases, trained, strict=True) if seen],
        known=True,
    )


def unseen_cases(info: ModelInfo, cases: Sequence[Case]) -> Separated:
    """As `separate`. Raises `InputError` naming the cases when the model was trained on all of them."""
    found = separate(info, cases)
    if not found.unseen:
        names = ", ".join(case.id for case in found.trained[:8]) + (", …" if len(found.trained) > 8 else "")
        msg = (
            f"model {info.name!r} was trained on all {len(found.trained)} cases ({names}), on which it is right more "
            "often than elsewhere; fit the alarm on others"
        )
        raise InputError(msg)
    return found


def left_aside(info: ModelInfo, cases: Sequence[Case]) -> list[Case]:
    """Those of a training's cases that it left aside for validation."""
    names = _names_left_aside(info)
    return [case for case in cases if case.id in names]


def _names_left_aside(info: ModelInfo) -> set[str]:
    provenance: dict[str, Any] = dict(info.provenance)
    return {identifier for key in ASIDE for identifier in provenance.get(key, ())}


def _digest(case: Case, channels: Sequence[str], rater: str | None) -> str | None:
    """As training has it; None for a case that cannot have been trained on, for a file is missing."""
    if any(channel not in case.images for channel in channels) or (rater is not None and rater not in case.masks):
        return None
    return case_digests([case], channels, rater)[case.id]
