from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from slicerxai.cli.main import run
from slicerxai.data.case import Case
from slicerxai.errors import Cancelled, ConflictError, InputError, NotFoundError
from slicerxai.interventions.generator.conditions import LoadCondition
from slicerxai.interventions.generator.parameters import GeneratorParameters
from slicerxai.interventions.generator.store import DESCRIPTION, WEIGHTS, GeneratorStore
from slicerxai.interventions.generator.training import stratified_times
from slicerxai.interventions.generator.training_slices import learned_loads, load_groups, pixel_weights
from slicerxai.parameters import validate_parameters
from slicerxai.settings import settings
from tests.support.generated_heads import TINY

CPU = torch.device("cpu")
SHORT = GeneratorParameters(**TINY, steps=6)


def stopping_at(step: int):
    def progress(fraction: float, message: str) -> None:
        if message.startswith(f"step {step} "):
            raise Cancelled

    return progress


def test_an_interrupted_training_ends_with_the_weights_of_an_uninterrupted_one(tmp_path, tiny_cases) -> None:
    store = GeneratorStore(tmp_path)
    whole = store.train("whole", tiny_cases, "consensus", SHORT, CPU)
    with pytest.raises(Cancelled):
        store.train("parts", tiny_cases, "consensus", SHORT, CPU, stopping_at(4))
    assert store.names() == ["whole"]
    with pytest.raises(ConflictError, match="other cases, rater or parameters"):
        store.train("parts", tiny_cases[:6], "consensus", SHORT, CPU, resume=True)
    parts = store.train("parts", tiny_cases, "consensus", SHORT, CPU, resume=True)
    for one, other in zip(whole.network.parameters(), parts.network.parameters(), strict=True):
        assert torch.equal(one, other)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["parts", "whole"]
    with pytest.raises(ConflictError, match="no interrupted training of generator 'parts'"):
        store.train("parts", tiny_cases, "consensus", SHORT, CPU, resume=True)


def test_the_store_gives_back_what_was_trained_and_names_what_it_lacks(generators, tiny_generator) -> None:
    again = generators.load("tiny", CPU)
    assert again.digest == tiny_generator.digest
    assert again.condition == tiny_generator.condition
    assert again.provenance["rater"] == "consensus"
    assert len(again.provenance["cases"]) == 8
    assert not any(parameter.requires_grad for parameter in again.network.parameters())
    with pytest.raises(NotFoundError, match=r"no generator 'huge' \(known: .*tiny.*train generator COHORT"):
        generators.load("huge", CPU)
    with pytest.raises(InputError, match=r"bad generator name '\.\./x'"):
        generators.load("../x", CPU)


def test_damaged_files_are_refused(tmp_path, tiny_cases) -> None:
    store = GeneratorStore(tmp_path)
    store.train("short", tiny_cases, "consensus", SHORT, CPU)
    weights, description = tmp_path / "short" / WEIGHTS, tmp_path / "short" / DESCRIPTION
    content = weights.read_bytes()
    weights.write_bytes(content[:100])
    with pytest.raises(InputError, match="is damaged"):
        store.load("short", CPU)
    weights.write_bytes(content)
    described = json.loads(description.read_text())
    described["config"]["width"] = 8
    description.write_text(json.dumps(described))
    with pytest.raises(InputError, match="is damaged"):
        store.load("short", CPU)


def test_training_lowers_the_loss_and_learns_where_the_load_goes(tiny_generator) -> None:
    assert tiny_generator.provenance["loss"] < 0.6
    condition = tiny_generator.condition
    assert isinstance(condition, LoadCondition)
    assert 0 < condition.typical <= condition.most


def test_what_cannot_be_trained_on_is_named(tmp_path, tiny_cases) -> None:
    store = GeneratorStore(tmp_path)

    def train(cases: list[Case], **changes: object) -> None:
        parameters = SHORT.model_copy(update=changes)
        store.train("bad", cases, "consensus", parameters, CPU)

    with pytest.raises(InputError, match="no case"):
        train([])
    with pytest.raises(InputError, match="every case is of centre '01'; at least two"):
        train(tiny_cases[:4], condition="centre")
    bare = [Case(case.id, case.images, case.masks) for case in tiny_cases]
    with pytest.raises(InputError, match="case '0' has no 'centre'"):
        train(bare, condition="centre")
    with pytest.raises(InputError, match="0 of 32 slices hold lesions"):
        train(tiny_cases[::2])
    with pytest.raises(InputError, match="T2"):
        train(tiny_cases, channels=("T2",))
    assert list(tmp_path.glob("[!.]*")) == []
    with pytest.raises(InputError, match="multiples of 4"):
        validate_parameters(GeneratorParameters, {**TINY, "shape": (18, 16)}, "test")


def test_loads_are_learned_where_slices_with_and_without_are_found() -> None:
    height = np.tile((np.arange(24) + 0.5) / 24, 4)
    area = np.zeros(96)
    area[24 + 10], area[48 + 10], area[24 + 11], area[12] = 2.0, 4.0, 3.0, 0.01
    area[[20, 44, 68, 92]] = 5.0  # never without
    load = learned_loads(area, height)
    assert [n for n, value in enumerate(load.profile) if value] == [10, 11]
    assert load.profile[10] == pytest.approx(1.5)
    assert load.typical == pytest.approx(3.0)
    groups = [group.tolist() for group in load_groups(area, height, load)]
    assert groups == [[10, 82], [34, 58], [11, 59, 83], [35]]


def test_times_of_a_batch_are_spread_evenly() -> None:
    times = stratified_times(50, torch.Generator().manual_seed(0))
    assert sorted((times // 20).tolist()) == list(range(50))
    assert times.tolist() != sorted(times.tolist())


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SLICERXAI_DEVICE", "cpu")
    settings.cache_clear()
    yield tmp_path
    settings.cache_clear()


def test_from_the_command_line(home, tiny_cases, capsys) -> None:
    cohort = tiny_cases[0].images["FLAIR"].parent
    rows = [f"{c.id},{int(c.metadata['centre'])},{c.id}_image.nii.gz,{c.id}_mask.nii.gz" for c in tiny_cases]
    (cohort / "cases.csv").write_text("\n".join(["case_id,centre,FLAIR,mask", *rows]))
    sizes = ["--spacing", "4", "--shape", "16", "16", "--unshuffle", "2", "--width", "16", "--multipliers", "1,2"]
    command = ["train", "generator", str(cohort), "--name", "looks", "--condition", "centre", *sizes]
    assert run([*command, "--steps", "2", "--batch", "4", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["name"], summary["kind"]) == ("looks", "generator")
    loaded = GeneratorStore(settings().generators).load("looks", CPU)
    assert loaded.condition.names == ("1", "3")
    assert loaded.digest == summary["digest"]
    assert run(["train", "generator", str(cohort), "--steps", "0"]) == 2
    assert "greater than or equal to 1" in capsys.readouterr().err


def test_pixels_count_more_where_lesions_are_common_on_either_side() -> None:
    lesions = np.zeros((2, 8, 8))
    lesions[0, 1, 4] = 3
    weights = pixel_weights(lesions, focus=9).numpy()
    np.testing.assert_allclose(weights.mean(axis=(1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(weights[1], 1)
    np.testing.assert_allclose(weights[0, 1, 4], weights[0, 6, 4], rtol=1e-5)
    assert weights[0, 1, 4] / weights[0].min() == pytest.approx(10, rel=0.01)
