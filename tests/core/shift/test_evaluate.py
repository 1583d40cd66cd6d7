from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort, Environment, OneOf
from slicerxai.data.io import write_volume
from slicerxai.data.lesions import label_components
from slicerxai.data.metrics import dice
from slicerxai.data.volume import Volume
from slicerxai.errors import Cancelled, InputError
from slicerxai.models.fast import FastConfig, FastSegmenter
from slicerxai.models.protocols import ModelInfo, Segmentation
from slicerxai.models.unet import FastUNet
from slicerxai.progress import Progress, silent
from slicerxai.shift.evaluate import METRICS, Burden, CaseScore, check_burden, evaluate_cohort, samples, score_raters
from slicerxai.shift.harmonise import fit_transport

SHAPE = (26, 28, 24)
GROUPS = {"S": ["population"], "X": ["acquisition", "prediction"], "Y": ["style"]}


class Threshold(FastSegmenter):
    """Calls lesion what is brighter than 1.35 times the median, and counts its calls."""

    calls = 0

    def predict(self, images, progress: Progress = silent) -> Segmentation:
        Threshold.calls += 1
        progress(0.5, "half")
        image = images["FLAIR"]
        values = np.asarray(image.array, dtype=np.float32)
        labels = values > 1.35 * np.median(values[values > 0])
        return Segmentation(
            image.with_array(labels.astype(np.uint8)), image.with_array(np.where(labels, 0.9, 0.1).astype(np.float32))
        )


@pytest.fixture
def model() -> Threshold:
    Threshold.calls = 0
    config = FastConfig(spacing=2.0, patch_size=(16, 16, 16), features=(4, 8))
    info = ModelInfo("threshold", "fast", ("FLAIR",), ("background", "lesion"), "digest", {})
    return Threshold(info, FastUNet(1, 2, config.features), config, torch.device("cpu"))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder, affine = tmp_path_factory.mktemp("cohort"), np.diag([2.0, 2.0, 2.0, 1.0])
    axes = np.meshgrid(*(np.arange(n) - n / 2 for n in SHAPE), indexing="ij")
    brain = np.sqrt(sum(axis**2 for axis in axes)) < 11
    cases = []
    for n in range(6):
        rng = np.random.default_rng(n)
        tissue = 1 + 0.1 * ndimage.gaussian_filter(rng.standard_normal(SHAPE), 2) / 0.05
        away = np.sqrt(sum((axis - 4) ** 2 for axis in axes))
        image = np.where(brain, 300 * np.clip(np.where(away < 2.5, 1.8, np.clip(tissue, 0.5, 1.2)), 0.1, None), 0)
        paths = {"1": away < 2.5, "2": away < 3.5, "consensus": away < 3, "none": away < 0}
        write_volume(folder / f"{n}.nii.gz", Volume(image.astype(np.float32), affine))
        for rater, mask in paths.items():
            write_volume(folder / f"{n}-{rater}.nii.gz", Volume(mask.astype(np.uint8), affine))
        cases.append(
            Case(
                f"case{n}",
                {"FLAIR": folder / f"{n}.nii.gz"},
                {rater: folder / f"{n}-{rater}.nii.gz" for rater in paths},
                {"centre": "01" if n < 5 else "03", "age": 30.0 + n, "sex": "F" if n % 2 else "M", "burden": 1.0 + n},
            )
        )
    return Cohort("toy", tuple(cases))


def test_scores_are_the_metrics_and_features_of_every_case(model: Threshold, cohort: Cohort, tmp_path: Path) -> None:
    environment = Environment(where={"centre": OneOf(values=("01",))}, rater="2")
    scores = evaluate_cohort(model, cohort, environment, tmp_path, burden=Burden("mask", "consensus"))
    assert [score.case for score in scores] == [f"case{n}" for n in range(5)]
    for score in scores:
        case = cohort[score.case]
        image, mask = case.image("FLAIR").array, case.mask("2").array
        assert score.metrics["dice"] == dice(image > 1.35 * np.median(image[image > 0]), mask)
        assert tuple(score.metrics) == METRICS
        consensus_ml = case.mask("consensus").array.sum() * 8 / 1000
        assert score.features["population"]["log_burden"] == pytest.approx(np.log(consensus_ml + 0.05))
        assert score.features["population"]["log_lesions"] == pytest.approx(
            np.log1p(label_components(case.mask("consensus").array > 0)[1])
        )
        assert score.features["reference"]["log_volume_ratio"] > 0
    found, dropped = samples(scores, GROUPS, "dice")
    assert dropped == ()
    assert {name: values.shape for name, values in found.variables.items()} == {"S": (5, 4), "X": (5, 11), "Y": (5, 6)}
    np.testing.assert_array_equal(found.metric, [score.metrics["dice"] for score in scores])


def test_another_raters_masks_and_a_transported_image_are_other_scores(
    model: Threshold, cohort: Cohort, tmp_path: Path
) -> None:
    environment = Environment(rater="1")
    own = evaluate_cohort(model, cohort, environment, tmp_path)
    swapped = evaluate_cohort(model, cohort, environment, tmp_path, rater="2")
    assert swapped == evaluate_cohort(model, cohort, Environment(rater="2"), tmp_path)
    assert all(a.metrics["dice"] > b.metrics["dice"] for a, b in zip(own, swapped, strict=True))
    assert all(a.features["acquisition"] == b.features["acquisition"] for a, b in zip(own, swapped, strict=True))
    images = [case.image("FLAIR") for case in cohort]
    flat = [image.with_array(np.sqrt(image.array)) for image in images]
    moved = evaluate_cohort(model, cohort, environment, tmp_path, transport=fit_transport(images, flat))
    contrast = [[score.features["acquisition"]["bright"] for score in scores] for scores in (own, moved)]
    assert (np.array(contrast[1]) < contrast[0]).all()


def test_finished_cases_survive_a_cancellation(model: Threshold, cohort: Cohort, tmp_path: Path) -> None:
    def cancel(fraction: float, message: str) -> None:
        if "case 4" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        evaluate_cohort(model, cohort, Environment(rater="1"), tmp_path, progress=cancel)
    assert Threshold.calls == 3
    seen: list[float] = []
    evaluate_cohort(model, cohort, Environment(rater="1"), tmp_path, progress=lambda f, m: seen.append(f))
    assert Threshold.calls == 6
    assert seen == sorted(seen)
    assert seen[-1] == 1
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npz"}


def test_only_changed_images_and_models_are_predicted_anew(model: Threshold, cohort: Cohort, tmp_path: Path) -> None:
    one = Cohort("one", cohort.cases[:1])
    environment = Environment(rater="1")
    evaluate_cohort(model, one, environment, tmp_path / "cache")
    evaluate_cohort(model, one, environment, tmp_path / "cache")
    assert Threshold.calls == 1
    (without,) = evaluate_cohort(model, one, environment, tmp_path / "cache")
    (known,) = evaluate_cohort(model, one, environment, tmp_path / "cache", burden=Burden("metadata", "burden"))
    assert set(known.features["population"]) - set(without.features["population"]) == {"log_burden"}
    assert Threshold.calls == 1
    mask = tmp_path / "mask.nii.gz"
    write_volume(mask, one.cases[0].mask("2"))
    changed = replace(one.cases[0], masks={"1": mask})
    (drawn,) = evaluate_cohort(model, Cohort("one", (changed,)), environment, tmp_path / "cache")
    assert drawn.metrics["dice"] < without.metrics["dice"]
    assert Threshold.calls == 1
    brighter = one.cases[0].image("FLAIR")
    write_volume(tmp_path / "image.nii.gz", brighter.with_array(2 * brighter.array))
    changed = replace(one.cases[0], images={"FLAIR": tmp_path / "image.nii.gz"})
    evaluate_cohort(model, Cohort("one", (changed,)), environment, tmp_path / "cache")
    assert Threshold.calls == 2
    model.info = replace(model.info, digest="another")
    evaluate_cohort(model, one, environment, tmp_path / "cache")
    assert Threshold.calls == 3


def test_raters_are_scored_from_one_prediction(model: Threshold, cohort: Cohort, tmp_path: Path) -> None:
    raters = ["1", "2", "consensus"]
    found = score_raters(model, cohort.cases, raters, tmp_path)
    assert Threshold.calls == len(cohort)
    for rater in raters:
        scores = evaluate_cohort(model, cohort, Environment(rater=rater), tmp_path)
        assert [score.metrics for score in scores] == [row[rater].metrics for row in found]
        assert [score.drawn_ml for score in scores] == [row[rater].drawn_ml for row in found]
    assert Threshold.calls == len(cohort)
    first = cohort.cases[0]
    assert found[0]["2"].drawn_ml == pytest.approx(first.mask("2").array.sum() * 8 / 1000)
    image = first.image("FLAIR").array
    assert found[0]["2"].predicted_ml == pytest.approx((image > 1.35 * np.median(image[image > 0])).sum() * 8 / 1000)
    with pytest.raises(InputError, match="lacks a mask of rater '9'"):
        score_raters(model, cohort.cases, ["9"], tmp_path)


def test_metrics_without_meaning_are_left_out_and_errors_turn_their_sign(
    model: Threshold, cohort: Cohort, tmp_path: Path
) -> None:
    scores = evaluate_cohort(model, cohort, Environment(rater="1"), tmp_path)
    empty = evaluate_cohort(model, Cohort("one", cohort.cases[:1]), Environment(rater="none"), tmp_path)
    assert empty[0].metrics["dice"] == 0
    assert empty[0].metrics["recall"] is None
    found, dropped = samples([*scores, *empty], GROUPS, "recall")
    assert dropped == ("case0",)
    assert len(found) == 6
    errors, _ = samples(scores, GROUPS, "volume_error_ml")
    assert (errors.metric <= 0).all()
    assert CaseScore(**json.loads(json.dumps(scores[0].__dict__))) == scores[0]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"burden": Burden("mask", "9")}, "lacks a mask of rater '9'"),
        ({"burden": Burden("metadata", "centre")}, "lacks a number as metadata 'centre'"),
        ({"rater": "8"}, "lacks a mask of rater '8'"),
    ],
)
def test_what_a_case_lacks_is_named(model: Threshold, cohort: Cohort, tmp_path: Path, change, match: str) -> None:
    with pytest.raises(InputError, match=match):
        evaluate_cohort(model, cohort, Environment(rater="1"), tmp_path, **change)
    assert list(tmp_path.iterdir()) == []


def test_model_without_a_bright_modality_and_unknown_names(model: Threshold, cohort: Cohort, tmp_path: Path) -> None:
    scores = evaluate_cohort(model, cohort, Environment(rater="1"), tmp_path)
    with pytest.raises(InputError, match="unknown metric 'kappa'"):
        samples(scores, GROUPS, "kappa")
    with pytest.raises(InputError, match="no features 'reference'"):
        samples(scores, {"Y": ["reference"]}, "dice")
    model.info = replace(model.info, channels=("T1",))
    with pytest.raises(InputError, match="bright lesions"):
        evaluate_cohort(model, cohort, Environment(rater="1"), tmp_path)


def test_burden_of_a_compared_rater_is_refused() -> None:
    check_burden(Burden("mask", "consensus"), ["1", "2"])
    check_burden(Burden("mask", "1"), ["1", "1"])
    check_burden(None, ["1", "2"])
    with pytest.raises(InputError, match="cannot be read from rater '2'"):
        check_burden(Burden("mask", "2"), ["1", "2"])
