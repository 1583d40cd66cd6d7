"""The phantom cohort that networks for real scans are trained on."""

from __future__ import annotations

from slicerxai.data.phantom.centres import CENTRES, VARIED
from slicerxai.data.phantom.parameters import PhantomParameters

VARIED_CENTRES = ("91", "93", "97", "98")


def training_cohort(patients: int, seed: int) -> PhantomParameters:
    """The four centres and four more at 1 mm; in the latter every patient meets another scanner, so that a network is
    half prepared for one that it has not seen.

    Args:
        patients: of each of the eight centres.
    """
    return PhantomParameters(
        patients=patients,
        spacing=1.0,
        seed=seed,
        centres=(*CENTRES, *VARIED_CENTRES),
        acquisition=CENTRES | dict.fromkeys(VARIED_CENTRES, VARIED),
    )
