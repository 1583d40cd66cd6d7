"""One phantom patient in memory: what is true, and the images and masks for any scanner and rater."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from slicerxai.data.phantom.anatomy import Anatomy, simulate_anatomy
from slicerxai.data.phantom.centres import AcquisitionStyle, acquire
from slicerxai.data.phantom.contrast import Signal, render
from slicerxai.data.phantom.lesions import REGIONS, Lesions, simulate_lesions
from slicerxai.data.phantom.parameters import PhantomParameters, Population
from slicerxai.data.phantom.raters import AnnotationStyle, Outline, annotate, consensus
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError


class Mechanism(IntEnum):
    """What varies in a patient; each has random numbers of its own, so that changing one leaves the others alone."""

    POPULATION = 0
    ANATOMY = 1
    LESIONS = 2
    TISSUE = 3
    ACQUISITION = 4
    ANNOTATION = 5


def stream(seed: int, centre: str, number: int, mechanism: Mechanism, part: int = 0) -> np.random.Generator:
    """The random numbers of one mechanism of one patient; `part` is the rater's number for annotations, and 1 for
    the choice of the lesions' regions."""
    key = (int(centre), number, int(mechanism), part)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


@dataclass(frozen=True)
class Truth:
    """Everything about a patient that no scanner and no rater has touched.

    Attributes:
        seed, centre, number: name the patient; the centre here only names, it has no effect of its own.
        age: years.
        sex: "F" or "M".
        anatomy, lesions, signal: see their classes.
    """

    seed: int
    centre: str
    number: int
    age: float
    sex: str
    anatomy: Anatomy
    lesions: Lesions
    signal: Signal

    @property
    def load_ml(self) -> float:
        """True lesion volume, ml."""
        return float(self.lesions.truth.sum()) * self.anatomy.spacing**3 / 1000

    @cached_property
    def outline(self) -> Outline:
        """The lesions' surface, computed once for all raters."""
        return Outline(self.anatomy, self.lesions)

    def images(self, style: AcquisitionStyle) -> dict[str, Volume]:
        """FLAIR and T1 as a scanner of this style stores them."""
        rng = stream(self.seed, self.centre, self.number, Mechanism.ACQUISITION)
        arrays = acquire(rng, self.signal, self.anatomy.brain, self.anatomy.spacing, style)
        return {name: self.volume(array) for name, array in arrays.items()}

    def mask(self, rater: str, style: AnnotationStyle) -> Volume:
        """What a rater with these habits draws, uint8; `rater` names the random numbers."""
        rng = stream(self.seed, self.centre, self.number, Mechanism.ANNOTATION, int(rater))
        return self.volume(annotate(rng, self.outline, style).astype(np.uint8))

    def masks(self, styles: Mapping[str, AnnotationStyle]) -> dict[str, Volume]:
        """The masks of several raters and, under "consensus", their consensus."""
        masks = {rater: self.mask(rater, style) for rater, style in styles.items()}
        agreed = consensus([mask.array.astype(bool) for mask in masks.values()])
        return {**masks, "consensus": self.volume(agreed.astype(np.uint8))}

    def volume(self, array: NDArray[np.generic]) -> Volume:
        """An array on the patient's grid."""
        return Volume(array, self.anatomy.affine)


def simulate_truth(
    seed: int,
    centre: str,
    number: int,
    *,
    spacing: float,
    population: Population,
    load_range_ml: tuple[float, float] = (1.0, 40.0),
) -> Truth:
    """Draw the patient `number` of a centre.

    Args:
        seed: of the cohort.
        centre: two digits; part of the patient's name.
        number: from 1.
        spacing: voxel size, mm.
        population: distribution of age and lesion load; the patient keeps its quantiles in another population.
        load_range_ml: limits of the wanted lesion load, ml.
    """
    rng = stream(seed, centre, number, Mechanism.POPULATION)
    quantiles = rng.uniform(0.02, 0.98, size=2)
    sex = "F" if rng.random() < 0.7 else "M"
    age = population.age(float(quantiles[0]))
    load = float(np.clip(population.load(float(quantiles[1])), *load_range_ml))
    anatomy = simulate_anatomy(stream(seed, centre, number, Mechanism.ANATOMY), spacing, age)
    affected = population.regions(stream(seed, centre, number, Mechanism.LESIONS, part=1).random(len(REGIONS)))
    lesions = simulate_lesions(stream(seed, centre, number, Mechanism.LESIONS), anatomy, load, affected)
    signal = render(stream(seed, centre, number, Mechanism.TISSUE), anatomy, lesions)
    return Truth(seed, centre, number, age, sex, anatomy, lesions, signal)


@dataclass(frozen=True)
class PhantomPatient:
    """One patient as its own centre sees it.

    Attributes:
        id: such as "01_02": centre and number.
        truth: what no scanner and no rater has touched.
        images: int16 FLAIR and T1.
        masks: uint8, by rater, and "consensus".
        regions: uint8 labels of the true lesions' regions.
        lesions: uint8 mask of the true lesions.
        metadata: centre, scanner, age, sex, lesion_load_ml, lesions, and the load of each region.
    """

    id: str
    truth: Truth
    images: dict[str, Volume]
    masks: dict[str, Volume]
    regions: Volume
    lesions: Volume
    metadata: dict[str, str | float]


def truth_of(parameters: PhantomParameters, index: int) -> Truth:
    """The truth of the patient at `index` of the cohort, patients of a centre being neighbours.

    Raises:
        InputError: there is no such patient.
    """
    if not 0 <= index < parameters.count:
        msg = f"patient {index} does not exist; the cohort has patients 0 to {parameters.count - 1}"
        raise InputError(msg)
    centre = parameters.centres[index // parameters.patients]
    return simulate_truth(
        parameters.seed,
        centre,
        index % parameters.patients + 1,
        spacing=parameters.spacing,
        population=parameters.population.get(centre, Population()),
        load_range_ml=(parameters.load_min_ml, parameters.load_max_ml),
    )


def simulate(parameters: PhantomParameters, index: int) -> PhantomPatient:
    """The patient at `index` of the cohort with its own centre's images and all raters' masks.

    Raises:
        InputError: there is no such patient.
    """
    truth = truth_of(parameters, index)
    style = parameters.acquisition[truth.centre]
    regions = truth.lesions.regions
    voxel_ml = truth.anatomy.spacing**3 / 1000
    metadata: dict[str, str | float] = {
        "centre": truth.centre,
        "scanner": style.scanner,
        "age": round(truth.age, 1),
        "sex": truth.sex,
        "lesion_load_ml": round(truth.load_ml, 3),
        "lesions": float(len(truth.lesions.lesions)),
    }
    for label, name in REGIONS.items():
        metadata[f"{name.replace(' ', '_')}_ml"] = round(float((regions == label).sum()) * voxel_ml, 3)
    return PhantomPatient(
        id=f"{truth.centre}_{truth.number:02d}",
        truth=truth,
        images=truth.images(style),
        masks=truth.masks({rater: parameters.annotation[rater] for rater in parameters.raters}),
        regions=truth.volume(regions),
        lesions=truth.volume(truth.lesions.truth.astype(np.uint8)),
        metadata=metadata,
    )
