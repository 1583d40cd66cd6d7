"""Trained models on disk: one folder each, holding `model.json` and the files that it names."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from slicerxai.errors import InputError, NotFoundError, UserError, shortened
from slicerxai.models import card

if TYPE_CHECKING:
    import torch

    from slicerxai.models.protocols import Model

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


class ModelStore:
    """The models below one folder. Reading their descriptions needs no torch."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """Names of all complete models."""
        return sorted(path.parent.name for path in self.root.glob("*/model.json") if _NAME.fullmatch(path.parent.name))

    def folder(self, name: str) -> Path:
        """The folder of a model. Raises `NotFoundError` naming what exists and what to type."""
        if not _NAME.fullmatch(name):
            msg = f"bad model name {name!r}; letters, digits, '-' and '_' are accepted, at most 64"
            raise InputError(msg)
        folder = self.root / name
        if not (folder / "model.json").is_file():
            known = ", ".join(self.names()) or "none yet"
            msg = f"no model {name!r} (known: {known}); train one with: slicerxai train fast COHORT --name {name}"
            raise NotFoundError(msg)
        return folder

    def resolve(self, name: str | None) -> str:
        """The name itself when it exists; without one, the only model there is. Raises `NotFoundError` otherwise."""
        if name is not None:
            self.folder(name)
            return name
        names = self.names()
        if len(names) == 1:
            return names[0]
        if not names:
            msg = (
                "no trained model yet; make one with: slicerxai phantom COHORT && slicerxai train fast COHORT "
                "(or any cohort of your own)"
            )
            raise NotFoundError(msg)
        msg = f"several models exist, name one of them: {', '.join(names)}"
        raise InputError(msg)

    def describe(self, name: str) -> dict[str, Any]:
        """The content of `model.json`. Raises `InputError` when it is no JSON object that names a kind."""
        path = self.folder(name) / "model.json"
        try:
            description: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            str(description["kind"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            msg = f"model {name!r} is damaged: {path} does not describe a model; train it again"
            raise InputError(msg) from error
        return description

    def kinds(self) -> set[str]:
        """Of all models that can be read."""
        found = set()
        for name in self.names():
            with suppress(UserError):
                found.add(self.describe(name)["kind"])
        return found

    def card(self, name: str) -> str:
        """The model card as Markdown: that of its folder, or one made now for a model that has none."""
        path = self.folder(name) / card.FILE
        return path.read_text(encoding="utf-8") if path.is_file() else card.card(self.describe(name))

    def load(self, name: str, device: torch.device) -> Model:
        """The model, ready to use, on a device."""
        folder, kind = self.folder(name), self.describe(name)["kind"]
        if kind == "fast":
            from slicerxai.models.fast import FastSegmenter

            return FastSegmenter.load(folder, device)
        if kind == "nnunet":
            from slicerxai.models.nnunet import NnunetSegmenter

            return NnunetSegmenter.load(folder, device)
        if kind == "classifier":
            from slicerxai.models.classifier import ImageClassifier

            return ImageClassifier.load(folder, device)
        msg = f"model {name!r} is of unknown kind {shortened(kind)}; known: fast, nnunet, classifier"
        raise InputError(msg)

    @contextmanager
    def create(self, name: str) -> Iterator[Path]:
        """A new folder to fill; it appears under its name only when the block ends without an error.

        A model of the same name is replaced at that moment. What `model.json` says is written as a model card too.
        """
        if not _NAME.fullmatch(name):
            msg = f"bad model name {name!r}; letters, digits, '-' and '_' are accepted, at most 64"
            raise InputError(msg)
        self.root.mkdir(parents=True, exist_ok=True)
        building = self.root / f".building-{uuid4().hex}"
        building.mkdir()
        try:
            yield building
            _write_card(building)
            target = self.root / name
            if target.exists():
                retired = self.root / f".retired-{uuid4().hex}"
                target.rename(retired)
                building.rename(target)
                shutil.rmtree(retired)
            else:
                building.rename(target)
        finally:
            shutil.rmtree(building, ignore_errors=True)


def _write_card(folder: Path) -> None:
    """Beside a description that can be read; what is wrong with another one is said when the model is used."""
    try:
        description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    if isinstance(description, dict):
        (folder / card.FILE).write_text(card.card(description), encoding="utf-8")


def digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files of a model folder but its model card, which is for people."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p != folder / card.FILE):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
