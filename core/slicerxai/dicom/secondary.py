"""Pictures as DICOM Secondary Capture images."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from slicerxai.dicom.algorithm import RESEARCH_USE, Algorithm
from slicerxai.dicom.series import Series
from slicerxai.dicom.words import shortened
from slicerxai.dicom.writing import finish, identifiers
from slicerxai.errors import InputError

MAX_SIDE = 16384
_COMMENT = 10240
_STRIP = 40
"""One row in so many is added below for the burnt-in statement."""


def secondary_capture(
    series: Series, rgb: NDArray[np.uint8], description: str, algorithm: Algorithm, number: int = 1
) -> Dataset:
    """A colour picture in the study of the series, with "Research use only" burnt in on a strip below it.

    All pictures of one algorithm and series form one new series, "METHOD pictures".

    Args:
        rgb: (rows, columns, 3).
        description: what is to be seen, for ImageComments.
        number: InstanceNumber, from 1.

    Raises:
        InputError: not a picture of this shape and type.
    """
    from highdicom import CoordinateSystemNames, PhotometricInterpretationValues
    from highdicom.sc import SCImage

    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or not 0 < max(rgb.shape[:2]) <= MAX_SIDE:
        msg = f"a picture is uint8 (rows, columns, 3) with sides up to {MAX_SIDE}, got {rgb.dtype} {rgb.shape}"
        raise InputError(msg)
    pixels = _stated(rgb)
    made = identifiers(
        series, algorithm, "secondary", f"{algorithm.method} pictures", description, pixels, number=number
    )
    written = SCImage(
        pixel_array=pixels,
        photometric_interpretation=PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=CoordinateSystemNames.PATIENT,
        patient_orientation=("L", "P"),
        study_instance_uid=series.study_uid,
        **made,
    )
    written.PatientOrientation = []  # a figure shows several views, or none
    written.BurnedInAnnotation = "NO"
    written.ImageComments = shortened(description, _COMMENT)
    return finish(written, series, algorithm)


def picture(png: bytes) -> NDArray[np.uint8]:
    """The pixels of a PNG, (rows, columns, 3); transparency is laid on white. Raises `InputError` for a damaged one."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as opened:
            image = opened.convert("RGBA")
    except Exception as error:
        msg = f"a figure is no readable PNG ({type(error).__name__})"
        raise InputError(msg) from error
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    return np.asarray(ground.convert("RGB"), dtype=np.uint8)


def _stated(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture with a dark strip below that states the research use."""
    from PIL import Image, ImageDraw, ImageFont

    rows, columns = rgb.shape[:2]
    height = max(16, rows // _STRIP)
    strip = Image.new("RGB", (columns, height), (32, 32, 32))
    font = ImageFont.load_default(size=max(8, int(height * 0.7)))
    ImageDraw.Draw(strip).text((height // 3, height // 2), RESEARCH_USE.capitalize(), (240, 240, 240), font, "lm")
    return np.concatenate([rgb, np.asarray(strip, dtype=np.uint8)])
