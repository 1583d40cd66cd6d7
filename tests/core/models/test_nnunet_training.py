"""Training of nnU-Net: schedule, cancelling, resuming, and what it must not leave behind."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from slicerxai.errors import Cancelled, ConflictError, InputError
from slicerxai.models.nnunet import NnunetSegmenter
from slicerxai.models.nnunet_environment import only_run
from slicerxai.models.nnunet_parameters import NnunetTrainingParameters
from slicerxai.models.nnunet_training import train_nnunet, work_folder

CPU = torch.device("cpu")
TINY = NnunetTrainingParameters(epochs=3, iterations=2, patch=16, features=4, precision="float32", seed=5)


def make_case(folder, number, *, image=None, mask=None, affine=None):
    rng = np.random.default_rng(number)
    flair = 100 + 5 * rng.standard_normal((20, 22, 18))
    lesion = np.zeros(flair.shape, dtype=np.uint8)
    lesion[8 : 11 + number % 3, 9:13, 7:11] = 1
    flair[lesion > 0] += 60
    volume = Volume(flair.astype(np.float32), np.diag([2.0, 2, 2, 1]))
    write_volume(folder / f"{number}_flair.nii.gz", image(volume) if image else volume)
    drawn = volume.with_array(lesion)
    write_volume(folder / f"{number}_mask.nii.gz", mask(drawn) if mask else drawn)
    return Case(f"case{number}", {"FLAIR": folder / f"{number}_flair.nii.gz"}, {"1": folder / f"{number}_mask.nii.gz"})


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cases")
    return [make_case(folder, number) for number in range(3)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    return tmp_path / "model"


def weights(folder):
    return torch.load(folder / "weights.pt", weights_only=True)


def stop_at(text):
    def progress(_fraction, message):
        if text in message:
            raise Cancelled

    return progress


@pytest.mark.slow
def test_cancelled_and_resumed_equals_uninterrupted(cases, folder, tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    train_nnunet(cases, "1", TINY, whole, "whole", CPU)

    with pytest.raises(Cancelled):
        train_nnunet(cases, "1", TINY, folder, "halves", CPU, stop_at("epoch 2 of 3"))
    assert list(folder.iterdir()) == []
    with pytest.raises(ConflictError, match="had other parameters"):
        train_nnunet(cases, "1", TINY.model_copy(update={"epochs": 4}), folder, "halves", CPU, resume=True)
    with pytest.raises(ConflictError, match="had other cases"):
        train_nnunet(cases[:2], "1", TINY, folder, "halves", CPU, resume=True)
    seen = []
    train_nnunet(cases, "1", TINY, folder, "halves", CPU, lambda _f, message: seen.append(message), resume=True)

    assert not any("reading" in message or "epoch 1 " in message for message in seen)
    expected, found = weights(whole), weights(folder)
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)
    losses = [json.loads((where / "model.json").read_text())["provenance"]["losses"] for where in (whole, folder)]
    assert len(losses[0]) == 3
    assert losses[0] == losses[1]
    assert not work_folder(folder, "halves").exists()


def test_nothing_leaks(cases, folder, capfd):
    before = dict(os.environ)

    def progress(fraction, message):
        assert 0 <= fraction <= 1
        print(f"progress {fraction:.3f} {message}")  # noqa: T201

    parameters = TINY.model_copy(update={"epochs": 1})
    train_nnunet(cases, "1", parameters, folder, "quiet", CPU, progress)
    NnunetSegmenter.load(folder, CPU)

    lines = capfd.readouterr().out.splitlines()
    assert all(line.startswith("progress ") for line in lines)
    fractions = [float(line.split()[1]) for line in lines]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert dict(os.environ) == before
    assert sorted(path.name for path in folder.iterdir()) == ["dataset.json", "model.json", "plans.json", "weights.pt"]
    assert not any(path.name.startswith(".") for path in folder.parent.iterdir())


def test_model_folder_says_what_was_done(cases, folder):
    train_nnunet(cases, "1", TINY.model_copy(update={"epochs": 1}), folder, "known", CPU)
    info = NnunetSegmenter.load(folder, CPU).info
    assert (info.name, info.kind) == ("known", "nnunet")
    assert info.channels == ("FLAIR",)
    assert info.labels == ("background", "lesion")
    assert len(info.digest) == 64
    assert info.provenance["rater"] == "1"
    assert info.provenance["parameters"]["seed"] == 5
    assert list(info.provenance["cases"]) == ["case0", "case1", "case2"]
    assert info.provenance["versions"]["nnunetv2"]
    plans = json.loads((folder / "plans.json").read_text())
    assert plans["short_trainer"] == {
        "epochs": 1,
        "iterations": 2,
        "learning_rate": TINY.learning_rate,
        "seed": 5,
        "bfloat16": False,
    }
    configuration = plans["configurations"]["3d_fullres"]
    assert max(configuration["patch_size"]) == 16
    assert configuration["batch_size"] == TINY.batch_size
    assert configuration["batch_dice"]
    assert configuration["architecture"]["arch_kwargs"]["features_per_stage"][0] == 4
    assert plans["image_reader_writer"] == "NibabelIOWithReorient"


@pytest.mark.slow
def test_bfloat16_learns_too(cases, folder):
    parameters = TINY.model_copy(update={"precision": "bfloat16", "epochs": 2, "iterations": 10})
    train_nnunet(cases, "1", parameters, folder, "low", CPU)
    first, last = json.loads((folder / "model.json").read_text())["provenance"]["losses"]
    assert last < first
    assert all(value.dtype == torch.float32 for value in weights(folder).values())


@pytest.mark.slow
def test_stock_trainer_is_nnunets_own(cases, folder):
    seen = []

    def progress(fraction, message):
        seen.append((fraction, message))
        if "epoch" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        train_nnunet(cases, "1", NnunetTrainingParameters(trainer="stock"), folder, "stock", CPU, progress)
    work = work_folder(folder, "stock")
    plans = json.loads((work / "nnUNet_preprocessed/Dataset001_Lesions/nnUNetPlans.json").read_text())
    assert plans["experiment_planner_used"] == "ExperimentPlanner"
    assert plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["features_per_stage"][0] == 32
    assert (work / "nnUNet_results/Dataset001_Lesions/nnUNetTrainer__nnUNetPlans__3d_fullres").is_dir()
    assert "of 1000" in seen[-1][1]
    assert seen[-1][0] == pytest.approx(0.1 + 0.9 / (1000 * 300))


def test_cancelled_while_preprocessing(cases, folder):
    for text in ("reading case1", "measuring case 1", "preprocessing case 2"):
        with pytest.raises(Cancelled):
            train_nnunet(cases, "1", TINY, folder, "early", CPU, stop_at(text))
    assert "nnUNet_raw" not in os.environ
    with only_run():  # the lock is free again
        pass


def test_one_run_a_process(cases, folder):
    with only_run(), pytest.raises(ConflictError, match="already training"):
        train_nnunet(cases, "1", TINY, folder, "second", CPU)


def test_nothing_to_resume(cases, folder):
    with pytest.raises(ConflictError, match="no interrupted training of 'new'"):
        train_nnunet(cases, "1", TINY, folder, "new", CPU, resume=True)


BAD_CASES = {
    "empty image": ({"image": lambda v: v.with_array(v.array * 0)}, "FLAIR of case 'case7' is empty"),
    "another grid": ({"mask": lambda v: Volume(v.array[1:], v.affine)}, "different grids"),
    "another place": ({"mask": lambda v: Volume(v.array, v.affine + np.eye(4)[[3, 0, 1, 2]].T)}, "different grids"),
    "not binary": ({"mask": lambda v: v.with_array(v.array * 2)}, "other values than 0 and 1"),
    "no lesion": ({"mask": lambda v: v.with_array(v.array * 0)}, "no lesion voxel"),
}


@pytest.mark.parametrize("name", BAD_CASES)
def test_unusable_cases_are_refused(folder, name):
    change, said = BAD_CASES[name]
    with pytest.raises(InputError, match=said):
        train_nnunet([make_case(folder.parent, 7, **change)], "1", TINY, folder, "bad", CPU)
    assert list(folder.iterdir()) == []


def test_unusable_orders_are_refused(cases, folder):
    with pytest.raises(InputError, match="at least one"):
        train_nnunet([], "1", TINY, folder, "bad", CPU)
    with pytest.raises(InputError, match="at least 5 cases, got 3"):
        train_nnunet(cases, "1", TINY.model_copy(update={"fold": "0"}), folder, "bad", CPU)
    with pytest.raises(InputError, match="'9'"):
        train_nnunet(cases, "9", TINY, folder, "bad", CPU)
    with pytest.raises(InputError, match="T1"):
        train_nnunet(cases, "1", TINY.model_copy(update={"channels": ("T1",)}), folder, "bad", CPU)


def test_stock_trainer_takes_no_short_schedule():
    with pytest.raises(ValidationError, match="sets its own epochs, patch"):
        NnunetTrainingParameters(trainer="stock", epochs=3, patch=32)


def test_parameters_need_no_torch():
    code = "import sys, slicerxai.models.nnunet_parameters; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
