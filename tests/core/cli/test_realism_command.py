"""`slicerxai realism`, for a classifier and for a segmenter."""

import json

import numpy as np
import pytest
import torch

from slicerxai.alignment import realism_cases
from slicerxai.alignment.plausibility import fit_realism
from slicerxai.alignment.realism_parameters import RealismParameters
from slicerxai.alignment.realism_store import RealismStore
from slicerxai.cli.main import run
from slicerxai.data.case import Case
from slicerxai.data.io import write_volume
from slicerxai.data.readers import read_cohort
from slicerxai.data.volume import Volume
from slicerxai.models.store import ModelStore
from slicerxai.settings import settings
from tests.support.classifier import store_classifier

QUICK = ["--passes", "8", "--width", "2", "--latent", "2"]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Twenty images, two of each subject."""
    folder, rng = tmp_path_factory.mktemp("cohort"), np.random.default_rng(0)
    lines = ["case_id,subject,FLAIR"]
    for number in range(20):
        array = np.zeros((20, 22, 18), np.float32)
        array[3:-3, 3:-3, 3:-3] = rng.normal(100, 10, (14, 16, 12))
        write_volume(folder / f"{number}.nii.gz", Volume(array, np.diag([4.0, 4, 4, 1])))
        lines.append(f"p{number},s{number // 2},{number}.nii.gz")
    (folder / "cases.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SLICERXAI_DEVICE", "cpu")
    settings.cache_clear()
    yield ModelStore(tmp_path / "home" / "models")
    settings.cache_clear()


def test_learned_from_a_cohort_and_kept_for_the_model(models, cohort, capsys):
    digest = store_classifier(models, "regions")
    assert run(["realism", "regions", str(cohort), *QUICK, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["model"], summary["model_digest"], summary["held_out_images"]) == ("regions", digest, 8)
    assert summary["cases"] == [f"p{number}" for number in range(20)]
    assert (summary["parameters"]["passes"], summary["parameters"]["width"]) == (8, 2)
    stored = RealismStore(settings().realism).newest(digest)
    assert stored.id == summary["id"]
    model = models.load("regions", torch.device("cpu"))
    tensors = [model.prepare({"FLAIR": case.image("FLAIR")}).tensor for case in list(read_cohort(cohort))[:2]]
    found = stored.realism.plausibility(torch.stack(tensors))
    assert found.shape == (2,)
    assert run(["realism", "regions", str(cohort), *QUICK, "--seed", "1"]) == 0
    assert "held-out images, against which others are judged: 8" in capsys.readouterr().out


def test_bad_input_is_one_line(models, cohort, tmp_path, capsys):
    store_classifier(models, "regions")
    assert run(["realism", "nothing", str(cohort)]) == 2
    assert "no model 'nothing'" in capsys.readouterr().err
    assert run(["realism", "regions", str(cohort), "--held-out", "1.5"]) == 2
    assert "held_out" in capsys.readouterr().err
    (tmp_path / "cases.csv").write_text("\n".join((cohort / "cases.csv").read_text().splitlines()[:5]))
    for number in range(4):
        (tmp_path / f"{number}.nii.gz").write_bytes((cohort / f"{number}.nii.gz").read_bytes())
    assert run(["realism", "regions", str(tmp_path), *QUICK]) == 2
    assert "at least 8 of each" in capsys.readouterr().err
    assert not settings().realism.exists()


def test_patches_of_a_segmenter_lie_about_lesions_and_foreground(tiny_home, monkeypatch):
    model = ModelStore(tiny_home / "models").load("tiny", torch.device("cpu"))
    cases = [
        Case(
            id=str(seed),
            images={"FLAIR": tiny_home / f"{seed}_FLAIR.nii.gz"},
            masks={"consensus": tiny_home / f"{seed}_mask.nii.gz"} if seed % 2 else {},
        )
        for seed in range(4)
    ]
    seen = {}

    def learn(images, digest, parameters, **named):
        seen.update(images=images, **named)
        return fit_realism(images, digest, parameters, **named)

    monkeypatch.setattr(realism_cases, "fit_realism", learn)
    parameters = RealismParameters(passes=4, width=2, latent=2, held_out=0.5, patches=4)
    found = realism_cases.realism_for(model, cases, parameters)
    assert found.autoencoder.shape == tuple(model.patch_size)
    assert len(found.reference) == 8
    assert seen["groups"] == [str(seed) for seed in range(4) for _ in range(4)]
    middle = seen["images"][(slice(None), 0, *(slice(edge // 2 - 1, edge // 2 + 2) for edge in model.patch_size))]
    brightest = middle.flatten(1).amax(1)
    about_lesions = torch.tensor([seed % 2 == 1 and number % 2 == 0 for seed in range(4) for number in range(4)])
    assert brightest[about_lesions].min() > brightest[~about_lesions].median()
    unmarked = realism_cases.realism_for(model, cases, parameters, rater="nobody")
    assert not torch.equal(unmarked.reference, found.reference)
