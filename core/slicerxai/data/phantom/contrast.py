"""Noise-free FLAIR and T1 of one patient: what a perfect scanner would see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from slicerxai.data.phantom.anatomy import Anatomy
from slicerxai.data.phantom.fields import Array, sigmoid, smooth_field
from slicerxai.data.phantom.lesions import Lesions


@dataclass(frozen=True)
class Signal:
    """Noise-free images in units of the median white matter, shape (I, J, K), 0 outside the brain."""

    flair: Array
    t1: Array


def _healthy_flair(rng: np.random.Generator, a: Anatomy) -> Array:
    slow = smooth_field(rng, a.shape, a.spacing, 22.0)
    medium = smooth_field(rng, a.shape, a.spacing, 9.0)
    patchy = smooth_field(rng, a.shape, a.spacing, 5.0)
    outside = np.clip(a.ventricle, 0, None)

    # densely myelinated white matter is bright on the template's T1 and dark on FLAIR
    white = 1 + 0.015 * slow + 0.012 * medium
    white -= rng.uniform(0.3, 1.3) * np.clip(a.t1 - 0.87, -0.12, 0.06) * (a.white > 0.7)
    caps = a.blob((16, 34, 10), (9, 10, 14)) + a.blob((30, -48, 14), (9, 14, 14)) + 0.25
    white += rng.uniform(0.03, 0.16) * np.exp(-outside / rng.uniform(1.5, 4.0)) * caps * (1 + 0.4 * medium)
    # parieto-occipital white matter beside the atria is brighter than the rest
    white += rng.uniform(0.0, 0.10) * a.blob((30, -58, 14), (10, 22, 14)) * (outside > 3)
    white += rng.uniform(0.0, 0.07) * a.blob((24, -18, 18), (6, 7, 26))
    white += rng.uniform(0.0, 0.10) * a.infratentorial

    limbic = a.blob((40, 2, 2), (8, 20, 16)) + a.blob((24, -14, -20), (12, 22, 10)) + a.blob((6, 22, 26), (7, 30, 20))
    cortex = rng.uniform(1.09, 1.30) + 0.03 * slow + 0.03 * medium + rng.uniform(0.02, 0.12) * limbic
    cortex -= 0.06 * a.infratentorial
    nuclei = rng.uniform(1.02, 1.16) + 0.015 * slow - rng.uniform(0.1, 0.35) * a.blob((19, -4, -1), (5, 9, 6))
    # iron and myelin: pallidum and internal capsule are darker than the rest
    white -= rng.uniform(0.05, 0.25) * a.blob((19, -5, -2), (5, 9, 6))
    white += rng.uniform(-0.03, 0.06) * a.blob((11, -18, 6), (9, 12, 8))

    fluid = rng.uniform(0.05, 0.22) * (1 + 0.3 * medium)
    flow = a.blob((0, -8, 0), (5, 16, 12)) + a.blob((0, -42, -30), (9, 10, 14)) + a.blob((3, 4, 8), (5, 6, 6))
    fluid += rng.uniform(0, 0.5) * flow * sigmoid(3 * (patchy - 0.3))
    plexus = (a.blob((24, -42, 10), (9, 9, 12)) + 0.5 * a.blob((8, -14, 18), (9, 16, 4))) * (a.ventricle < 0)
    fluid += rng.uniform(0.3, 1.1) * sigmoid(4 * (plexus + 0.25 * patchy - 0.7))
    # vessels and membranes in the subarachnoid space
    fluid += rng.uniform(0.1, 0.5) * sigmoid(4 * (patchy - 1.0)) * (a.ventricle > 3)

    folia, shade = _folia(rng, a)
    cortex = cortex + folia * shade
    flair = a.white * white + a.cortex * cortex + a.nuclei * nuclei + a.csf * np.clip(fluid, 0.02, None)
    lining = np.exp(-((a.ventricle - 0.6) ** 2) / 0.7) * np.clip(0.6 + 0.6 * patchy, 0, None)
    septum = a.blob((0, 8, 14), (2.5, 22, 10))
    flair += lining * (rng.uniform(0.02, 0.22) + rng.uniform(0, 0.3) * septum)
    return np.asarray(flair * a.brain, dtype=np.float32)


def _folia(rng: np.random.Generator, a: Anatomy) -> tuple[Array, float]:
    """The stripes of the cerebellum, -1 to 0 inside it, and how dark they are: leaves that fan out from its hilum."""
    x, y, z = a.position
    bend = smooth_field(rng, a.shape, a.spacing, 12.0)
    angle = np.arctan2(z + 32, -(y + 44)) * 27 + 0.004 * x**2 + 1.6 * bend
    radius = np.sqrt((y + 44) ** 2 + (z + 32) ** 2)
    stripes = 0.5 * np.cos(2 * np.pi * angle / rng.uniform(3.6, 4.8)) - 0.5
    inside = a.infratentorial & (y < -40) & (radius > 6)
    return np.asarray(stripes * inside, dtype=np.float32), float(rng.uniform(0.1, 0.35))


def _healthy_t1(rng: np.random.Generator, a: Anatomy) -> Array:
    slow = smooth_field(rng, a.shape, a.spacing, 22.0)
    white = 1 + 0.01 * slow + 0.8 * np.clip(a.t1 - 0.87, -0.15, 0.05)
    cortex = rng.uniform(0.66, 0.80) + 0.015 * slow
    nuclei = rng.uniform(0.78, 0.86) + 0.12 * a.blob((19, -4, -1), (5, 9, 6))
    fluid = rng.uniform(0.12, 0.25)
    return np.asarray((a.white * white + a.cortex * cortex + a.nuclei * nuclei + a.csf * fluid) * a.brain, np.float32)


def _texture(rng: np.random.Generator, a: Anatomy) -> Array:
    """Fine biological texture of about unit standard deviation."""
    grain = ndimage.gaussian_filter(rng.standard_normal(a.shape, dtype=np.float32), 1.0 / a.spacing)
    return np.asarray(grain / max(float(grain.std()), 1e-6), dtype=np.float32)


def render(rng: np.random.Generator, anatomy: Anatomy, lesions: Lesions) -> Signal:
    """Noise-free images.

    Args:
        rng: stream of the tissue mechanism.
        anatomy: healthy brain.
        lesions: lesions on the same grid.
    """
    flair = _healthy_flair(rng, anatomy)
    t1 = _healthy_t1(rng, anatomy)
    grain = _texture(rng, anatomy)
    flair += (rng.uniform(0.01, 0.035) * grain * (1 - anatomy.csf) + lesions.excess * (1 - anatomy.csf)) * anatomy.brain
    t1 += (
        rng.uniform(0.005, 0.02) * grain - rng.uniform(0.3, 0.8) * lesions.excess * (1 - anatomy.csf)
    ) * anatomy.brain
    return Signal(np.clip(flair, 0, None), np.clip(t1, 0, None))
