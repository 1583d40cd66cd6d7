"""Transport of the acquisition: give an image of one environment the look of another, without paired data.

Four things that differ between scanners are carried over, each fitted to the average image of either environment:
resolution, tone curve and noise, in the order in which they arise, in relative intensities (x / median in the brain).
What patients have of their own – anatomy, lesions, and how an examination deviates from its scanner's average – stays.
Averages are matched, not every image to a template, because an environment is a distribution. Lost detail comes back
only in part: `limits` of a transport says what it could not match.

Tone landmarks stop at the 90th percentile, below most lesions, and are continued by a power law: a difference in
lesion load must not be taken for one of tone. The quantile matching goes back to Nyúl and Udupa, Magnetic Resonance in
Medicine 42:1072, 1999.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.intensity import foreground
from slicerxai.progress import Progress, part, silent

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LANDMARKS: Final = (5, 25, 50, 75, 90)
"""Percentiles of the brain's intensity that the tone curve passes through."""
BAND: Final = 4.0
"""A landmark is the mean over so many percent to either side of its percentile: steadier than the percentile alone."""
MAX_BLUR_MM: Final = 4.0
"""Widest blur, standard deviation in mm."""
MAX_SHARPENING: Final = 2.0
"""Largest multiple of what a one-voxel blur takes away that is added to sharpen."""
FIT_IMAGES: Final = 8
"""Resolution is fitted on so many source images, evenly spread; averages of landmarks take all."""
SECOND_DIFFERENCE: Final = 0.6745 * 6**0.5
"""Median of |x(-1) - 2 x(0) + x(1)| for white noise of unit standard deviation."""
DARK: Final = 0.02
"""Relative intensities below this are taken for this before a logarithm."""


@dataclass(frozen=True)
class Look:
    """Average appearance of an environment's images; intensities relative to the median of the brain.

    Attributes:
        tone: log intensity at `LANDMARKS`.
        edges: log mean steepness, 1 / mm, of the strongest tenth of edges along each array axis, after a blur that
            takes away most of the noise.
        noise: median absolute second difference in even tissue, averaged over the axes.
    """

    tone: tuple[float, ...]
    edges: tuple[float, float, float]
    noise: float


@dataclass(frozen=True)
class Transport:
    """A fitted change of look; apply it with `transported`.

    Attributes:
        source, target: the looks that it was fitted to.
        tone: log intensity at `LANDMARKS` of the source's images once their resolution has been changed; it becomes
            that of the target.
        blur_mm: standard deviation of the blur along each array axis, mm.
        sharpening: along each array axis, multiple of what a blur of one voxel takes away.
        noise_sd: of the white noise that is added, relative to the median.
        kept_noise: share of the noise that is kept, 1 unless the target has less.
        limits: what could not be matched, in words.
    """

    source: Look
    target: Look
    tone: tuple[float, ...]
    blur_mm: tuple[float, float, float]
    sharpening: tuple[float, float, float]
    noise_sd: float
    kept_noise: float
    limits: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of everything that it does."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def look_of(images: Sequence[Volume], progress: Progress = silent) -> Look:
    """Average look of images of one modality, skull-stripped, zero outside the brain.

    Images are taken from the sequence one at a time, so that it may read them when they are asked for.

    Raises:
        InputError: no image, or one that is empty or without a positive median.
    """
    if len(images) == 0:
        msg = "no image to take a look from; at least one is needed"
        raise InputError(msg)
    parts = []
    for number, image in enumerate(images):
        progress(number / len(images), f"looking at image {number + 1} of {len(images)}")
        parts.append(_look(*_relative(image), image.spacing))
    return Look(
        tone=tuple(float(x) for x in np.mean([look.tone for look in parts], axis=0)),
        edges=_triple(np.mean([look.edges for look in parts], axis=0)),
        noise=float(np.exp(np.mean([np.log(look.noise) for look in parts]))),
    )


def fit_transport(source: Sequence[Volume], target: Sequence[Volume], progress: Progress = silent) -> Transport:
    """Fit the change from the look of the source's images to that of the target's.

    The images are of one modality and of different patients. They should be oriented alike: resolution is compared
    along array axes.

    Raises:
        InputError: an environment without an image, or an unusable image.
        Cancelled: through `progress`.
    """
    here, there = look_of(source, part(progress, 0.0, 0.1)), look_of(target, part(progress, 0.1, 0.2))
    step = max(1, len(source) // FIT_IMAGES)
    some = [source[n] for n in range(0, len(source), step)][:FIT_IMAGES]
    mine = look_of(some)
    amounts = [
        _fit_axis(some, here, there, axis, part(progress, 0.25 * (axis + 1), 0.25 * (axis + 2))) for axis in range(3)
    ]
    limits = [
        f"resolution along axis {axis} differs more than can be matched"
        for axis, amount in enumerate(amounts)
        if amount in (MAX_BLUR_MM, -MAX_SHARPENING)
    ]
    blur = _triple([max(amount, 0.0) for amount in amounts])
    sharpening = _triple([max(-amount, 0.0) for amount in amounts])
    resolved = look_of([_sharper_or_softer(image, blur, sharpening) for image in some])
    tone = tuple(h + after - before for h, after, before in zip(here.tone, resolved.tone, mine.tone, strict=True))
    silent = Transport(here, there, tone, blur, sharpening, 0.0, 1.0)
    noise = look_of([transported(image, silent, seed=0) for image in some]).noise * here.noise / mine.noise
    if there.noise >= noise:
        noise_sd = float(np.sqrt(there.noise**2 - noise**2)) / SECOND_DIFFERENCE
        return replace(silent, noise_sd=noise_sd, limits=tuple(limits))
    kept = there.noise / noise
    if kept < 0.5:
        limits.append("the source is over twice as noisy as the target; detail is lost with the noise")
    return replace(silent, kept_noise=kept, limits=tuple(limits))


def transported(image: Volume, transport: Transport, seed: int) -> Volume:
    """The image with the other environment's look.

    Args:
        image: of the transport's source, same modality; zero outside the brain.
        seed: of the noise that is added, where any is.

    Returns:
        float32 on the image's grid with its median, zero outside the brain and above it inside.
    """
    relative, brain = _relative(image)
    changed = _resolved(relative, brain, image.spacing, transport.blur_mm, transport.sharpening)
    changed = _toned(changed, transport.tone, transport.target.tone)
    if transport.kept_noise < 1:
        calm = ndimage.median_filter(changed, size=3)
        changed = calm + transport.kept_noise * (changed - calm)
    if transport.noise_sd > 0:
        changed = changed + transport.noise_sd * np.random.default_rng(seed).standard_normal(changed.shape)
    median = float(np.median(np.asarray(image.array, dtype=np.float64)[brain]))
    smallest = 1e-3 * median
    array = np.where(brain, np.maximum(changed * median, smallest), 0).astype(np.float32)
    return image.with_array(array)


def _relative(image: Volume) -> tuple[Array, Mask]:
    brain = foreground(image.array, "the image")
    values = np.asarray(image.array, dtype=np.float64)
    median = float(np.median(values[brain]))
    if not median > 0:
        msg = f"the image has a median of {median:g} in the brain; intensities above 0 are accepted"
        raise InputError(msg)
    return np.where(brain, values / median, 0.0), brain


def _look(relative: Array, brain: Mask, spacing: tuple[float, float, float]) -> Look:
    values = np.sort(relative[brain])
    bands = [values[int((p - BAND) / 100 * values.size) : int((p + BAND) / 100 * values.size) + 1] for p in LANDMARKS]
    return Look(
        tone=tuple(float(np.log(max(band.mean(), DARK))) for band in bands),
        edges=_triple([_edge(relative, brain, axis, spacing[axis]) for axis in range(3)]),
        noise=_noise(relative, brain),
    )


def _edge(relative: Array, brain: Mask, axis: int, size_mm: float) -> float:
    """Log of the mean of the steepest tenth of slopes along an axis inside the brain, 1 / mm.

    Slopes are taken over intensities between the outer landmarks, so that tone changes them little, and after a blur of
    one voxel across the axis and a slope over two voxels along it, so that noise does.
    """
    low, high = np.percentile(relative[brain], (LANDMARKS[0], LANDMARKS[-1]))
    scaled = np.clip((relative - low) / max(high - low, 1e-6), 0, 1)
    scaled = ndimage.gaussian_filter(scaled, [0.0 if a == axis else 1.0 for a in range(3)])
    inner = ndimage.binary_erosion(brain, iterations=2)
    inner = inner if inner.any() else brain
    slope = np.abs(np.gradient(scaled, size_mm, axis=axis))[inner]
    return float(np.log(max(float(slope[slope >= np.percentile(slope, 90)].mean()), 1e-6)))


def _noise(relative: Array, brain: Mask) -> float:
    """Median absolute second difference in the most even half of mid-range tissue, mean of the axes, at least 1e-5."""
    smooth = ndimage.gaussian_filter(relative, 1.0)
    inner = ndimage.binary_erosion(brain, iterations=2) & (np.abs(smooth - 1) < 0.15)
    inner = inner if inner.any() else brain
    slope = sum(np.gradient(smooth, axis=axis) ** 2 for axis in range(3))
    even = inner & (slope <= np.median(slope[inner]))
    medians = [np.median(np.abs(ndimage.convolve1d(relative, [1.0, -2.0, 1.0], axis=a))[even]) for a in range(3)]
    return max(float(np.mean(medians)), 1e-5)


def _toned(values: Array, source: Sequence[float], target: Sequence[float]) -> Array:
    """Tone curve: linear between landmarks in logarithms, and a power law beyond.

    Below the lowest landmark the power is 1; above the highest it is the slope from the median up.
    """
    x, y = np.asarray(source), np.asarray(target)
    x = np.maximum.accumulate(x + 1e-6 * np.arange(len(x)))
    logs = np.log(np.maximum(values, DARK))
    middle = LANDMARKS.index(50)
    power = (y[-1] - y[middle]) / max(x[-1] - x[middle], 1e-3)
    mapped = np.interp(logs, x, y)
    mapped = np.where(logs > x[-1], y[-1] + power * (logs - x[-1]), mapped)
    mapped = np.where(logs < x[0], y[0] + (logs - x[0]), mapped)
    return np.exp(mapped)


def _sharper_or_softer(
    image: Volume, blur_mm: tuple[float, float, float], sharpening: tuple[float, float, float]
) -> Volume:
    relative, brain = _relative(image)
    changed = np.maximum(_resolved(relative, brain, image.spacing, blur_mm, sharpening), 1e-6)
    return image.with_array(np.where(brain, changed, 0.0))


def _resolved(
    relative: Array,
    brain: Mask,
    spacing: tuple[float, float, float],
    blur_mm: tuple[float, float, float],
    sharpening: tuple[float, float, float],
) -> Array:
    changed = relative
    for axis in range(3):
        changed = _along(changed, brain, axis, spacing[axis], blur_mm[axis] or -sharpening[axis])
    return changed


def _along(values: Array, brain: Mask, axis: int, size_mm: float, amount: float) -> Array:
    """Blur by `amount` mm along one axis, or sharpen by -`amount`.

    The brain's edge is not mixed with the outside, and sharpening stays within the range of a voxel's neighbours.
    """
    if amount == 0:
        return values
    sigma = amount / size_mm if amount > 0 else 1.0
    weight = ndimage.gaussian_filter1d(brain.astype(np.float64), sigma, axis=axis)
    changed = ndimage.gaussian_filter1d(np.where(brain, values, 0.0), sigma, axis=axis) / np.maximum(weight, 1e-3)
    if amount < 0:
        low = ndimage.minimum_filter1d(np.where(brain, values, np.inf), 3, axis=axis)
        high = ndimage.maximum_filter1d(np.where(brain, values, -np.inf), 3, axis=axis)
        changed = np.clip(values - amount * (values - changed), low, high)
    return np.where(brain, changed, 0.0)


def _fit_axis(images: Sequence[Volume], here: Look, there: Look, axis: int, progress: Progress) -> float:
    """The amount for `_along` that brings the steepness of edges, after the change of tone, to the target's."""
    parts = [(*_relative(image), image.spacing[axis]) for image in images]
    before = np.mean([_edge(relative, brain, axis, size) for relative, brain, size in parts])
    wanted = before + there.edges[axis] - here.edges[axis]

    def excess(amount: float) -> float:
        progress(0.5, f"fitting the resolution along axis {axis}")
        steps = []
        for relative, brain, size in parts:
            toned = _toned(_along(relative, brain, axis, size, amount), here.tone, there.tone)
            steps.append(_edge(np.where(brain, toned, 0.0), brain, axis, size))
        return float(np.mean(steps) - wanted)

    at_rest = excess(0.0)
    if at_rest == 0:
        return 0.0
    end = MAX_BLUR_MM if at_rest > 0 else -MAX_SHARPENING
    return end if np.sign(excess(end)) == np.sign(at_rest) else _root(excess, 0.0, end)


def _root(function: Callable[[float], float], inside: float, outside: float) -> float:
    """Bisection to a 128th of the interval."""
    sign = np.sign(function(inside))
    for _ in range(7):
        middle = (inside + outside) / 2
        if np.sign(function(middle)) == sign:
            inside = middle
        else:
            outside = middle
    return (inside + outside) / 2


def _triple(values: Sequence[float] | Array) -> tuple[float, float, float]:
    a, b, c = (float(value) for value in values)
    return a, b, c
