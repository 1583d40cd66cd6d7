"""Counterfactuals on hand-weighted models, whose decisions are known."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from slicerxai.alignment.plausibility import fit_realism
from slicerxai.alignment.realism_parameters import RealismParameters
from slicerxai.alignment.realism_store import RealismStore
from slicerxai.data.lesions import label_lesions
from slicerxai.data.volume import Volume
from slicerxai.errors import Cancelled, InputError
from slicerxai.explain.contract import Inputs
from slicerxai.explain.counterfactual import CounterfactualExplainer
from slicerxai.explain.counterfactual_parameters import CounterfactualParameters
from slicerxai.explain.folder import load, save
from slicerxai.explain.report import render
from slicerxai.explain.run import parse_parameters
from slicerxai.models.protocols import Classifier
from slicerxai.models.store import ModelStore
from slicerxai.progress import silent
from slicerxai.settings import settings
from tests.support.boxes import BoxClassifier, box_mask, head
from tests.support.classifier import store_classifier
from tests.support.spots import OBLIQUE, SPOTS, SpotSegmenter, scan

CPU = torch.device("cpu")


def explained(model, image, mask=None, progress=silent, **parameters):
    images = image if isinstance(image, dict) else dict.fromkeys(model.info.channels, image)
    inputs = Inputs("one", images, dict.fromkeys(images, "0" * 64), model, mask)
    return CounterfactualExplainer().explain(inputs, CounterfactualParameters(**{"count": 1} | parameters), progress)


def column(result, name):
    table = result.tables["counterfactuals"]
    return [row[table.columns.index(name)] for row in table.rows]


def check(result, name):
    return next(one for one in result.checks if one.name == name)


def world(number):
    x, y, z = (OBLIQUE @ [*SPOTS[number], 1])[:3]
    return float(x), float(y), float(z)


@pytest.fixture(scope="module")
def image():
    return head(OBLIQUE)


@pytest.fixture(scope="module")
def turned(image):
    model = BoxClassifier()
    return explained(model, image, box_mask(model, image, "first"), label="first", count=2)


def test_the_written_image_turns_the_decision_and_the_change_lies_in_the_box(image, turned):
    model = BoxClassifier()
    assert isinstance(model, Classifier)
    before, after = (turned.metrics[f"probability_{name}"] for name in ("before", "after"))
    changed = turned.overlays["counterfactual"].volume
    assert before == pytest.approx(model.predict({"FLAIR": image})[0], abs=1e-6)
    assert after == pytest.approx(model.predict({"FLAIR": changed})[0], abs=1e-6)
    assert after < 0.5 <= before
    assert turned.tables["labels"].rows[0][-1] is True
    assert turned.tables["labels"].rows[1][-1] is False, "the other box is left alone"
    assert turned.metrics["share_inside_mask"] > 0.9
    assert turned.flags == []
    assert {check(turned, name).verdict for name in ("decision turns", "optimality", "written change")} == {"reliable"}


def test_overlays_are_the_image_plus_the_difference_on_its_grid(image, turned):
    difference = turned.overlays["difference"].volume
    changed = turned.overlays["counterfactual"].volume
    np.testing.assert_array_equal(changed.affine, OBLIQUE)
    assert changed.shape == image.shape
    assert changed.array.dtype == difference.array.dtype == np.float32
    np.testing.assert_array_equal(changed.array, (image.array + difference.array).astype(np.float32))
    assert not difference.array[image.array == 0].any(), "the background stays empty"
    assert changed.array[image.array != 0].min() >= image.array[image.array != 0].min()
    assert 0 < np.count_nonzero(difference.array) < 0.1 * difference.array.size
    assert difference.array.sum() < 0, "a bright box is turned by making it darker"


def test_share_inside_the_mask_is_that_of_the_voxels(turned):
    size = np.abs(turned.overlays["difference"].volume.array.astype(np.float64))
    mask = turned.overlays["expert_mask"].volume.array
    total = within = 0.0
    for value, drawn in zip(size.ravel(), mask.ravel(), strict=True):
        total += value
        within += value if drawn else 0.0
    assert turned.metrics["share_inside_mask"] == pytest.approx(within / total, rel=1e-6)
    assert column(turned, "share_inside_mask")[0] == pytest.approx(within / total, abs=1e-4)


def test_counterfactuals_of_the_gallery_change_other_voxels(turned):
    assert column(turned, "number") == [1, 2]
    assert column(turned, "overlay") == ["difference", "difference_2"]
    assert column(turned, "flipped") == [True, True]
    one, two = (np.abs(turned.overlays[name].volume.array) for name in ("difference", "difference_2"))
    assert (one * two).sum() < 0.05 * np.sqrt((one**2).sum() * (two**2).sum())
    assert column(turned, "change_l1")[1] >= 0.95 * column(turned, "change_l1")[0]


def test_a_change_outside_of_the_mask_is_flagged_in_words(image):
    model = BoxClassifier()
    result = explained(model, image, box_mask(model, image, "second"), label="first")
    assert result.metrics["share_inside_mask"] < 0.05
    (flag,) = result.flags
    assert flag.subject == "counterfactual 1"
    assert "of the change lies outside the expert's mask" in flag.message
    assert float(flag.message.split(" ")[0]) > 90


def test_an_empty_mask_says_that_there_is_no_finding(image):
    model = BoxClassifier()
    result = explained(model, image, image.with_array(np.zeros(image.shape, np.uint8)), label="first", alpha=0.3)
    assert (result.metrics["share_inside_mask"], result.metrics["mask_share_of_image"]) == (0.0, 0.0)
    assert "100 % of the change lies outside the expert's mask (which is empty)" in result.flags[0].message


def test_the_default_label_is_the_most_probable_present_one(image):
    model = BoxClassifier()
    model.network[1].bias.data[1] += 1
    assert explained(model, image).tables["labels"].rows[1][-1] is True
    model.network[1].bias.data[:] = torch.tensor([-25.0, -22.0])
    result = explained(model, image)
    assert result.tables["labels"].rows[1][-1] is True, "the second is nearer to its threshold"
    assert result.metrics["probability_before"] < 0.3 <= result.metrics["probability_after"]
    assert "present" in check(result, "decision turns").reason


def test_a_weight_at_which_nothing_moves_is_no_counterfactual(image):
    result = explained(BoxClassifier(), image, label="first", alpha=0.999)
    assert result.metrics["changed_voxels"] == 0
    assert column(result, "flipped") == [False]
    verdict = check(result, "decision turns")
    assert (verdict.verdict, result.verdict) == ("unreliable", "unreliable")
    assert "smaller alpha" in verdict.reason
    assert result.figures == {}


def test_squared_distance_changes_many_voxels_a_little(image, turned):
    result = explained(BoxClassifier(), image, label="first", distance="l2")
    assert column(result, "flipped") == [True]
    assert result.metrics["changed_voxels"] > turned.metrics["changed_voxels"]


def test_several_channels_are_written_apart(image):
    model = BoxClassifier(channels=("FLAIR", "T1"))
    half = model.network[1].in_features // 2
    model.network[1].weight.data[:, half:] = model.network[1].weight.data[:, :half] / 3
    model.network[1].bias.data *= 2
    bright = image.with_array((image.array * 3).astype(np.float32))
    result = explained(model, {"FLAIR": image, "T1": bright}, box_mask(model, image, "first"), label="first")
    for name, given in (("", image), ("_T1", bright)):
        changed, difference = (result.overlays[f"{kind}{name}"].volume for kind in ("counterfactual", "difference"))
        np.testing.assert_allclose(changed.array, given.array + difference.array, rtol=1e-6)
    assert column(result, "flipped") == [True]


@pytest.fixture(scope="module")
def vanished():
    return explained(SpotSegmenter(), scan(), point=world(2))


def test_the_lesion_of_the_point_vanishes_and_the_other_stays(vanished):
    model = SpotSegmenter()
    changed = vanished.overlays["counterfactual"].volume
    left = label_lesions(model.predict({"FLAIR": changed}).labelmap).array
    assert left[SPOTS[1]] > 0
    assert not left[vanished.overlays["explained_lesion"].volume.array != 0].any()
    assert column(vanished, "flipped") == [True]
    assert vanished.metrics["probability_after"] < 0.5 <= vanished.metrics["probability_before"]
    assert "lesion 2 (gone)" in check(vanished, "decision turns").reason
    size = np.abs(vanished.overlays["difference"].volume.array)
    places = np.argwhere(size > 0) @ OBLIQUE[:3, :3].T + OBLIQUE[:3, 3]
    assert np.linalg.norm(places - world(2), axis=1).max() < 20


def test_the_largest_lesion_is_the_default():
    result = explained(SpotSegmenter(), scan())
    assert result.overlays["explained_lesion"].volume.array[SPOTS[1]] == 1


def test_it_round_trips_and_the_report_shows_it(vanished, tmp_path):
    save(vanished, tmp_path / "out")
    again = load(tmp_path / "out")
    assert again.tables == vanished.tables
    page = render(again)
    assert "Counterfactual 1 turns lesion 2 (gone)" in page
    picture = Image.open(io.BytesIO(vanished.figures["counterfactual_1"].png)).convert("RGB")
    assert picture.size[0] > 3 * 200
    pixels = np.asarray(picture).astype(int)
    blue = (pixels[..., 2] - pixels[..., 0] > 80).any(0).nonzero()[0]
    assert blue.max() > 2 * picture.size[0] / 3, "the lesion is darker in the third column"


def test_without_a_lesion_nothing_can_vanish():
    result = explained(SpotSegmenter(), scan(bright=0.5))
    assert result.tables["counterfactuals"].rows == []
    assert result.verdict == "caution"
    assert "none that could vanish" in check(result, "predicted lesions").reason
    assert "difference" not in result.overlays


@pytest.mark.parametrize(
    ("model", "parameters", "words"),
    [
        (BoxClassifier(), {"label": "third"}, "unknown label 'third'"),
        (BoxClassifier(), {"point": (0, 0, 0)}, "no lesion to choose"),
        (SpotSegmenter(), {"label": "oedema"}, "unknown label 'oedema'"),
        (SpotSegmenter(), {"point": (500, 0, 0)}, "no lesion within 10 mm"),
    ],
)
def test_what_cannot_be_asked(model, parameters, words):
    with pytest.raises(InputError, match=words):
        explained(model, scan(), **parameters)


def test_a_mask_beside_the_image_is_refused(image):
    far = Volume(np.ones((4, 4, 4), np.uint8), np.diag([1.0, 1, 1, 1]) + np.array([[0, 0, 0, 900]] + [[0] * 4] * 3))
    with pytest.raises(InputError, match="mask has no voxel inside the image"):
        explained(BoxClassifier(), image, far)


@pytest.mark.parametrize("values", [{"alpha": 0}, {"alpha": 1.5}, {"count": 6}, {"distance": "l0"}, {"realism": "x"}])
def test_bad_parameters_are_named(values):
    with pytest.raises(InputError, match=next(iter(values))):
        parse_parameters("counterfactual", values)


def test_it_reports_often_and_stops_when_asked(image):
    seen = []

    def watched(fraction, message):
        seen.append(fraction)
        if len(seen) == 12:
            raise Cancelled

    with pytest.raises(Cancelled):
        explained(BoxClassifier(), image, label="first", progress=watched)
    assert seen == sorted(seen)
    assert all(0 <= value <= 1 for value in seen)


def test_a_classifier_of_volumes_whose_preparing_normalises(tmp_path):
    store = ModelStore(tmp_path)
    store_classifier(store, "regions")
    image = head(OBLIQUE, (30, 28, 26))
    image.array[12:16, 12:16, 10:14] += 60
    model = store.load("regions", CPU)
    nearly_absent(model, {"FLAIR": image})
    result = explained(model, image, label="left")
    after = model.predict({"FLAIR": result.overlays["counterfactual"].volume})
    assert result.metrics["probability_after"] == pytest.approx(after[0], abs=1e-6)
    assert column(result, "flipped") == [True]
    assert check(result, "written change").verdict == "reliable"
    assert check(result, "range of values").verdict == "reliable"


def nearly_absent(model, images):
    """An untrained network hardly depends on its image, so that its thresholds must lie close by."""
    model.thresholds = tuple(float(p) - 0.0008 for p in model.predict(images))


def test_a_classifier_of_single_images(tmp_path):
    import json

    from slicerxai.models.classifier import WEIGHTS
    from slicerxai.models.classifier_network import build_network
    from slicerxai.models.classifier_parameters import ClassifierConfig

    config = ClassifierConfig(
        targets=("a", "b"), spatial_dims=2, architecture="regional", shape=(32, 32), features=4, cells=2
    )
    torch.manual_seed(0)
    network = build_network(config, 1, 2)
    store = ModelStore(tmp_path)
    description = {"name": "flat", "kind": "classifier", "channels": ["CXR"], "labels": ["a", "b"], "provenance": {}}
    with store.create("flat") as folder:
        torch.save(network.state_dict(), folder / WEIGHTS)
        text = json.dumps(description | {"config": config.model_dump(mode="json"), "thresholds": [0.5, 0.5]})
        (folder / "model.json").write_text(text)
    array = np.random.default_rng(0).gamma(2, 40, (48, 56, 1)).astype(np.float32)
    array[10:20, 10:20] = 0
    model = store.load("flat", CPU)
    image = Volume(array, np.diag([0.5, 0.5, 1, 1]))
    nearly_absent(model, {"CXR": image})
    result = explained(model, {"CXR": image}, label="b")
    assert column(result, "flipped") == [True]
    changed = result.overlays["counterfactual"].volume
    assert model.predict({"CXR": changed})[1] < model.thresholds[1] <= model.predict({"CXR": image})[1]
    assert check(result, "written change").verdict == "reliable"
    assert result.figures


@pytest.fixture
def learned(tmp_path, monkeypatch, image):
    """What images of the box classifier look like: heads of other brightness, hardly learned."""
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path))
    settings.cache_clear()
    model = BoxClassifier()
    generator = torch.Generator().manual_seed(0)
    usual = model.prepare({"FLAIR": image}).tensor
    images = usual[None] * torch.empty(20, 1, 1, 1, 1).uniform_(0.8, 1.2, generator=generator)
    found = fit_realism(images, model.info.digest, RealismParameters(passes=200, width=4, latent=4))
    yield RealismStore(settings().realism).save("boxes", found)
    settings.cache_clear()


def test_plausibility_and_latent_space_by_what_was_learned(image, learned):
    model = BoxClassifier()
    result = explained(model, image, label="first")
    assert result.parameters["realism"] == learned
    stored = RealismStore(settings().realism).newest(model.info.digest).realism
    changed = model.prepare({"FLAIR": result.overlays["counterfactual"].volume}).tensor[None]
    assert result.metrics["plausibility"] == pytest.approx(float(stored.plausibility(changed)[0]))
    usual = float(stored.plausibility(model.prepare({"FLAIR": image}).tensor[None])[0])
    assert result.metrics["plausibility_before"] == pytest.approx(usual)
    assert check(result, "plausibility").value == result.metrics["plausibility"]
    drawn = explained(model, image, label="first", space="latent", alpha=0.02, steps=30)
    assert drawn.metrics["changed_voxels"] > result.metrics["changed_voxels"]
    assert drawn.metrics["probability_after"] < drawn.metrics["probability_before"]
    assert "plausibility" not in explained(model, image, label="first", realism="none", alpha=0.5).metrics
