from __future__ import annotations

import numpy as np
import pytest

from slicerxai.data.phantom import (
    CENTRES,
    NEUTRAL,
    PERFECT,
    RATERS,
    PhantomParameters,
    Population,
    Truth,
    simulate,
    simulate_truth,
    truth_of,
)
from slicerxai.data.phantom.anatomy import Anatomy
from slicerxai.errors import InputError


def _same_anatomy(one: Anatomy, other: Anatomy) -> bool:
    names = ("brain", "white", "cortex", "nuclei", "csf", "ventricle", "cortical", "position")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


def _same_truth(one: Truth, other: Truth) -> bool:
    return (
        _same_anatomy(one.anatomy, other.anatomy)
        and np.array_equal(one.lesions.owner, other.lesions.owner)
        and np.array_equal(one.signal.flair, other.signal.flair)
    )


def test_changing_the_scanner_leaves_all_else_bit_identical(parameters: PhantomParameters) -> None:
    swapped = parameters.model_copy(update={"acquisition": {**CENTRES, "03": CENTRES["07"]}})
    own, other = simulate(parameters, 1), simulate(swapped, 1)
    assert (own.images["FLAIR"].array != other.images["FLAIR"].array).any()
    assert _same_truth(own.truth, other.truth)
    for rater, mask in own.masks.items():
        np.testing.assert_array_equal(mask.array, other.masks[rater].array)


def test_changing_one_rater_leaves_images_and_other_raters_bit_identical(parameters: PhantomParameters) -> None:
    swapped = parameters.model_copy(update={"annotation": {**RATERS, "3": RATERS["5"]}})
    own, other = simulate(parameters, 1), simulate(swapped, 1)
    assert (own.masks["3"].array != other.masks["3"].array).any()
    assert _same_truth(own.truth, other.truth)
    for name, image in own.images.items():
        np.testing.assert_array_equal(image.array, other.images[name].array)
    for rater in set(RATERS) - {"3"}:
        np.testing.assert_array_equal(own.masks[rater].array, other.masks[rater].array)


def test_changing_the_load_keeps_the_healthy_brain_and_the_noise(parameters: PhantomParameters) -> None:
    def patient(load: float) -> Truth:
        return simulate_truth(
            parameters.seed, "03", 1, spacing=2.0, population=Population(load_median_ml=load), load_range_ml=(0.5, 60.0)
        )

    light, heavy = patient(2.0), patient(20.0)
    assert heavy.load_ml > 3 * light.load_ml
    assert _same_anatomy(light.anatomy, heavy.anatomy)
    far = (heavy.lesions.excess == 0) & (light.lesions.excess == 0) & light.anatomy.brain
    assert far.sum() > 1000
    np.testing.assert_array_equal(light.signal.flair[far], heavy.signal.flair[far])
    noisy = NEUTRAL.model_copy(update={"noise": 0.05})
    one, other = light.images(noisy)["FLAIR"].array, heavy.images(noisy)["FLAIR"].array
    np.testing.assert_array_equal(one[far], other[far])


def test_more_patients_centres_and_raters_do_not_change_the_first_ones(parameters: PhantomParameters) -> None:
    small = parameters.model_copy(update={"centres": ("03",), "raters": ("2", "4")})
    own, alone = truth_of(parameters, 1), simulate(small, 0)
    assert _same_truth(own, alone.truth)
    np.testing.assert_array_equal(own.mask("4", RATERS["4"]).array, alone.masks["4"].array)


def test_metadata_tell_the_truth(parameters: PhantomParameters) -> None:
    patient = simulate(parameters, 2)
    assert patient.id == "07_01"
    assert patient.metadata["centre"] == "07"
    voxels = int((patient.lesions.array > 0).sum())
    assert patient.metadata["lesion_load_ml"] == pytest.approx(voxels * 8 / 1000, abs=1e-3)
    regions = [value for key, value in patient.metadata.items() if key.endswith("_ml") and key != "lesion_load_ml"]
    assert sum(float(value) for value in regions) == pytest.approx(voxels * 8 / 1000, abs=4e-3)
    assert 18 <= float(patient.metadata["age"]) <= 75


def test_population_shift_by_centre(parameters: PhantomParameters) -> None:
    shifted = parameters.model_copy(update={"population": {"08": Population(age_mean=65, load_median_ml=25)}})
    for index in (0, 3):
        before, after = truth_of(parameters, index), truth_of(shifted, index)
        assert (after.age > before.age) == (index == 3)
        assert (after.load_ml > before.load_ml) == (index == 3)


@pytest.mark.parametrize("index", [-1, 4])
def test_unknown_patient_is_refused(parameters: PhantomParameters, index: int) -> None:
    with pytest.raises(InputError, match="0 to 3"):
        simulate(parameters, index)


def test_perfect_raters_agree_on_the_truth(truth: Truth) -> None:
    masks = truth.masks({"1": PERFECT, "2": PERFECT})
    np.testing.assert_array_equal(masks["consensus"].array, truth.lesions.truth.astype(np.uint8))
