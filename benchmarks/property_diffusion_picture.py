"""A strip of generated slices: what was asked for from left to right, one row for each way to make it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from slicerxai.data.files import replaced_bytes
from slicerxai.explain.plotting import COLOURS, DPI, SOFT, TEXT, png
from slicerxai.interventions.generator.slices import Slices

Array = NDArray[np.floating]
SHOWN = (0, 2, 4, 6, 8)
LIMITS = (-1.0, 1.0)


def strip(
    images: Mapping[str, Array],
    slices: Slices,
    probability: Callable[[Array], Array],
    path: Path,
    slice_number: int = 0,
) -> None:
    """Write the picture of one slice.

    Args:
        images: (T, N, H, W) by way.
        probability: of lesion, (T, H, W) of (T, H, W).
    """
    unchanged = slices.pixels[slice_number, 0].numpy()
    rows, columns = 2 * len(images), len(SHOWN) + 1
    figure = Figure(figsize=(1.75 * columns, 2.15 * rows), layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False)
    for row, (way, all_images) in enumerate(images.items()):
        series = all_images[:, slice_number]
        lesions = probability(series)
        for column in range(columns):
            above, below = axes[2 * row, column], axes[2 * row + 1, column]
            step = None if column == 0 else SHOWN[column - 1]
            shown = unchanged if step is None else series[step]
            found = probability(unchanged[None])[0] if step is None else lesions[step]
            above.imshow(shown.T, cmap="gray", vmin=LIMITS[0], vmax=LIMITS[1], origin="lower")
            if (found >= 0.5).any():
                above.contour(found.T, levels=[0.5], colors=COLOURS[1], linewidths=0.8)
            below.imshow((shown - unchanged).T, cmap="RdBu_r", vmin=-0.6, vmax=0.6, origin="lower")
            name = "unchanged" if step is None else f"step {step + 1} of {len(series)}"
            above.set_title(f"{name}\n{found.sum() * _square_cm(slices):.2f} cm²", fontsize=8, color=TEXT)
        axes[2 * row, 0].set_ylabel(way, fontsize=9, color=TEXT)
        axes[2 * row + 1, 0].set_ylabel("difference", fontsize=8, color=SOFT)
    for one in axes.flat:
        one.set_xticks([])
        one.set_yticks([])
        for side in one.spines.values():
            side.set_visible(False)
    figure.set_dpi(DPI)
    replaced_bytes(path, png(figure))


def _square_cm(slices: Slices) -> float:
    edges = np.linalg.norm(slices.grid.affine[:3, :2], axis=0)
    return float(edges[0] * edges[1] / 100)
