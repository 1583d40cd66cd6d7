"""Property gradients as an explanation: layout, words and self-tests, on hand-weighted models."""

import io

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from slicerxai.data.volume import Volume
from slicerxai.errors import Cancelled, ConflictError, InputError
from slicerxai.explain.contract import Inputs
from slicerxai.explain.folder import load, save
from slicerxai.explain.property import PropertyExplainer
from slicerxai.explain.property_case import PropertyCase
from slicerxai.explain.property_parameters import PropertyParameters
from slicerxai.explain.property_tables import EFFECT_COLUMNS
from slicerxai.explain.property_words import needed_controls
from slicerxai.explain.report import render
from slicerxai.explain.run import parse_parameters
from slicerxai.explain.slices import scenes
from slicerxai.progress import silent
from tests.support.box_property import InBox
from tests.support.boxes import BoxClassifier, box_mask, head
from tests.support.spots import OBLIQUE, SpotSegmenter, scan


def explained(model, image, mask=None, progress=silent, sequence=(), **parameters):
    images = image if isinstance(image, dict) else dict.fromkeys(model.info.channels, image)
    inputs = Inputs("one", images, dict.fromkeys(images, "0" * 64), model, mask, sequence)
    values = {"controls": 3, "permutations": 99, "steps": 5} | parameters
    return PropertyExplainer().explain(inputs, PropertyParameters(**values), progress)


def rows(result, table):
    found = result.tables[table]
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def check(result, name):
    return next(one for one in result.checks if one.name == name)


@pytest.fixture(scope="module")
def image():
    """Integers, as scanners store them."""
    found = scan()
    return found.with_array(np.rint(found.array * 100).astype(np.int16))


@pytest.fixture(scope="module")
def expert(image):
    return image.with_array((np.asarray(image.array) > 300).astype(np.uint8))


class Scaled(SpotSegmenter):
    """Reads the integers of `image`."""

    def prepare(self, images):
        prepared = super().prepare(images)
        return type(prepared)(prepared.tensor / 100, prepared.affine, prepared.reference)


@pytest.fixture(scope="module")
def one(image, expert):
    """Gain, which this model, unlike others, does not normalise away."""
    return explained(Scaled(), image, expert, properties=["gain"], low=-2, high=1, controls=1)


def test_a_single_property_has_its_images_and_predictions(image, one):
    curve = rows(one, "curve")
    assert [row["step"] for row in curve] == list(range(1, len(curve) + 1))
    assert curve[0].keys() >= {"property", "value", "lesion_volume_ml", "dice"}
    for row in curve:
        step, prediction = (one.overlays[f"{name}_{row['step']}"] for name in ("step", "prediction"))
        assert (step.kind, prediction.kind) == ("counterfactual", "labelmap")
        assert step.volume.array.dtype == image.array.dtype, "in the type of the file"
        assert prediction.volume.array.dtype == np.uint8
        own = Scaled().predict({"FLAIR": step.volume}).labelmap.array
        same = (own != 0) == (prediction.volume.array != 0)
        assert (~same).sum() <= 2, "the image shown is what was predicted from, but for its rounding"
        volume = (prediction.volume.array != 0).sum() * image.voxel_volume / 1000
        assert row["lesion_volume_ml"] == pytest.approx(volume, rel=1e-5)
    assert np.array_equal(one.overlays["FLAIR"].volume.array, image.array)
    assert "expert_mask" in one.overlays
    neutral = next(row["step"] for row in curve if row["value"] == 0)
    assert np.array_equal(one.overlays[f"step_{neutral}"].volume.array, image.array)


def test_its_effect_flips_and_words(one):
    effects = rows(one, "effects")
    assert list(effects[0]) == [*EFFECT_COLUMNS]
    assert [row["output"] for row in effects] == [
        "lesion_volume_ml",
        "lesion_count",
        "expected_volume_ml",
        "lesion_probability",
        "dice",
    ]
    first = effects[0]
    assert (first["low"], first["high"], first["neutral"], first["units"]) == (-2, 1, 0, "log2")
    assert first["over_range"] == pytest.approx(3 * first["mean_abs_gradient"], rel=1e-5)
    assert first["verdict"] == "not resolved: 1 control cannot reach 0.05; 19 can"
    assert first["p_controls"] == first["p_controls_adjusted"] >= 0.5
    assert first["controls"] == 1
    probability = effects[3]
    assert probability["flips"] == 1
    (flip,) = [row for row in rows(one, "flips") if row["output"] == "lesion_probability"]
    assert (flip["direction"], flip["value"]) == ("up", probability["first_flip"])
    (message,) = [flag.message for flag in one.flags if "falls below" in flag.message]
    assert message.startswith("lesion_probability falls below 0.5 at gain −")
    assert message.endswith("log2 and lower.")
    summary = one.tables["summary"].rows[0]
    assert summary[:3] == ["Gain", "−2 to 1 log2", first["over_range"]]
    assert summary[3:] == ["none", first["p_controls_adjusted"], first["verdict"]]
    outputs = rows(one, "outputs")
    assert outputs[3]["threshold"] == 0.5
    assert outputs[1]["unchanged"] == 2
    assert one.metrics["flips"] == 0
    assert one.metrics["p_controls"] >= 0.5


def test_its_self_tests(one):
    assert check(one, "unchanged image").verdict == "reliable"
    assert check(one, "resolution of the control test").value == pytest.approx(0.5)
    assert check(one, "resolution of the control test").verdict == "caution"
    assert check(one, "size of controls").value < 1e-4


def test_its_figures_and_report(tmp_path, one):
    assert set(one.figures) == {"curve_gain", "strip"}
    for figure in one.figures.values():
        width, height = Image.open(io.BytesIO(figure.png)).size
        assert min(width, height) > 100
    save(one, tmp_path / "out")
    again = load(tmp_path / "out")
    assert again.tables == one.tables
    page = render(again)
    assert "Property gradients" in page
    assert "Where decisions turn" in page
    (scene,) = scenes(one)
    assert [outline.name for outline in scene.outlines] == ["lesions", "expert mask"], (
        "not the predictions of all steps"
    )


def test_a_dependence_is_found(monkeypatch):
    model, seen = BoxClassifier(), head(OBLIQUE)
    monkeypatch.setattr("slicerxai.explain.property.find_property", lambda *_: InBox(box_mask(model, seen, "first")))
    result = explained(model, seen, properties=["gain"], low=-30, high=10, controls=19)
    first = rows(result, "effects")[0]
    assert (first["output"], first["verdict"], first["controls"]) == ("first", "depends", 19)
    assert first["p_controls"] == first["p_controls_adjusted"] == pytest.approx(0.05)
    assert check(result, "resolution of the control test").verdict == "reliable"
    assert any("first depends on it" in flag.message for flag in result.flags)
    assert any("first falls below 0.5 at brightness of a box" in flag.message for flag in result.flags)


def test_several_are_ranked_and_not_shown_step_by_step(image):
    asked = {"properties": ["gain", "noise", "colour_patch"], "steps": 3, "control_steps": 2}
    result = explained(Scaled(), image, output="lesion_count", **asked)
    assert set(result.overlays) == {"FLAIR", "lesions"}
    assert set(result.figures) == {"ranking", "curve_gain", "curve_noise"}
    effects = rows(result, "effects")
    ranked = [row for row in effects if row["output"] == "lesion_count"]
    assert ranked == effects[::4], "the ranked output of each property comes first"
    assert [row["property"] for row in ranked] == ["gain", "noise"]
    assert ranked[0]["over_range"] >= ranked[1]["over_range"]
    (unusable,) = rows(result, "unusable")
    assert unusable["property"] == "colour_patch"
    assert unusable["reason"]
    assert ranked[0]["verdict"] == "not resolved: 3 controls cannot reach 0.05 over 2 properties; 39 can, or this " + (
        "property alone"
    )
    limit = check(result, "resolution of the control test")
    assert limit.verdict == "caution"
    assert "39 controls" in limit.reason
    assert check(result, "resolution of the permutation test").verdict == "caution", "3 steps"


def test_all_usable_ones_by_default(image):
    result = explained(BoxClassifier(), head(OBLIQUE, (24, 22, 20)), steps=2, controls=0, permutations=0)
    assert {row["property"] for row in rows(result, "effects")} >= {"contrast", "noise", "slice_thickness", "gain"}
    assert {row["property"] for row in rows(result, "unusable")} >= {"lesion_load", "colour_patch"}
    assert not {"recorded", "generated"} & {row["property"] for row in rows(result, "unusable")}
    assert all(row["p_controls"] is None for row in rows(result, "effects"))
    assert {row["verdict"] for row in rows(result, "effects")} <= {
        "not resolved: no control paths were asked for",
        "no change",
    }


def test_a_classifier_that_does_not_see_the_change(image):
    model = BoxClassifier()
    prepare = model.prepare

    def normalised(images):
        prepared = prepare(images)
        return type(prepared)(prepared.tensor / prepared.tensor.mean() * 9, prepared.affine, prepared.reference)

    model.prepare = normalised
    model.predict = lambda images: model_probability(model, normalised(images).tensor)
    result = explained(model, head(OBLIQUE), properties=["gain"])
    assert {row["verdict"] for row in rows(result, "effects")} == {"no change"}
    assert {row["p_controls"] for row in rows(result, "effects")} == {None}
    assert check(result, "resolution of the control test").verdict == "reliable"
    assert [row["units"] for row in rows(result, "outputs")] == ["probability", "probability"]
    assert "prediction_1" not in result.overlays


def model_probability(model, tensor):
    return model.network(tensor[None]).sigmoid()[0].numpy()


def test_a_recorded_sequence(image):
    sequence = tuple({"FLAIR": image.with_array((image.array * factor).astype(np.int16))} for factor in (0.3, 1, 1.2))
    asked = {"properties": ["recorded"], "sequence_values": [0, 2, 3], "controls": 0}
    result = explained(Scaled(), image, sequence=sequence, **asked)
    assert [row["value"] for row in rows(result, "curve")] == [0, 2, 3]
    assert rows(result, "effects")[0]["neutral"] == 2
    assert np.array_equal(result.overlays["step_1"].volume.array, sequence[0]["FLAIR"].array)
    with pytest.raises(InputError, match="none was given"):
        explained(Scaled(), image, properties=["gain"], sequence_values=[1, 2])
    with pytest.raises(InputError, match="at least 2"):
        explained(Scaled(), image, properties=["recorded"])


def test_several_channels(image):
    images = {"FLAIR": image, "T1": image.with_array((image.array // 2).astype(np.int16))}
    result = explained(Scaled(channels=("FLAIR", "T1")), images, properties=["gain"], steps=3, controls=0)
    assert {"step_1", "step_1_T1", "step_3_T1", "FLAIR", "T1"} <= set(result.overlays)


def test_photographs_are_shown_in_colour():
    rng = np.random.default_rng(0)
    photograph = {
        name: Volume(rng.integers(90, 220, (40, 50, 1)).astype(np.uint8), np.eye(4))
        for name in ("RED", "GREEN", "BLUE")
    }
    model = BoxClassifier(channels=("RED", "GREEN", "BLUE"))
    result = explained(model, photograph, properties=["colour_patch"], steps=3, controls=0)
    picture = np.asarray(Image.open(io.BytesIO(result.figures["strip"].png)).convert("RGB")).astype(int)
    assert np.ptp(picture, axis=2).max() > 60


def test_refusals(image, expert):
    with pytest.raises(InputError, match=r"unknown output 'volume'.*lesion_count"):
        explained(Scaled(), image, properties=["gain"], output="volume")
    with pytest.raises(InputError, match="colour"):
        explained(Scaled(), image, properties=["colour_patch"])
    far = Volume(expert.array, expert.affine + np.array([[0, 0, 0, 5000], [0] * 4, [0] * 4, [0] * 4]))
    with pytest.raises(InputError, match="mask"):
        explained(Scaled(), image, far, properties=["gain"])


def test_it_can_be_cancelled(image):
    def stop(fraction, message):
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        explained(Scaled(), image, progress=stop, properties=["gain"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"properties": ["shape"]}, "Input should be"),
        ({"properties": []}, "at least 1"),
        ({"properties": ["noise", "noise"]}, "named twice"),
        ({"low": 1.0}, "low and high belong to one property"),
        ({"properties": ["noise"], "low": 1.0, "high": 0.5}, "not below"),
        ({"steps": 1}, "greater than or equal to 2"),
        ({"delta": 0}, "greater than 0"),
    ],
)
def test_bad_parameters(values, message):
    with pytest.raises(ValidationError, match=message):
        PropertyParameters(**values)
    with pytest.raises(InputError, match="bad parameters for property"):
        parse_parameters("property", values)


def test_the_generated_property_names_its_generator(tmp_path, monkeypatch):
    from slicerxai.settings import Settings

    monkeypatch.setattr("slicerxai.settings.settings", lambda: Settings(home=tmp_path))
    asked = PropertyParameters(properties=["generated"])
    with pytest.raises(InputError, match="known: none yet"):
        asked.resolved("0" * 64)
    (tmp_path / "generators" / "drawn").mkdir(parents=True)
    (tmp_path / "generators" / "drawn" / "generator.json").write_text("{}")
    known = asked.resolved("0" * 64)
    assert known.generator == "drawn"
    assert known.resolved("0" * 64) == known
    (tmp_path / "generators" / "drawn" / "generator.json").write_text("{ }")
    with pytest.raises(ConflictError, match="trained anew"):
        known.resolved("0" * 64)
    assert PropertyParameters(properties=["noise"]).resolved("0" * 64).generator is None


@pytest.mark.parametrize(
    ("delta", "tested", "expected"), [(0.05, 1, 19), (0.05, 2, 39), (0.01, 1, 99), (0.05, 14, 279)]
)
def test_controls_that_are_needed(delta, tested, expected):
    assert needed_controls(delta, tested) == expected
    assert tested / (expected + 1) <= delta + 1e-12 < tested / expected


def test_p_values_are_adjusted_over_tested_properties_alone():
    case = PropertyCase.__new__(PropertyCase)
    object.__setattr__(case, "correction", "holm")
    p = np.array([[0.01, 0.5], [np.nan, np.nan], [0.04, 0.02]])
    assert case.adjusted(p)[:, 0] == pytest.approx([0.02, np.nan, 0.04], nan_ok=True)
    object.__setattr__(case, "correction", "bh")
    assert case.adjusted(p)[:, 1] == pytest.approx([0.5, np.nan, 0.04], nan_ok=True)
