"""The folder of an experiment: what it is for, its log, and the lock that keeps a second run out."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from slicerxai import __version__
from slicerxai.data.case import Case
from slicerxai.data.files import replaced_text
from slicerxai.errors import ConflictError, InputError
from slicerxai.models.store import ModelStore
from slicerxai.shift.reading import case_file_digest

FORMAT: Final = "slicerxai shift experiment 1"
DESCRIPTION: Final = "experiment.json"
LOG: Final = "log.txt"
PARTS: Final = ("models", "pairs", "truth", "scores", "figures")
OWN: Final = (*PARTS, LOG)
"""What may be there before the description is."""


@dataclass(frozen=True)
class Identity:
    """What an experiment depends on, JSON-able.

    Attributes:
        models: what the trained models depend on: kind, cohort, digests of the cases, split and training.
        comparison: what is done with them.
    """

    models: dict[str, Any]
    comparison: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 over all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class ExperimentFolder:
    """Where an experiment keeps everything that it has finished.

    Layout: `experiment.json` (what it is), `models/`, `pairs/NAME.json`, `truth/CASE.json`, `scores/` (cache),
    `log.txt`; and, made from these, `matrix.csv`, `table.csv`, `figures/*.png`, `report.html`.
    """

    path: Path

    @property
    def store(self) -> ModelStore:
        return ModelStore(self.path / "models")

    @property
    def scores(self) -> Path:
        return self.path / "scores"

    def result(self, pair: str) -> Path:
        return self.path / "pairs" / f"{pair}.json"

    def truth(self, case: str) -> Path:
        """Named by a digest: a case's id need not be fit for a file's name."""
        return self.path / "truth" / f"{hashlib.sha256(case.encode()).hexdigest()[:16]}.json"

    def description(self) -> dict[str, Any]:
        """The content of `experiment.json`. Raises `InputError` when this is no folder of an experiment."""
        try:
            content: dict[str, Any] = json.loads((self.path / DESCRIPTION).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            content = {}
        if content.get("format") != FORMAT:
            msg = f"{self.path} holds no experiment ({DESCRIPTION} is absent or of another kind)"
            raise InputError(msg)
        return content

    def claim(self, identity: Identity) -> None:
        """Write what the experiment is, or see that its models are those that were begun here.

        Metrics, analyses and options of the attribution may change: the models stay and the pairs are attributed anew.

        Raises:
            ConflictError: the models of the folder were begun on other data or otherwise; says what differs.
        """
        if (self.path / DESCRIPTION).exists():
            known = self.description()
            differ = [key for key, value in identity.models.items() if known["models"].get(key) != value]
            if differ:
                msg = f"{self.path} was begun with other {', '.join(differ)}; give another folder, or empty this one"
                raise ConflictError(msg)
        content = {"format": FORMAT, "version": __version__, "digest": identity.digest} | asdict(identity)
        replaced_text(self.path / DESCRIPTION, json.dumps(content, indent=1) + "\n")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs out, and remove what a killed one left half-written.

        Raises:
            InputError: a file, or a folder with other content.
            ConflictError: another run is at work there.
        """
        from filelock import FileLock, Timeout

        if self.path.exists() and not self.path.is_dir():
            msg = f"{self.path} is a file; give a folder for the experiment"
            raise InputError(msg)
        foreign = [entry.name for entry in self.path.glob("[!.]*") if entry.name not in OWN]
        if foreign and not (self.path / DESCRIPTION).exists():
            msg = f"{self.path} holds other content ({', '.join(sorted(foreign)[:5])}); give a new or empty folder"
            raise InputError(msg)
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.path / ".lock", timeout=0):
                for name in PARTS:
                    (self.path / name).mkdir(exist_ok=True)
                for folder in self.store.root.glob(".building-*"):
                    shutil.rmtree(folder)
                for folder in (self.path, *(self.path / name for name in PARTS)):
                    for file in folder.glob(".?*-" + "[0-9a-f]" * 32):
                        file.unlink()
                yield
        except Timeout:
            msg = f"another run is at work in {self.path}; wait for it or stop it"
            raise ConflictError(msg) from None

    def log(self, message: str) -> None:
        """A line with the time; names of models and pairs only, never of patients."""
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {message}\n")


def case_digest(case: Case, channels: Sequence[str]) -> str:
    """SHA-256 over a case's metadata, its images of some channels and all its masks.

    Raises:
        InputError: a file cannot be read.
    """
    total = hashlib.sha256(json.dumps(dict(case.metadata), sort_keys=True).encode())
    for path in (*(case.images[name] for name in channels), *(case.masks[name] for name in sorted(case.masks))):
        total.update(bytes.fromhex(case_file_digest(case, path)))
    return total.hexdigest()
