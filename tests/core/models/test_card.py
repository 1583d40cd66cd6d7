"""Model cards say what is known of a model, and that the rest is not."""

import json

import pytest

from slicerxai.cli.main import run
from slicerxai.models.card import FILE, card
from slicerxai.models.store import ModelStore, digest
from slicerxai.settings import settings

SEGMENTER = {
    "name": "fast",
    "kind": "fast",
    "channels": ["FLAIR", "T1"],
    "labels": ["background", "lesion"],
    "config": {"spacing": 2.0},
    "provenance": {
        "parameters": {"steps": 30, "seed": 7},
        "rater": "consensus",
        "cases": {f"p{number:02d}": "0" * 64 for number in range(20)},
        "held_out": ["p03", "p07"],
        "validation_dice": 0.6543,
        "versions": {"torch": "2.14"},
    },
}


def cells(text):
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    return {row[0]: row[1] for row in rows if len(row) == 2}


def test_a_segmenter():
    text = card(SEGMENTER)
    found = cells(text)
    assert found["Input"] == "`FLAIR`, `T1`"
    assert found["Learned from"].startswith("18 cases: `p00`, `p01`, `p02`, `p04`,")
    assert found["Learned from"].endswith("and 6 more")
    assert found["Left aside to validate"] == "2 cases: `p03`, `p07`"
    assert found["Mean Dice"] == "0.654"
    assert found["steps"] == "`30`"
    for heading in ("Intended use", "Training data", "Training", "Figures", "Limits"):
        assert f"\n## {heading}\n" in text
    assert "not for diagnosis" in text


def test_a_classifier_that_went_on_from_another():
    model = {
        "name": "repaired",
        "kind": "classifier",
        "labels": ["deep"],
        "thresholds": [0.123456],
        "provenance": {
            "parameters": {"epochs": 2},
            "rater": None,
            "base": {"name": "regions", "digest": "1"},
            "cases": {"a": "1", "b": "2"},
            "training_cases": ["a"],
            "validation_cases": ["b"],
            "validation_auc": {"deep": 0.75},
        },
    }
    found = cells(card(model))
    assert found["AUC of deep"] == "0.750"
    assert found["went on from"] == "`regions`"
    assert found["Thresholds"] == "`0.123`"
    assert found["Masks of rater"].startswith("none")


@pytest.mark.parametrize("model", [{}, {"kind": "fast", "provenance": None}, {"name": "x", "kind": "other"}])
def test_what_is_not_known_is_said(model):
    text = card(model)
    assert "not known" in text.lower()
    assert "None were measured" in text


def test_names_cannot_break_the_table():
    text = card({**SEGMENTER, "name": "a`b", "channels": ["T1|x"]})
    assert "`T1/x`" in text
    assert "# `a'b`" in text


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path))
    settings.cache_clear()
    made = ModelStore(tmp_path / "models")
    with made.create("fast") as folder:
        (folder / "model.json").write_text(json.dumps(SEGMENTER))
    yield made
    settings.cache_clear()


def test_written_with_the_model_and_no_part_of_its_digest(store):
    folder = store.folder("fast")
    assert (folder / FILE).read_text() == card(SEGMENTER)
    before = digest(folder)
    (folder / FILE).write_text("The images are those of the hospital.")
    assert digest(folder) == before
    assert store.card("fast") == "The images are those of the hospital."
    (folder / FILE).unlink()
    assert digest(folder) == before
    assert store.card("fast") == card(SEGMENTER)
    (folder / "weights.pt").write_bytes(b"1")
    assert digest(folder) != before


def test_the_command_shows_it(store, capsys):
    assert run(["models", "card", "fast"]) == 0
    assert capsys.readouterr().out == card(SEGMENTER)
    assert run(["models", "list", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert row == {"name": "fast", "kind": "fast", "channels": ["FLAIR", "T1"], "labels": ["background", "lesion"]}
    assert run(["models", "card", "nothing"]) == 2
    assert "known: fast" in capsys.readouterr().err
