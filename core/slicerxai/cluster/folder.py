"""The folder of a batch: what it is for, a folder for each case, and the table of all cases."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4

from slicerxai.cluster.request import Request
from slicerxai.data.files import remove_unfinished, replaced_bytes, replaced_text
from slicerxai.errors import ConflictError, InputError
from slicerxai.explain.contract import Table
from slicerxai.explain.csv_tables import csv_text

DESCRIPTION: Final = "batch.json"
TABLE: Final = "cases.csv"
CASES: Final = "cases"
RUN: Final = ".run-"
LOCK: Final = ".lock"

State = Literal["computed", "kept", "failed", "open"]
"""`kept`: computed by an earlier run. `open`: not computed, because the run was stopped before."""

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,80}")


@dataclass(frozen=True)
class Row:
    """What became of one case.

    Attributes:
        seconds: computing time of the last attempt.
        attempts: how often it was given to a worker.
        folder: name of its folder below `CASES`.
    """

    case: str
    state: State
    error: str
    seconds: float
    attempts: int
    folder: str


@dataclass(frozen=True)
class BatchFolder:
    """Where a batch keeps its results.

    Layout: `batch.json` (the request), `cases/CASE/` (one result each, whole), `cases.csv` (one `Row` a case).
    """

    path: Path

    @property
    def cases(self) -> Path:
        return self.path / CASES

    @contextmanager
    def held(self, request: Request) -> Iterator[Path]:
        """Keep the folder for one run of a request, and remove what killed workers left half-written.

        Yields:
            a file that is there until the end: workers stop when it is gone.

        Raises:
            InputError: a file, or a folder with other content.
            ConflictError: another run is at work there, or the results there are of another request.
        """
        from filelock import FileLock, Timeout

        if self.path.exists() and not self.path.is_dir():
            msg = f"{self.path} is a file; give a folder for the results"
            raise InputError(msg)
        foreign = sorted(entry.name for entry in self.path.glob("[!.]*"))
        if foreign and DESCRIPTION not in foreign:
            msg = f"{self.path} holds other content ({', '.join(foreign[:5])}); give a new or empty folder"
            raise InputError(msg)
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self.path / LOCK, timeout=0):
                self._claim(request)
                yield from self._run()
        except Timeout:
            msg = f"another run is at work in {self.path}; wait for it or stop it"
            raise ConflictError(msg) from None

    def _claim(self, request: Request) -> None:
        path = self.path / DESCRIPTION
        if path.exists():
            try:
                differ = request.differing(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, AttributeError):
                msg = f"{path} is damaged; give another folder"
                raise InputError(msg) from None
            if differ:
                msg = f"{self.path} holds results with other {', '.join(differ)}; give another folder"
                raise ConflictError(msg)
        replaced_text(path, json.dumps(asdict(request), indent=1) + "\n")

    def _run(self) -> Iterator[Path]:
        self.cases.mkdir(exist_ok=True)
        for left in self.path.glob(f"{RUN}*"):
            left.unlink()
        remove_unfinished(self.cases)
        run = self.path / f"{RUN}{uuid4().hex}"  # a new name: network folders remember for a while what was not there
        run.touch()
        try:
            yield run
        finally:
            run.unlink(missing_ok=True)
            remove_unfinished(self.cases)

    def write_table(self, rows: Sequence[Row]) -> None:
        """Write `cases.csv`, for people and spreadsheets."""
        columns = list(Row.__dataclass_fields__)
        table = Table(title="Cases", columns=columns, rows=[list(asdict(row).values()) for row in rows])
        replaced_bytes(self.path / TABLE, csv_text(table).encode("utf-8-sig"))


def folder_names(ids: Sequence[str]) -> dict[str, str]:
    """A folder's name for each case: its id where that is fit for a file's name and differs from the others not only
    by case, else what is fit of it and a digest.
    """
    often = Counter(name.casefold() for name in ids)
    return {name: name if _SAFE.fullmatch(name) and often[name.casefold()] == 1 else _with_digest(name) for name in ids}


def _with_digest(name: str) -> str:
    fit = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:60].strip("_")
    return f"{fit or 'case'}.{hashlib.sha256(name.encode()).hexdigest()[:12]}"
