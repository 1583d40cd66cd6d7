"""What scanners do to an image, as plain functions of arrays.

Images are float32 of shape (I, J, K), exactly zero outside the head.
"""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from slicerxai.data.phantom.fields import smooth_field
from slicerxai.data.resample import resample
from slicerxai.data.volume import Volume

Array = NDArray[np.float32]

FWHM = 2.0 * float(np.sqrt(2.0 * np.log(2.0)))
"""Full width at half maximum of a Gaussian of unit standard deviation."""


def tone_curve(image: Array, reference: float, exponent: float) -> Array:
    """reference · (x / reference) ^ exponent, odd in x, so that ringing below zero stays continuous and keeps its sign.

    Args:
        image: any shape.
        reference: intensity that stays, above 0.
        exponent: above 0.
    """
    relative = np.abs(image) * np.float32(1 / reference)
    return np.copysign(np.float32(reference) * relative ** np.float32(exponent), image)


def rician(image: Array, deviation: float, real: Array, imaginary: Array) -> Array:
    """Magnitude of a complex signal with noise of this standard deviation in each part (Gudbjartsson and Patz, Magn
    Reson Med 1995; 34:910). What lies below zero in the image is kept as an offset.

    Args:
        image: any shape.
        deviation: in units of the image.
        real, imaginary: noise of unit standard deviation, of the image's shape.
    """
    signal = np.clip(image, 0, None)
    sigma = np.float32(deviation)
    return np.asarray(np.hypot(signal + sigma * real, sigma * imaginary) + (image - signal), dtype=np.float32)


def white_noise(rng: np.random.Generator, head: NDArray[np.bool_]) -> Array:
    """Standard normal numbers in the head, zero elsewhere, shape (I, J, K)."""
    noise = np.zeros(head.shape, dtype=np.float32)
    noise[head] = rng.standard_normal(int(head.sum()), dtype=np.float32)
    return noise


def grained_noise(
    rng: np.random.Generator, shape: tuple[int, int, int], spacing: tuple[float, ...], fwhm: float
) -> Array:
    """Normal numbers of unit standard deviation, correlated as by resampling with a Gaussian of this width (mm)."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    loss = 1.0
    for axis, size in enumerate(spacing):
        kernel = gaussian_kernel(fwhm / FWHM / size)
        noise = ndimage.convolve1d(noise, kernel, axis=axis, mode="wrap")
        loss *= float(np.sqrt((kernel.astype(np.float64) ** 2).sum()))
    return np.asarray(noise / np.float32(loss), dtype=np.float32)


def gaussian_kernel(sigma: float) -> Array:
    """Weights exp(-t) I_n(t), t = sigma², of the discrete Gaussian, whose variance is exactly sigma² however small
    (Lindeberg, IEEE PAMI 1990; 12:234).
    """
    radius = int(np.ceil(5 * sigma)) + 1
    weights = special.ive(np.abs(np.arange(-radius, radius + 1)), sigma**2)
    return np.asarray(weights / weights.sum(), dtype=np.float32)


def blurred(image: Array, head: NDArray[np.bool_], spacing: tuple[float, ...], fwhm: tuple[float, ...]) -> Array:
    """Gaussian blur within the head: what lies outside it counts neither as signal nor as weight.

    Args:
        image, head: shape (I, J, K).
        spacing: voxel size along each axis, mm.
        fwhm: full width at half maximum along each axis, mm, 0 leaves the axis alone.
    """
    weight = head.astype(np.float32)
    signal = image * weight
    for axis, (size, width) in enumerate(zip(spacing, fwhm, strict=True)):
        if width > 0 and image.shape[axis] > 1:
            kernel = gaussian_kernel(width / FWHM / size)
            signal = ndimage.convolve1d(signal, kernel, axis=axis, mode="constant")
            weight = ndimage.convolve1d(weight, kernel, axis=axis, mode="constant")
    return np.divide(signal, weight, out=np.zeros_like(signal), where=head)


def slice_weights(count: int, thickness: float) -> Array:
    """Weights (count, count) that turn thin slices into thick ones, seen on the grid of the thin ones.

    A thick slice averages the signal over its thickness (rectangular profile, no gap); between the centres of thick
    slices the value is interpolated linearly, as viewers and resampling do. One slice is centred on the middle one.

    Args:
        count: thin slices.
        thickness: of the thick ones, in thin slices, at least 1; at 1 this is the identity.
    """
    middle = (count - 1) // 2
    before = int(np.floor((middle + 0.5 + thickness / 2) / thickness))
    after = int(np.floor((count - middle - 0.5 + thickness / 2) / thickness))
    centres = middle + thickness * np.arange(-before, after + 1)
    voxels = np.arange(count)
    low = np.maximum(centres[:, None] - thickness / 2, voxels - 0.5)
    high = np.minimum(centres[:, None] + thickness / 2, voxels + 0.5)
    profile = np.clip(high - low, 0, None)
    kept = profile.sum(1) > 1e-9
    centres, profile = centres[kept], profile[kept]
    profile /= profile.sum(1, keepdims=True)
    hats = np.stack([np.interp(voxels, centres, row) for row in np.eye(len(centres))], axis=1)
    return np.asarray(hats @ profile, dtype=np.float32)


def thick_slices(image: Array, head: NDArray[np.bool_], axis: int, thickness: float) -> Array:
    """The image as thick slices, averaged within the head.

    Args:
        image, head: shape (I, J, K).
        axis: across the slices.
        thickness: in voxels, at least 1.
    """
    weights = slice_weights(image.shape[axis], thickness)
    weight = head.astype(np.float32)
    signal = np.moveaxis(np.tensordot(weights, image * weight, axes=(1, axis)), 0, axis)
    total = np.moveaxis(np.tensordot(weights, weight, axes=(1, axis)), 0, axis)
    return np.divide(signal, total, out=np.zeros_like(signal), where=head)


def slice_axis(volume: Volume) -> int:
    """The array axis across the slices: that of the largest voxel size, and of cubic voxels the one nearest to
    superior."""
    spacing = np.asarray(volume.spacing)
    longest = int(spacing.argmax())
    if spacing[longest] > 1.1 * np.median(spacing):
        return longest
    orientation = nib.orientations.io_orientation(volume.affine)
    return int(np.flatnonzero(orientation[:, 0] == 2)[0])


def world_field(rng: np.random.Generator, volumes: list[Volume], scale: float) -> Volume:
    """A smooth Gaussian field of about unit standard deviation in world space that covers all of the volumes.

    Args:
        rng: source of the field.
        volumes: with any orientation.
        scale: distance of the field's knots, mm; structures are about twice as wide.
    """
    corners = np.concatenate([_corners(volume) for volume in volumes])
    spacing = scale / 12
    low = corners.min(0) - spacing
    i, j, k = (int(n) for n in np.ceil((corners.max(0) - low) / spacing) + 2)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = low
    return Volume(smooth_field(rng, (i, j, k), spacing, scale), affine)


def _corners(volume: Volume) -> NDArray[np.float64]:
    grid = np.meshgrid(*([0, size - 1] for size in volume.shape), [1], indexing="ij")
    return np.asarray((volume.affine @ np.stack(grid).reshape(4, -1))[:3].T)


def standardised(field: Volume, grid: Volume, head: NDArray[np.bool_]) -> Array:
    """A field on the grid of an image, with mean 0 and standard deviation 1 in its head, 0 outside."""
    values = resample(field, grid.affine, grid.shape).array.astype(np.float32)
    inside = values[head]
    return np.where(head, (values - inside.mean()) / inside.std(), np.float32(0)).astype(np.float32)


def head_median(image: Array) -> float:
    """Median of the voxels that are not zero; 0 for an empty image."""
    inside = image[image != 0]
    return float(np.median(inside)) if inside.size else 0.0


def in_head(image: Array, changed: Array) -> Array:
    """The changed image with the background of the image: zero stays zero, and nothing of the head becomes zero."""
    head = image != 0
    least = np.float32(1e-6) * np.abs(image[head]).max() if head.any() else np.float32(0)
    return np.where(head, np.where(changed == 0, least, changed), np.float32(0)).astype(np.float32)
