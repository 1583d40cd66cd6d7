from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from slicerxai.errors import InputError, NotFoundError
from slicerxai.models.store import ModelStore, digest


def write_model(store: ModelStore, name: str, kind: str = "fast") -> None:
    with store.create(name) as folder:
        (folder / "model.json").write_text(json.dumps({"kind": kind}))


def test_a_model_appears_when_its_block_ends(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    with store.create("a") as folder:
        (folder / "model.json").write_text("{}")
        assert store.names() == []
    assert store.names() == ["a"]
    assert store.folder("a") == tmp_path / "models" / "a"


def test_a_failed_block_leaves_the_old_model_and_nothing_else(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    write_model(store, "a")

    def fail(folder: Path) -> None:
        (folder / "model.json").write_text('{"kind": "new"}')
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), store.create("a") as folder:
        fail(folder)
    assert store.describe("a") == {"kind": "fast"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_new_model_replaces_the_old_one(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    write_model(store, "a", "fast")
    write_model(store, "a", "nnunet")
    assert store.describe("a") == {"kind": "nnunet"}
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("name", ["", "../a", "a/b", ".hidden", "a b", "x" * 65, "-a", "ä", "a\n"])
def test_bad_names_are_refused(tmp_path: Path, name: str) -> None:
    store = ModelStore(tmp_path)
    with pytest.raises(InputError, match="bad model name"):
        store.folder(name)
    with pytest.raises(InputError, match="bad model name"), store.create(name):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    write_model(store, "one")
    with pytest.raises(NotFoundError, match=r"no model 'two' \(known: one\).*slicerxai train"):
        store.folder("two")


@pytest.mark.parametrize("content", ['{"kind": "tree"}', "{}", "not json", "[]"])
def test_an_unusable_description_is_named(tmp_path: Path, content: str) -> None:
    store = ModelStore(tmp_path)
    with store.create("a") as folder:
        (folder / "model.json").write_text(content)
    with pytest.raises(InputError, match="'a'"):
        store.load("a", torch.device("cpu"))


def test_digest_depends_on_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "sub" / "b").write_bytes(b"2")
    one, two = hashlib.sha256(b"1").digest(), hashlib.sha256(b"2").digest()
    assert digest(tmp_path) == hashlib.sha256(b"a\0" + one + b"sub/b\0" + two).hexdigest()
    before = digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "c")
    assert digest(tmp_path) != before


def test_kinds_are_those_of_the_models_that_can_be_read(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    assert store.kinds() == set()
    write_model(store, "a")
    write_model(store, "b", "classifier")
    with store.create("damaged") as folder:
        (folder / "model.json").write_text("[]")
    assert store.kinds() == {"fast", "classifier"}
