"""Float maps as DICOM Parametric Map objects."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from slicerxai.data.volume import Volume
from slicerxai.dicom.algorithm import Algorithm
from slicerxai.dicom.codes import unit
from slicerxai.dicom.series import Series
from slicerxai.dicom.words import LONG_STRING, shortened
from slicerxai.dicom.writing import finish, frames_of, identifiers, on_slices, sources
from slicerxai.errors import InputError


def parametric_map(
    series: Series, values: Volume, name: str, units: str, algorithm: Algorithm, description: str = ""
) -> Dataset:
    """A Parametric Map of single-precision floats with a real-world mapping of slope 1.

    Args:
        series: the images that it refers to.
        values: finite numbers; interpolated linearly where they are not on the grid of the series.
        name: what is mapped, such as "saliency"; part of the SeriesDescription.
        units: what one unit means; "mm" and "ml" are written as UCUM has them, other words as the meaning of 1.
        description: one sentence for the reader.

    Raises:
        DicomError: the series is no volume or lacks its frame of reference, or the map lies outside of it.
        InputError: a value is not finite.
    """
    from highdicom.pm import ParametricMap, RealWorldValueMapping

    placed = on_slices(series, values.with_array(values.array.astype(np.float32)), order=1)
    frames = frames_of(series, placed).astype(np.float32)
    if not np.isfinite(frames).all():
        msg = f"{name}: {int(np.count_nonzero(~np.isfinite(frames)))} values are not finite"
        raise InputError(msg)
    low, high = float(frames.min()), float(frames.max())
    mapping = RealWorldValueMapping(
        lut_label=shortened(name, 16),
        lut_explanation=shortened(f"{name} in {units}" if units else name),
        unit=unit(units),
        value_range=(low, high),
        slope=1.0,
        intercept=0.0,
    )
    written = ParametricMap(
        source_images=sources(series),
        pixel_array=frames,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        window_center=float(f"{(low + high) / 2:.6g}"),
        window_width=max(float(f"{high - low:.6g}"), 1e-6),
        content_label="SALIENCY" if name.startswith("saliency") else "MAP",
        content_description=shortened(description or name),
        **identifiers(series, algorithm, "parametric", name, units, frames),
    )
    window = written.SharedFunctionalGroupsSequence[0].FrameVOILUTSequence[0]
    window.VOILUTFunction = "LINEAR_EXACT"  # the default one is not for widths below 1
    if len(description) > LONG_STRING:
        written.ImageComments = shortened(description, 10240)
    return finish(written, series, algorithm)
