from __future__ import annotations

import numpy as np
import pytest
import torch

from slicerxai.errors import InputError, NotFoundError
from slicerxai.interventions.generator.courses import LoadCourse
from slicerxai.interventions.generator.parameters import GeneratorParameters
from slicerxai.interventions.generator.property import GeneratedProperty
from slicerxai.interventions.path import gradual_path
from slicerxai.interventions.property import Scan
from tests.support.generated_heads import TINY, head


@pytest.fixture(scope="module")
def scan() -> Scan:
    image, mask = head(100, radius=2.5)
    return Scan(images={"FLAIR": image, "T1": image}, lesions=mask)


@pytest.fixture(scope="module")
def loads(generators, tiny_generator) -> GeneratedProperty:
    return GeneratedProperty("tiny", generators)


def test_the_range_goes_from_no_lesion_to_more_than_the_own_load(loads, scan) -> None:
    low, high = loads.limits(scan)
    own = loads.neutral(scan)
    truth = scan.lesions.array.sum() * scan.lesions.voxel_volume / 1000
    assert own == pytest.approx(truth, rel=0.05)
    assert low < 0.3 * own
    assert high > own
    assert loads.info.units == "ml"
    assert loads.info.name == "generated"


def test_the_neutral_value_hands_back_the_very_arrays(loads, scan) -> None:
    found = loads.realise(scan, loads.neutral(scan))
    assert all(found[key].array is scan.images[key].array for key in scan.images)


def test_a_path_changes_the_head_continuously_and_nothing_else(loads, generators, scan) -> None:
    path = gradual_path(loads, scan, steps=5)
    images = [step["FLAIR"].array for step in path]
    background = scan.reference.array == 0
    for image in images:
        assert image.dtype == np.float32
        assert (image[background] == 0).all()
        assert (image[~background] > 0).all()
    ball = (scan.lesions.array == 1) & ~background
    means = np.array([image[ball].mean() for image in images])
    assert (np.diff(means) > 0).all()  # the network has learned that a load is a bright ball
    assert means[-1] - means[0] > 5
    assert path[0]["T1"] is scan.images["T1"]
    np.testing.assert_array_equal(loads.realise(scan, float(path.values[0]))["FLAIR"].array, images[0])
    fresh = GeneratedProperty("tiny", generators)
    np.testing.assert_array_equal(fresh.realise(scan, float(path.values[0]))["FLAIR"].array, images[0])


def test_changes_stay_within_the_region(loads, scan) -> None:
    region = loads.region(scan).array
    low, _ = loads.limits(scan)
    change = np.abs(loads.realise(scan, low)["FLAIR"].array - scan.reference.array)
    assert region.min() >= 0
    assert region.max() <= 1
    assert change[region > 0.5].mean() > 5 * change[(region < 0.01) & (scan.reference.array != 0)].mean()


def test_guidance_is_neutral_at_zero_and_goes_both_ways(generators, tiny_generator, scan) -> None:
    guided = GeneratedProperty("tiny:guidance", generators)
    assert guided.neutral(scan) == 0
    low, high = guided.limits(scan)
    assert low == -high
    ball = scan.lesions.array == 1
    less, more = (guided.realise(scan, value)["FLAIR"].array[ball].mean() for value in (low, high))
    assert less < more


def test_single_slices_can_be_changed(loads, scan) -> None:
    image, mask = (volume.with_array(volume.array) for volume in (scan.reference, scan.lesions))
    middle = image.shape[2] // 2
    cut = [type(image)(volume.array[:, :, middle : middle + 1], volume.affine) for volume in (image, mask)]
    single = Scan(images={"FLAIR": cut[0]}, lesions=cut[1])
    low, _ = loads.limits(single)
    found = loads.realise(single, low)["FLAIR"]
    assert found.shape == (*image.shape[:2], 1)
    assert np.abs(found.array - cut[0].array).max() > 1


def test_a_load_keeps_each_slice_share_and_adds_where_lesions_are_usual(loads, scan) -> None:
    state = loads.prepared(scan)
    course = state.course
    assert isinstance(course, LoadCourse)
    condition = loads.generator.condition

    def areas(value: float) -> np.ndarray:
        return (course.at(value).target[:, 0].numpy() * 2) ** 2 * condition.typical

    own = areas(course.own)
    thickness = state.slices.thickness / 10
    for value in np.linspace(*course.limits, 6):
        assert areas(value).sum() * thickness == pytest.approx(value, rel=1e-4, abs=1e-5)
    low, high = course.limits
    half = areas((course.own + low) / 2)
    np.testing.assert_allclose(half[course.active], own[course.active] / 2, atol=1e-4)
    added = areas(high) - own
    usual = condition.usual(state.slices.height)
    assert np.corrcoef(added[course.active], usual[course.active])[0, 1] > 0.99
    assert areas(high).max() <= max(condition.most, own.max()) + 1e-4


def test_what_cannot_be_generated_is_said(generators, loads, scan) -> None:
    assert "lesions are not known" in loads.unusable(Scan(images=scan.images))
    assert "needs FLAIR; there is T1" in loads.unusable(Scan({"T1": scan.images["T1"]}, lesions=scan.lesions))
    high = loads.limits(scan)[1]
    with pytest.raises(InputError, match="is possible on this scan"):
        loads.realise(scan, high + 1)
    with pytest.raises(InputError, match="no target '03'"):
        GeneratedProperty("tiny:03", generators)
    with pytest.raises(InputError, match="bad generator 'tiny:1:2'"):
        GeneratedProperty("tiny:1:2", generators)
    with pytest.raises(NotFoundError, match="no generator 'unknown'"):
        GeneratedProperty("unknown", generators)


def test_looks_of_a_centre_need_no_lesions(generators, tiny_cases, scan) -> None:
    parameters = GeneratorParameters(**TINY, steps=2, condition="centre")
    generators.train("looks", tiny_cases, "consensus", parameters, torch.device("cpu"))
    with pytest.raises(InputError, match="accepted: NAME:01, NAME:03"):
        GeneratedProperty("looks", generators)
    looks = GeneratedProperty("looks:03", generators)
    bare = Scan(images={"FLAIR": scan.reference})
    assert looks.unusable(bare) is None
    assert (looks.limits(bare), looks.neutral(bare), looks.region(bare)) == ((0, 1), 0, None)
    half, whole = (looks.realise(bare, value)["FLAIR"].array for value in (0.5, 1.0))
    assert np.abs(whole - scan.reference.array).max() > 0
    assert not np.array_equal(half, whole)
