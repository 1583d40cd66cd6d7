"""Does the image look like what a brain model was trained on? Simple measures with words, no model of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slicerxai.data.volume import Volume
from slicerxai.saliency.finding import Finding

BACKGROUND_LIMIT = 0.2
EXTENT_MM = (90.0, 230.0)
"""Range of the edge lengths of an adult brain's bounding box, with a margin."""
INTENSITY_LIMIT = 15.0


def background_share(image: Volume) -> Finding:
    """Share of voxels that are exactly zero: a skull-stripped head has many."""
    value = float((image.array == 0).mean())
    if value >= BACKGROUND_LIMIT:
        reason = f"{100 * value:.0f} % of the image is empty background, as in a skull-stripped scan."
        return Finding("background", value, BACKGROUND_LIMIT, "reliable", reason)
    reason = (
        f"Only {100 * value:.0f} % of the image is empty background, so it seems not to be skull-stripped; "
        "a model of skull-stripped brains may take skull and scalp for lesions."
    )
    return Finding("background", value, BACKGROUND_LIMIT, "caution", reason)


def brain_extent(image: Volume) -> Finding:
    """Edge of the foreground's bounding box that is farthest from those of an adult brain, mm."""
    filled = image.array != 0
    edges = []
    for axis in range(3):
        inside = np.flatnonzero(filled.any(axis=tuple(a for a in range(3) if a != axis)))
        edges.append(float(inside[-1] - inside[0] + 1) * image.spacing[axis] if inside.size else 0.0)
    low, high = EXTENT_MM
    short, long = min(edges), max(edges)
    sizes = " × ".join(f"{edge:.0f}" for edge in edges)
    if short < low:
        reason = f"The imaged part measures {sizes} mm, less than a whole brain; the model was trained on whole brains."
        return Finding("extent in mm", short, low, "caution", reason)
    if long > high:
        reason = f"The imaged part measures {sizes} mm, more than a brain; the model was trained on brains alone."
        return Finding("extent in mm", long, high, "caution", reason)
    return Finding("extent in mm", long, high, "reliable", f"The imaged part measures {sizes} mm, as a brain does.")


def intensity_range(tensor: NDArray[np.float32], channels: tuple[str, ...]) -> Finding:
    """Largest 99.9th percentile of |normalised intensity| over the channels, (C, I, J, K)."""
    peaks = {}
    for name, channel in zip(channels, tensor, strict=True):
        values = np.abs(channel[channel != 0])
        peaks[name] = float(np.percentile(values, 99.9)) if values.size else 0.0
    name = max(peaks, key=lambda key: peaks[key])
    if peaks[name] <= INTENSITY_LIMIT:
        reason = "The normalised intensities are in the range that is usual for brain scans."
        return Finding("intensity range", peaks[name], INTENSITY_LIMIT, "reliable", reason)
    reason = (
        f"{name} has voxels {peaks[name]:.0f} times the usual spread from its mean, so its intensities are unlike "
        "those that the model was trained on."
    )
    return Finding("intensity range", peaks[name], INTENSITY_LIMIT, "caution", reason)
