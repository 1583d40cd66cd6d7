from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from slicerxai.data.lesions import label_lesions
from slicerxai.data.phantom.centres import NEUTRAL
from slicerxai.data.phantom.lesions import INFRATENTORIAL, PERIVENTRICULAR, REGIONS
from slicerxai.data.phantom.parameters import Population
from slicerxai.data.phantom.patient import Truth, simulate_truth
from slicerxai.data.readers import read_cohort
from slicerxai.data.regions import column, patient_regions
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError

OPEN_MS = Path(os.environ.get("SLICERXAI_REAL_DATA", Path(__file__).parents[4] / "shared/data")) / "open_ms"


@pytest.fixture(scope="module")
def truth() -> Truth:
    return simulate_truth(77, "01", 3, spacing=2.0, population=Population(load_median_ml=6.0, load_spread=0.1))


def agreement(truth: Truth, mask: Volume, images: dict[str, Volume]) -> tuple[float, dict[int, float]]:
    """Share of lesions with the true region, and the found volume of each region, ml."""
    found = patient_regions(mask, images)
    numbered = label_lesions(truth.volume(truth.lesions.truth.astype(np.uint8)), None, minimum_mm3=0).array
    right = [
        np.bincount(truth.lesions.regions[numbered == one.number], minlength=5)[1:].argmax() + 1 == one.region
        for one in found.lesions
    ]
    return float(np.mean(right)), {label: found.volumes_ml()[column(label)] for label in REGIONS}


@pytest.mark.parametrize("modalities", [("FLAIR", "T1"), ("FLAIR",)])
def test_most_lesions_of_a_phantom_get_their_true_region(truth: Truth, modalities: tuple[str, ...]) -> None:
    images = {name: image for name, image in truth.images(NEUTRAL).items() if name in modalities}
    mask = truth.volume(truth.lesions.truth.astype(np.uint8))
    share, volumes = agreement(truth, mask, images)
    assert share >= 0.75
    assert sum(volumes.values()) == pytest.approx(truth.load_ml, abs=0.01)
    true = {label: float((truth.lesions.regions == label).sum()) * 0.008 for label in REGIONS}
    assert volumes[PERIVENTRICULAR] == pytest.approx(true[PERIVENTRICULAR], rel=0.25)
    assert {label for label in (INFRATENTORIAL, PERIVENTRICULAR) if volumes[label]} == {
        label for label in (INFRATENTORIAL, PERIVENTRICULAR) if true[label]
    }


def test_storage_does_not_matter(truth: Truth) -> None:
    """Axes flipped and permuted, and a mask on a finer grid: the same regions."""
    images = truth.images(NEUTRAL)
    mask = truth.volume(truth.lesions.truth.astype(np.uint8))
    plain = patient_regions(mask, images)
    i = mask.shape[0]
    turn = np.array([[0, 0, -1, i - 1], [1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])

    def turned(volume: Volume) -> Volume:
        return Volume(volume.array.transpose(1, 2, 0)[:, :, ::-1], volume.affine @ turn)

    again = patient_regions(turned(mask), {name: turned(image) for name, image in images.items()})
    for name, volume in plain.volumes_ml().items():
        assert again.volumes_ml()[name] == pytest.approx(volume, abs=0.02)


def test_no_lesions_and_unusable_images(truth: Truth) -> None:
    images = truth.images(NEUTRAL)
    empty = truth.volume(np.zeros(truth.anatomy.shape, np.uint8))
    assert patient_regions(empty, images).lesions == ()
    assert set(patient_regions(empty, images).volumes_ml().values()) == {0}
    with pytest.raises(InputError, match="T1 or FLAIR, got T2"):
        patient_regions(empty, {"T2": images["T1"]})
    with pytest.raises(InputError, match="contrast"):
        patient_regions(empty, {"T1": images["T1"].with_array(np.ones(empty.shape))})


@pytest.mark.real_data
def test_real_patients() -> None:
    """One with small lesions, some in the brain stem, and one with confluent lesions around the ventricles."""
    if not OPEN_MS.is_dir():
        pytest.skip(f"{OPEN_MS} is absent")
    cases = {case.id: case for case in read_cohort(OPEN_MS)}
    found = {
        name: patient_regions(
            cases[name].mask("consensus"), {"FLAIR": cases[name].image("FLAIR"), "T1": cases[name].image("T1")}
        ).volumes_ml()
        for name in ("patient07", "patient19")
    }
    assert found["patient07"][column(INFRATENTORIAL)] > 0.1
    assert found["patient19"][column(INFRATENTORIAL)] == 0
    assert found["patient19"][column(PERIVENTRICULAR)] > 0.8 * sum(found["patient19"].values())
