"""Colours of signed maps: transparent below a threshold; orange for and blue against, or red and blue for changes.

Slice views know no half transparency of a single colour: any opacity above 0 in a colour table is drawn as 1, and the
whole layer is then blended with the foreground's opacity. So a colour is either not drawn at all or drawn in full.
"""

from __future__ import annotations

import numpy as np

from .colours import rgb

FOR = ("#a83c00", "#e87800", "#ffb81c")
"""From weak to strong, for positive values: what speaks for the label. Not up to white, which is a FLAIR lesion."""
AGAINST = ("#1446c8", "#2f86f5", "#62c0ff")
"""From weak to strong, for negative values: what speaks against it."""
INCREASE = ("#8f0e0e", "#e02626", "#ff8d7d")
"""From weak to strong, for what was made brighter."""
DECREASE = ("#1446c8", "#2f86f5", "#8fd0ff")
"""From weak to strong, for what was made darker."""
SIZE = 256
"""Entries of a table; slice views map the window to 0 … 255 first."""


def fractions() -> np.ndarray:
    """The value of each entry of a table as a fraction of the scale, -1 … 1; no entry is exactly 0."""
    return np.linspace(-1, 1, SIZE)


def table(threshold: float, positive: tuple[str, ...] = FOR, negative: tuple[str, ...] = AGAINST) -> np.ndarray:
    """RGBA in [0, 1], shape (256, 4), for values from -scale to +scale; alpha is 0 or 1.

    Args:
        threshold: fraction of the scale, 0 … 1, below which nothing is drawn. The two entries next to zero are never
            drawn: outside its field of view a map is 0.
        positive, negative: colours from weak to strong.
    """
    values = fractions()
    rgba = np.zeros((SIZE, 4))
    for side, colours in ((values > 0, positive), (values < 0, negative)):
        stops = np.array([rgb(colour) for colour in colours])
        for channel in range(3):
            rgba[side, channel] = np.interp(np.abs(values[side]), np.linspace(0, 1, len(stops)), stops[:, channel])
    rgba[:, 3] = (np.abs(values) >= max(threshold, 1.5 / (SIZE - 1))).astype(float)
    return rgba


def saturation(array: np.ndarray, beyond: float = 0.1) -> float:
    """The magnitude above which lies the share `beyond` of a map's summed |values|; 1 for a map of zeros.

    Unlike a percentile of the voxels it does not depend on how much empty space surrounds the map.
    """
    magnitude = np.abs(array)
    highest = float(magnitude.max())
    if highest == 0:
        return 1.0
    mass, edges = np.histogram(magnitude, bins=4096, range=(0, highest), weights=magnitude)
    above = mass[::-1].cumsum()[::-1]
    return float(edges[np.flatnonzero(above >= beyond * above[0])[-1] + 1])
