"""What tables of lesions say of every lesion."""

from __future__ import annotations

from typing import Final

from slicerxai.data.lesions import Lesion

LESION_COLUMNS: Final = ("number", "volume ml", "R mm", "A mm", "S mm", "mean probability")


def lesion_cells(lesion: Lesion) -> list[str | int | float | bool | None]:
    """The cells of `LESION_COLUMNS`."""
    return [
        lesion.number,
        round(lesion.volume_ml, 4),
        *(round(value, 1) for value in lesion.centroid),
        rounded(lesion.mean_probability),
    ]


def rounded(value: float | None) -> float | None:
    """To four decimals."""
    return None if value is None else round(value, 4)
