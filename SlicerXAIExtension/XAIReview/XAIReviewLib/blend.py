"""Two maps in one picture: one colour for each, a third where both are. For any thread.

A slice view draws one volume over the image. So the strengths of both maps become one number for each voxel, and a
colour table tells them apart again. Such numbers must not be interpolated: the volume is drawn voxel by voxel.
"""

from __future__ import annotations

import numpy as np
from XAILib.nrrd import Volume
from XAIPanels.colours import rgb
from XAIPanels.map_colours import AGAINST, FOR

LEVELS = 16
"""Strengths of one map, 0 … 15; two of them make the 256 entries of a colour table."""
FIRST, SECOND = FOR, AGAINST
"""From weak to strong; as far apart as two colours can be, also for colour-blind readers."""
BOTH = "#400040"
"""Dark as no part of a brain between such colours is, and the farthest from both that can be found."""


def blended(first: Volume, first_scale: float, second: Volume, second_scale: float) -> Volume:
    """Where each of two maps is strong, as 16 · strength of the first + strength of the second (uint8).

    Where one speaks for its class and the other against, they are not alike: only the stronger one is kept there. So
    both are left where they would add to the cosine of the maps.

    Args:
        first, second: signed maps on one grid.
        first_scale, second_scale: magnitude that gets the strongest colour.
    """
    one, other = (part.array * np.float32(1 / scale) for part, scale in ((first, first_scale), (second, second_scale)))
    opposed = one * other < 0
    levels = [_levels(values) for values in (one, other)]
    stronger = levels[0] >= levels[1]
    levels[0][opposed & ~stronger] = 0
    levels[1][opposed & stronger] = 0
    return Volume(LEVELS * levels[0] + levels[1], first.affine)


def _levels(values: np.ndarray) -> np.ndarray:
    levels: np.ndarray = np.rint(np.minimum(np.abs(values), 1) * (LEVELS - 1)).astype(np.uint8)
    return levels


def table(threshold: float) -> np.ndarray:
    """RGBA in [0, 1], shape (256, 4); alpha is 0 or 1.

    Args:
        threshold: fraction of the scale, 0 … 1, below which a map is not drawn.
    """
    strengths = np.arange(LEVELS) / (LEVELS - 1)
    drawn = (strengths >= threshold) & (strengths > 0)
    rgba = np.zeros((LEVELS, LEVELS, 4))
    rgba[drawn, :, :3] = _ramp(FIRST, strengths[drawn])[:, None]
    rgba[:, drawn, :3] = _ramp(SECOND, strengths[drawn])[None]
    rgba[np.outer(drawn, drawn), :3] = rgb(BOTH)
    rgba[..., 3] = drawn[:, None] | drawn[None]
    return rgba.reshape(-1, 4)


def _ramp(colours: tuple[str, ...], strengths: np.ndarray) -> np.ndarray:
    stops = np.array([rgb(colour) for colour in colours])
    places = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(strengths, places, stops[:, channel]) for channel in range(3)], axis=-1)
