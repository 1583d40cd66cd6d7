"""Acquisition: what a scanner and its protocol make of the noise-free images.

The four centres carry the names and scanners of MSSEG 2016 (Commowick et al., Scientific Reports 8:13650, 2018); their
numbers are set here so that the effects are visible, not measured at those sites.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from slicerxai.data.phantom.contrast import Signal
from slicerxai.data.phantom.fields import Array, Shape, smooth_field


class AcquisitionStyle(BaseModel):
    """Settings of one scanner; every effect can be switched off on its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scanner: str = Field(default="none", description="Manufacturer, model and field strength.")
    bias: float = Field(default=0.0, ge=0, le=0.6, description="Bias field left after correction: SD of its logarithm.")
    gamma: float = Field(default=1.0, ge=0.4, le=2.5, description="Exponent of the tone curve; above 1 adds contrast.")
    fluid: float = Field(default=0.0, ge=-0.1, le=0.4, description="CSF signal added by incomplete inversion (FLAIR).")
    in_plane_mm: float = Field(default=0.0, ge=0, le=4, description="In-plane blur, full width at half maximum, mm.")
    slice_mm: float = Field(default=0.0, ge=0, le=8, description="Slice thickness along k, mm.")
    noise: float = Field(default=0.0, ge=0, le=0.3, description="Rician noise: SD of each channel relative to WM.")
    grain_mm: float = Field(default=0.0, ge=0, le=3, description="Correlation of the noise by resampling, FWHM, mm.")
    scale: float = Field(default=1000.0, gt=0, le=8000, description="Stored intensity of white matter.")
    spread: float = Field(
        default=0.0, ge=0, le=1, description="Variation from patient to patient: 0 none, 1 as wide as between centres."
    )


CENTRES: Final[dict[str, AcquisitionStyle]] = {
    "01": AcquisitionStyle(
        scanner="Siemens Verio 3T", bias=0.05, gamma=1.0, in_plane_mm=0.8, slice_mm=1.2, noise=0.045, grain_mm=1.0,
        scale=420, spread=0.35,
    ),
    "03": AcquisitionStyle(
        scanner="GE Discovery 3T", bias=0.10, gamma=1.3, in_plane_mm=0.9, slice_mm=1.4, noise=0.03, grain_mm=1.4,
        scale=900, spread=0.35,
    ),
    "07": AcquisitionStyle(
        scanner="Siemens Aera 1.5T", bias=0.04, gamma=0.85, fluid=0.06, in_plane_mm=1.4, slice_mm=2.2, noise=0.05,
        grain_mm=1.2, scale=300, spread=0.35,
    ),
    "08": AcquisitionStyle(
        scanner="Philips Ingenia 3T", bias=0.07, gamma=1.1, in_plane_mm=0.7, slice_mm=0.8, noise=0.06, grain_mm=0.8,
        scale=1500, spread=0.35,
    ),
}  # fmt: skip

NEUTRAL: Final = AcquisitionStyle()
"""A perfect scanner."""

VARIED: Final = AcquisitionStyle(
    scanner="varied", bias=0.07, gamma=1.0, fluid=0.03, in_plane_mm=1.0, slice_mm=1.5, noise=0.05, grain_mm=1.1,
    scale=600, spread=1.0,
)  # fmt: skip
"""Another scanner for every patient, over a wider range than the four centres: to train networks that must transfer."""

FWHM = 2.3548
"""Full width at half maximum of a Gaussian of unit standard deviation."""


def _individual(rng: np.random.Generator, style: AcquisitionStyle) -> AcquisitionStyle:
    """The settings of one examination. Draws the same numbers whatever the style."""
    draws = np.clip(rng.standard_normal(8), -2, 2) * style.spread
    return style.model_copy(
        update={
            "bias": style.bias * float(np.exp(0.5 * draws[0])),
            "gamma": float(np.clip(style.gamma * np.exp(0.25 * draws[1]), 0.4, 2.5)),
            "fluid": style.fluid + 0.05 * float(draws[2]),
            "in_plane_mm": style.in_plane_mm * float(np.exp(0.3 * draws[3])),
            "slice_mm": style.slice_mm * float(np.exp(0.35 * draws[4])),
            "noise": style.noise * float(np.exp(0.5 * draws[5])),
            "grain_mm": style.grain_mm * float(np.exp(0.3 * draws[6])),
            "scale": style.scale * float(np.exp(0.3 * draws[7])),
        }
    )


def _noise(rng: np.random.Generator, shape: Shape, spacing: float, grain_mm: float) -> Array:
    """Gaussian noise of unit standard deviation, smoothed as by resampling."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    sigma = grain_mm / FWHM / spacing
    if sigma < 0.2:
        return noise
    radius = np.arange(-int(4 * sigma + 1), int(4 * sigma + 1) + 1)
    kernel = np.exp(-0.5 * (radius / sigma) ** 2)
    loss = float(((kernel / kernel.sum()) ** 2).sum()) ** 1.5
    return np.asarray(ndimage.gaussian_filter(noise, sigma, radius=len(radius) // 2) / loss, np.float32)


def _scan(
    rng: np.random.Generator, image: Array, brain: NDArray[np.bool_], spacing: float, style: AcquisitionStyle
) -> Array:
    """One image through one scanner, in the order physics has it: contrast, bias, resolution, noise."""
    field = smooth_field(rng, brain.shape, spacing, 60.0)  # type: ignore[arg-type]
    signal = np.clip(image, 0, None) ** np.float32(style.gamma) + style.fluid * np.clip(1.2 - 1.5 * image, 0, 1)
    signal = np.clip(signal, 0, None) * brain
    signal *= np.exp(style.bias * (field - field[brain].mean()))
    sigma = [style.in_plane_mm / FWHM / spacing] * 2 + [style.slice_mm / FWHM / spacing]
    signal = ndimage.gaussian_filter(signal, sigma)
    real = signal + style.noise * _noise(rng, brain.shape, spacing, style.grain_mm)  # type: ignore[arg-type]
    imaginary = style.noise * _noise(rng, brain.shape, spacing, style.grain_mm)  # type: ignore[arg-type]
    return np.asarray(np.hypot(real, imaginary) * brain, dtype=np.float32)


def acquire(
    rng: np.random.Generator,
    signal: Signal,
    brain: NDArray[np.bool_],
    spacing: float,
    style: AcquisitionStyle,
) -> dict[str, NDArray[np.int16]]:
    """FLAIR and T1 as the centre stores them, shape (I, J, K), 0 outside the brain and at least 1 inside.

    Args:
        rng: stream of the acquisition mechanism; another style uses the same draws.
        signal: noise-free images.
        brain: mask of the skull strip.
        spacing: voxel size, mm.
        style: the scanner.
    """
    own = _individual(rng, style)
    t1 = own.model_copy(update={"fluid": 0.0, "gamma": 1 + 0.5 * (own.gamma - 1), "noise": 0.6 * own.noise})
    scanned = {
        "FLAIR": _scan(rng, signal.flair, brain, spacing, own),
        "T1": _scan(rng, signal.t1, brain, spacing, t1),
    }
    return {
        name: np.where(brain, np.clip(np.rint(image * own.scale), 1, 32767), 0).astype(np.int16)
        for name, image in scanned.items()
    }
