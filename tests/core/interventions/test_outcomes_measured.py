"""Paths of a known property through a hand-weighted classifier, whose response has a closed form."""

from types import SimpleNamespace

import numpy as np
import pytest

from slicerxai.errors import Cancelled, InputError
from slicerxai.interventions.measure import control_indices, measure
from slicerxai.interventions.outcomes import reader
from slicerxai.interventions.path import gradual_path
from slicerxai.interventions.property import Scan
from slicerxai.interventions.property_info import PropertyInfo
from tests.support.box_property import InBox
from tests.support.boxes import BoxClassifier, box_mask, head
from tests.support.spots import OBLIQUE, SpotSegmenter, scan


@pytest.fixture(scope="module")
def case():
    model, image = BoxClassifier(), head(OBLIQUE)
    return SimpleNamespace(
        model=model, image=image, reader=reader(model, {"FLAIR": image}), mask=box_mask(model, image, "first")
    )


def path_of(case, steps=7, pattern=None, **rest):
    return gradual_path(InBox(case.mask, pattern), Scan({"FLAIR": case.image}), steps=steps, **rest)


def test_the_curve_is_the_models_and_its_effect_is_known(case):
    path = path_of(case, steps=13)
    found = measure(path, case.reader, controls=0)
    own = np.stack([case.model.predict(path[step]) for step in range(len(path))])
    assert found.predictions == pytest.approx(own, abs=1e-6)
    odds = np.log(own[:, 0] / (1 - own[:, 0]))
    slope = np.diff(odds) / np.diff(path.values)
    assert slope == pytest.approx(slope[0], rel=1e-3), "the logit is linear in the property"
    assert found.unchanged == pytest.approx(case.model.predict({"FLAIR": case.image}), abs=1e-6)
    assert found.neutral == 0
    (flip,) = found.effect.flips[0]
    assert flip.upward
    assert flip.value == pytest.approx(np.interp(0, odds, path.values), abs=0.3)
    assert found.effect.flips[1] == ()
    assert found.predictions[:, 1] == pytest.approx(found.unchanged[1], abs=0.05), "the other box is another"
    assert (found.controls, found.uncontrolled) == (None, "no control paths were asked for")
    assert np.isnan(found.mismatch)


def test_what_the_model_reads_is_told_from_arbitrary_changes_of_its_size(case):
    found = measure(path_of(case), case.reader, controls=39, seed=3)
    assert found.controls.drawn == 39
    assert found.controls.p[0] == pytest.approx(1 / 40)
    assert found.mismatch < 1e-5
    assert found.seen[path_of(case).neutral_step()] == 0
    assert (np.diff(found.seen[:4]) < 0).all()


def test_an_arbitrary_pattern_is_not(case):
    rng = np.random.default_rng(0)
    p = [
        measure(
            path_of(case, steps=4, pattern=rng.choice([-1.0, 1.0], case.image.shape)),
            case.reader,
            controls=19,
            permutations=0,
            seed=seed,
        ).controls.p[0]
        for seed in range(12)
    ]
    assert np.mean(np.array(p) <= 0.05) < 0.35
    assert np.median(p) > 0.1


def test_the_test_stops_early_and_is_the_same_again(case):
    rng = np.random.default_rng(1)
    path = path_of(case, pattern=rng.choice([-1.0, 1.0], case.image.shape))
    found = measure(path, case.reader, controls=199, stop_after=2, seed=5)
    again = measure(path, case.reader, controls=199, stop_after=2, seed=5)
    assert found.controls.drawn < 199
    assert np.array_equal(found.controls.p, again.controls.p)
    assert np.array_equal(found.permutation.p, again.permutation.p)


def test_what_preparing_undoes_is_not_compared(case):
    path = gradual_path(InBox(case.mask.with_array(0 * case.mask.array)), Scan({"FLAIR": case.image}), steps=3)
    found = measure(path, case.reader)
    assert found.controls is None
    assert "undoes the change" in found.uncontrolled
    assert not found.reaches_the_network()
    assert measure(path_of(case, steps=3), case.reader, controls=0).reaches_the_network()


def test_a_range_without_the_unchanged_image(case):
    found = measure(path_of(case, steps=3, low=-40, high=-20), case.reader, controls=3)
    assert found.neutral is None
    assert found.unchanged == pytest.approx(case.reader.reported, abs=1e-6)
    assert found.seen.min() > 0.01


def test_every_step_is_watched(case):
    seen = []
    path = path_of(case, steps=4)
    measure(path, case.reader, controls=0, watch=lambda step, images, tensor: seen.append((step, images, tensor.shape)))
    assert [step for step, _, _ in seen] == list(range(len(path)))
    assert all(shape == case.reader.prepared.tensor.shape for _, _, shape in seen)
    assert np.array_equal(seen[0][1]["FLAIR"].array, path[0]["FLAIR"].array)


@pytest.mark.parametrize(
    ("steps", "neutral", "most", "expected"),
    [
        (11, 0, 3, (0, 3, 5, 10)),
        (11, 4, 3, (0, 4, 7, 10)),
        (11, 10, 2, (0, 5, 10)),
        (12, 5, 2, (0, 5, 11)),
        (5, None, 2, (0, 4)),
        (5, 2, None, (0, 1, 2, 3, 4)),
        (4, 0, 3, (0, 1, 2, 3)),
        (2, None, 2, (0, 1)),
    ],
)
def test_the_steps_that_are_compared(steps, neutral, most, expected):
    found = control_indices(steps, neutral, most)
    assert {0, steps - 1} <= set(found)
    assert neutral is None or neutral in found
    assert len(found) == len(expected)
    assert len(set(found) - {neutral}) <= (most or steps)
    if most is None:
        assert found == expected


def test_controls_use_the_compared_steps_alone(case, monkeypatch):
    path, batches = path_of(case, steps=7), []
    read = case.reader.read
    monkeypatch.setattr(case.reader, "read", lambda tensors, *rest: (batches.append(len(tensors)), read(tensors))[1])
    monkeypatch.setattr(
        "slicerxai.interventions.measure._walked",
        lambda *_: SimpleNamespace(
            predictions=np.stack([read(case.reader.prepare(path[n])[None])[0] for n in range(len(path))]),
            tensors=[case.reader.prepare(path[n]) for n in range(len(path))],
            experts=[None] * len(path),
        ),
    )
    found = measure(path, case.reader, controls=2, control_steps=3, permutations=0)
    assert batches == [3, 3], "the unchanged step is known"
    assert len(found.control_steps) == 4


def test_refusals(case):
    with pytest.raises(InputError, match="2 steps"):
        measure(path_of(case), case.reader, control_steps=1)

    def stop(fraction, message):
        if "control" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        measure(path_of(case, steps=3), case.reader, controls=5, progress=stop)


def test_recorded_images_on_grids_of_their_own_are_read_but_not_compared():
    image = scan()
    cut = type(image)(
        image.array[2:], image.affine @ np.array([[1, 0, 0, 2], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    )

    class Cut(InBox):
        def realise(self, scan, value):
            return dict(scan.images) if value == 0 else {"FLAIR": cut}

    read = reader(SpotSegmenter(), {"FLAIR": image})
    info = PropertyInfo("recorded", "Recorded", "", "", "recorded", 0.0, 1.0, 0.0)
    path = gradual_path(Cut(image, info=info), Scan({"FLAIR": image}), steps=2)
    found = measure(path, read, permutations=0)
    assert found.predictions[:, 1].tolist() == [2, 2]
    assert "do not lie on one grid" in found.uncontrolled
    assert np.isnan(found.seen[1])
    other = PropertyInfo("gain", "Other", "", "", "acquisition", 0.0, 1.0, 0.0)
    with pytest.raises(InputError, match="not prepared to the grid"):
        measure(gradual_path(Cut(image, info=other), Scan({"FLAIR": image}), steps=2), read)
