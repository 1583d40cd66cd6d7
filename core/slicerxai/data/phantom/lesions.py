"""White-matter lesions with known region, size and contrast.

Counts, sizes and places follow the manual masks of 27 MS patients of the open dataset of Lesjak et al.
(Neuroinformatics 2018; 16:51-63; CC-BY): total load 0.3 to 52 ml with a median of 15 ml, most lesions below 200 mm³,
and in heavily affected patients one confluent periventricular lesion that holds most of the load; hot spots at the
frontal horns, the atria and along the bodies of the lateral ventricles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.data.phantom.anatomy import Anatomy
from slicerxai.data.phantom.fields import Array, sigmoid, smooth_field

PERIVENTRICULAR: Final = 1
JUXTACORTICAL: Final = 2
INFRATENTORIAL: Final = 3
DEEP: Final = 4
REGIONS: Final = {
    PERIVENTRICULAR: "periventricular",
    JUXTACORTICAL: "juxtacortical",
    INFRATENTORIAL: "infratentorial",
    DEEP: "deep white matter",
}
"""Labels of the region map: the places of the McDonald criteria (Thompson et al., Lancet Neurol 2018)."""

CONFLUENT_FROM_MM3 = 1500.0
"""A remaining load above this becomes one confluent periventricular lesion."""


@dataclass(frozen=True)
class Lesion:
    """One lesion as it was drawn: region label, volume inside the truth mask (mm³), contrast to white matter."""

    region: int
    volume: float
    contrast: float


@dataclass(frozen=True)
class Lesions:
    """All lesions of one patient on the grid of the anatomy, shape (I, J, K).

    Attributes:
        membership: 0 outside to 1 in a lesion, with soft edges.
        excess: FLAIR signal added to the tissue, in units of white matter, with soft edges.
        truth: the lesions' true extent (membership of at least one half).
        regions: uint8 label of the region (see `REGIONS`), 0 outside lesions.
        owner: int16, one-based index into `lesions` inside the truth, else 0.
        lesions: one record per index of `owner`.
    """

    membership: Array
    excess: Array
    truth: NDArray[np.bool_]
    regions: NDArray[np.uint8]
    owner: NDArray[np.int16]
    lesions: tuple[Lesion, ...]


def _horns(a: Anatomy) -> Array:
    """Relative frequency of periventricular lesions around the ventricles."""
    return np.asarray(
        0.25
        + a.blob((17, 32, 8), (9, 12, 14))
        + 1.2 * a.blob((30, -46, 14), (11, 18, 16))
        + 0.8 * a.blob((24, -14, 26), (10, 34, 9))
        + 0.5 * a.blob((36, -24, -8), (9, 16, 8)),
        dtype=np.float32,
    )


class _Canvas:
    """Collects lesions one after the other."""

    def __init__(self, rng: np.random.Generator, a: Anatomy) -> None:
        self.anatomy = a
        self.membership = np.zeros(a.shape, dtype=np.float32)
        self.excess = np.zeros(a.shape, dtype=np.float32)
        self.owner = np.zeros(a.shape, dtype=np.int16)
        self.lumps = smooth_field(rng, a.shape, a.spacing, 3.5)
        self.mottle = smooth_field(rng, a.shape, a.spacing, 3.0)
        self.contrasts: list[float] = []

    def add(self, box: tuple[slice, slice, slice], membership: Array, contrast: float) -> None:
        self.contrasts.append(contrast)
        membership = np.where(membership < 1e-3, np.float32(0), membership)
        stronger = membership > self.membership[box]
        self.owner[box][stronger] = len(self.contrasts)
        np.maximum(self.membership[box], membership, out=self.membership[box])
        signal = membership * np.float32(contrast) * (1 + 0.12 * self.mottle[box])
        np.maximum(self.excess[box], signal, out=self.excess[box])


def _contrast(rng: np.random.Generator, level: float) -> float:
    """Contrast of one lesion, relative to white matter; one in seven is faint, but none is invisible in the noise: it
    would not be in anybody's reference.
    """
    faint = rng.random() < 1 / 7
    return float(np.clip(level * np.exp(rng.normal(0, 0.15)) * (rng.uniform(0.55, 0.8) if faint else 1), 0.25, 1.2))


def _places(a: Anatomy, region: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Flat voxel indices where a lesion of this region may be centred, and their cumulative weights."""
    infratentorial = a.infratentorial
    if region == INFRATENTORIAL:
        allowed = infratentorial & (a.white > 0.7) & (np.abs(a.position[0]) < 34)
        weight = 0.3 + a.blob((10, -38, -32), (9, 9, 12))
    else:
        allowed = (a.white > 0.6) & ~infratentorial & (a.position[2] > -22)
        if region == PERIVENTRICULAR:
            allowed &= (a.ventricle > 0.8) & (a.ventricle < 4)
            weight = _horns(a)
        elif region == JUXTACORTICAL:
            allowed &= (a.cortical < 3) & (a.ventricle > 9)
            weight = 0.4 + a.blob((30, -10, 40), (18, 45, 25))
        else:
            allowed &= (a.white > 0.85) & (a.cortical > 4) & (a.ventricle > 7) & (a.ventricle < 30)
            weight = 0.15 + a.blob((26, -14, 34), (12, 40, 18))
    index = np.flatnonzero(allowed)
    return index, np.cumsum(weight.ravel()[index].astype(np.float64))


def _normal(field: Array, voxel: tuple[int, int, int]) -> NDArray[np.float64]:
    """Unit gradient of a distance map at one voxel."""
    i, j, k = voxel
    gradient = np.array(
        [
            field[i + 1, j, k] - field[i - 1, j, k],
            field[i, j + 1, k] - field[i, j - 1, k],
            field[i, j, k + 1] - field[i, j, k - 1],
        ],
        dtype=np.float64,
    )
    return gradient / max(float(np.linalg.norm(gradient)), 1e-6)


def _frame(rng: np.random.Generator, direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Three orthonormal rows, the first along `direction`."""
    other = rng.normal(size=3)
    second = np.cross(direction, other)
    second /= max(float(np.linalg.norm(second)), 1e-6)
    return np.stack([direction, second, np.cross(direction, second)])


def _ovoid(
    rng: np.random.Generator,
    canvas: _Canvas,
    region: int,
    places: tuple[NDArray[np.intp], NDArray[np.float64]],
    volume: float,
    contrast: float,
) -> None:
    """One ovoid lesion of about `volume` mm³; periventricular ones stand perpendicular to the ventricle."""
    a = canvas.anatomy
    index, cumulative = places
    flat = index[min(int(np.searchsorted(cumulative, rng.random() * cumulative[-1])), len(index) - 1)]
    i, j, k = (int(n) for n in np.unravel_index(flat, a.shape))
    voxel = (i, j, k)
    if region == PERIVENTRICULAR:
        direction = _normal(a.ventricle, voxel)
        elongation = rng.uniform(1.2, 2.6)
    elif region == JUXTACORTICAL:
        direction = rng.normal(size=3)
        direction -= 0.8 * (direction @ (normal := _normal(a.cortical, voxel))) * normal
        direction /= np.linalg.norm(direction)
        elongation = rng.uniform(1.1, 2.2)
    else:
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        elongation = rng.uniform(1.0, 1.8)
    frame = _frame(rng, direction)
    flatness = rng.uniform(0.75, 1.0)
    radius = (3 * volume / (4 * np.pi)) ** (1 / 3)
    radii = radius * np.array([elongation, flatness, 1 / flatness]) / elongation ** (1 / 3)
    centre = np.array(voxel) * a.spacing + rng.uniform(-0.5, 0.5, size=3) * a.spacing
    if region == PERIVENTRICULAR:
        centre += direction * max(0.0, 0.7 * radii[0] - float(a.ventricle[voxel]))
    edge = rng.uniform(0.12, 0.5) + 0.12 * a.spacing
    reach = float(radii.max()) * 1.4 + 3
    low = np.maximum(np.floor((centre - reach) / a.spacing), 0).astype(int)
    high = np.minimum(np.ceil((centre + reach) / a.spacing) + 1, a.shape).astype(int)
    box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    axes = [np.arange(low[n], high[n]) * a.spacing - centre[n] for n in range(3)]
    offset = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ frame.T
    inside = (1 - np.linalg.norm(offset / radii, axis=-1)) * radii.min()
    inside += min(0.3 * radius, 1.2) * canvas.lumps[box]
    patch = _Patch(a, box)
    canvas.add(box, sigmoid((inside / edge).astype(np.float32)) * patch.tissue(region), contrast)


class _Patch:
    """A box of the anatomy's tissue maps."""

    def __init__(self, a: Anatomy, box: tuple[slice, slice, slice]) -> None:
        self.white, self.cortex, self.nuclei = a.white[box], a.cortex[box], a.nuclei[box]

    def tissue(self, region: int) -> Array:
        """How far each voxel can turn into lesion, 0 to 1."""
        cortex = 0.5 if region in (JUXTACORTICAL, INFRATENTORIAL) else 0.1
        return np.asarray(np.clip(1.3 * (self.white + cortex * self.cortex + 0.5 * self.nuclei), 0, 1), np.float32)


def _confluent(rng: np.random.Generator, canvas: _Canvas, volume: float, contrast: float) -> None:
    """One lesion of `volume` mm³ that grows out of the ventricles, thickest at the horns, with fingers."""
    a = canvas.anatomy
    thickness = _horns(a) * np.exp(
        0.45 * smooth_field(rng, a.shape, a.spacing, 16.0) + 0.3 * smooth_field(rng, a.shape, a.spacing, 6.0)
    )
    everywhere = (slice(None), slice(None), slice(None))
    tissue = _Patch(a, everywhere).tissue(PERIVENTRICULAR)
    allowed = (tissue > 0.5) & (a.ventricle > -1) & (a.ventricle < 25) & ~a.infratentorial & (a.position[2] > -20)
    ratio = np.clip(a.ventricle, 0.2, None) / np.maximum(thickness, 0.05)
    needed = int(volume / a.spacing**3)
    candidates = ratio[allowed]
    height = float(np.partition(candidates, needed)[needed]) if needed < candidates.size else float(candidates.max())
    inside = np.where(a.ventricle < 25, height * thickness - a.ventricle, -20)
    inside = np.where(a.infratentorial | (a.position[2] < -20), -20, inside)
    edge = rng.uniform(0.2, 0.7) + 0.12 * a.spacing
    canvas.add(everywhere, sigmoid((inside / edge).astype(np.float32)) * tissue, contrast)


def _volumes(rng: np.random.Generator, load: float) -> tuple[list[float], float]:
    """Volumes of the separate lesions and of the confluent one (0: none), mm³, adding up to `load` mm³."""
    count = int(np.clip(round(9 * (load / 1000) ** 0.45 * np.exp(rng.normal(0, 0.35))), 5, 59))
    volumes = np.clip(np.exp(rng.normal(np.log(60), 1.1, size=count)), 10, 2500)
    total = float(volumes.sum())
    rest = load - total
    if rest > CONFLUENT_FROM_MM3:
        return [float(v) for v in volumes], rest
    return [float(v) for v in np.clip(volumes * load / total, 8, None)], 0.0


def simulate_lesions(
    rng: np.random.Generator, a: Anatomy, load: float, affected: Sequence[int] | None = None
) -> Lesions:
    """Draw the lesions of one patient.

    Args:
        rng: stream of the lesion mechanism.
        a: healthy brain.
        load: wanted total lesion volume, ml; the truth mask comes close (overlap and partial volume make it differ).
        affected: labels of the regions where lesions are centred, one at least in each; None leaves it to chance.
            Without the periventricular region there is no confluent lesion, and a large load is not reached.
    """
    level = float(rng.uniform(0.45, 0.85))
    canvas = _Canvas(rng, a)
    volumes, confluent = _volumes(rng, 1000 * load)
    if confluent and (affected is None or PERIVENTRICULAR in affected):
        _confluent(rng, canvas, confluent, _contrast(rng, level * 1.05))
    share = rng.dirichlet(np.array([8.0, 4.0, 1.2, 5.0]))
    certain = list(affected or ())
    if affected is not None:
        share = share * np.isin(list(REGIONS), certain)
        share = share / share.sum()
    places = {region: _places(a, region) for region in REGIONS}
    for n, volume in enumerate(volumes):
        region = certain[n] if n < len(certain) else int(rng.choice(list(REGIONS), p=share))
        _ovoid(rng, canvas, region, places[region], volume, _contrast(rng, level))
    return _finish(rng, canvas, level)


def region_of(infratentorial: float, ventricle: float, cortical: float, spacing: float) -> int:
    """Region label of a lesion (see `REGIONS`).

    Args:
        infratentorial: share of its voxels below the tentorium.
        ventricle, cortical: least distance of its voxel centres to the ventricles and the cortex, mm.
        spacing: voxel size, mm: voxels that touch are this far apart.
    """
    if infratentorial > 0.5:
        return INFRATENTORIAL
    if ventricle <= 1 + spacing:
        return PERIVENTRICULAR
    return JUXTACORTICAL if cortical <= 1 + spacing / 2 else DEEP


def _finish(rng: np.random.Generator, canvas: _Canvas, level: float) -> Lesions:
    a = canvas.anatomy
    truth = (canvas.membership >= 0.5) & a.brain
    owner = np.where(truth, canvas.owner, 0)
    used = np.flatnonzero(np.bincount(owner.ravel(), minlength=len(canvas.contrasts) + 1)[1:]) + 1
    renumber = np.zeros(len(canvas.contrasts) + 1, dtype=np.int16)
    renumber[used] = np.arange(1, len(used) + 1)
    owner = renumber[owner]
    numbers = np.arange(1, len(used) + 1)
    infratentorial = ndimage.mean(a.infratentorial, owner, numbers)
    ventricle = ndimage.minimum(a.ventricle, owner, numbers)
    cortical = ndimage.minimum(a.cortical, owner, numbers)
    voxel = a.spacing**3
    sizes = np.bincount(owner.ravel(), minlength=len(used) + 1)[1:] * voxel
    lesions = []
    for n in range(len(used)):
        region = region_of(float(infratentorial[n]), float(ventricle[n]), float(cortical[n]), a.spacing)
        lesions.append(Lesion(region, float(sizes[n]), canvas.contrasts[used[n] - 1]))
    label = np.array([0, *[lesion.region for lesion in lesions]], dtype=np.uint8)
    # the white matter around lesions is not quite normal
    halo = ndimage.gaussian_filter(canvas.membership, 3.0 / a.spacing) * a.white * rng.uniform(0.05, 0.3) * level
    excess = np.maximum(canvas.excess, halo) * a.brain
    return Lesions(canvas.membership, np.asarray(excess, np.float32), truth, label[owner], owner, tuple(lesions))
