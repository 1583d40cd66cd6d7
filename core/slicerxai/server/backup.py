"""Everything of an installation that cannot be computed again, in one file; made while the server runs.

A backup is a tar file of `home/…` and `studies/…`, and `manifest.json` with the SHA-256 of each file, last.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO
from uuid import uuid4

from slicerxai import __version__
from slicerxai.data.files import private_file
from slicerxai.errors import ConflictError, InputError

FORMAT = 1
MANIFEST = "manifest.json"
JOB_LIST = Path("jobs", "jobs.sqlite3")

NOT_OF_HOME = {
    "cohorts": "images, which are kept elsewhere",
    "dicom/*/images": "copies of images from the DICOM server",
    "dicom/*/incoming": "images on their way from there",
    "dicom/*/sequences": "what their headers say",
    "monailabel_app": "made anew at each start; the log",
    "scores": "computed again when they are needed",
    "sessions": "images that were uploaded for a while",
    "torch": "code that PyTorch compiled",
    "replaced-*": "what an earlier restoration put aside",
}
"""What of HOME is left out, by patterns, and why. Everything else is in, what later versions add included."""
OF_STUDIES = ("datastore_v2.json", "labels", "worklist")
"""What of the folder of studies is in: what readers made, not the images."""

_STAGING = ".backup-"
_STALE_SECONDS = 24 * 3600.0
_ATTEMPTS, _PAUSE_SECONDS = 10, 0.02
RETIRED = ".retired-"
"""How the stores of models and results name what they are about to delete."""


@dataclass(frozen=True)
class Saved:
    """What a backup holds."""

    files: int
    bytes: int


def make_backup(file: Path, home: Path, studies: Path | None = None, *, force: bool = False) -> Saved:
    """Write a backup.

    Files that are replaced whole, as all of them are, are there as they were at one moment each; the list of jobs is
    copied by SQLite, before the results. The file appears when it is complete, readable by its owner alone: it holds
    the keys of the installation.

    Args:
        file: to write.
        studies: folder of images whose labels and worklists are saved too.
        force: replace a file that exists.

    Raises:
        ConflictError: the file exists.
        InputError: there is nothing to save, a damaged list of jobs, or a link below HOME.
    """
    if file.exists() and not force:
        msg = f"{file}: exists already; choose another name, or say --force"
        raise ConflictError(msg)
    if not home.is_dir():
        msg = f"{home}: no such folder, so there is nothing to save; SLICERXAI_HOME names another one"
        raise InputError(msg)
    _remove_stale(home)
    staging = home / f"{_STAGING}{uuid4().hex}"
    staging.mkdir(mode=0o700)
    try:
        _stage_home(home, staging / "home")
        if studies is not None:
            for name in OF_STUDIES:
                _stage(studies / name, staging / "studies" / name, PurePosixPath("studies", name))
        return _write(file, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _stage_home(home: Path, target: Path) -> None:
    target.mkdir()
    jobs = home / JOB_LIST
    if jobs.is_file():
        _copy_database(jobs, target / JOB_LIST)
    for source in sorted(home.iterdir()):
        if belongs(PurePosixPath(source.name)):
            _stage(source.resolve(), target / source.name, PurePosixPath(source.name))
    if jobs.is_file():
        _forget_removed_results(target)


def belongs(path: PurePosixPath) -> bool:
    """Whether a path, relative to HOME, is part of a backup. Hidden files are half-written ones; locks and SQLite's
    companions are there while programs run.
    """
    passing = path.name.startswith(".") or path.name.endswith((".lock", "-wal", "-shm")) or path.name == "servers"
    return not passing and not any(PurePosixPath("/", path).match(f"/{pattern}") for pattern in NOT_OF_HOME)


def _stage(source: Path, target: Path, relative: PurePosixPath) -> None:
    """Make a second name for each file below a folder, or copies where the file system cannot: from then on what the
    server replaces or deletes stays here. A folder that is replaced meanwhile is begun again, one that is deleted left
    out, so that each is there as it was at one moment.
    """
    for _ in range(_ATTEMPTS):
        with suppress(FileNotFoundError), _held(source) as before:
            _stage_once(source, target, relative)
            if _identity(source) == before:
                return
        _discard(target)
        time.sleep(_PAUSE_SECONDS)
    if source.exists():
        msg = f"{source}: is being replaced again and again; try later"
        raise ConflictError(msg)


def _stage_once(source: Path, target: Path, relative: PurePosixPath) -> None:
    if source.is_symlink():
        msg = f"{source}: is a link, which a backup cannot keep; put what it points to in its place"
        raise InputError(msg)
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        for name in _names(source):
            if belongs(relative / name):
                _stage(source / name, target / name, relative / name)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copy2(source, target)


def _names(folder: Path) -> list[str]:
    """What is in a folder. What is being replaced has no name for a moment, in which its old one is retired."""
    found: set[str] = set()
    for _ in range(_ATTEMPTS):
        names = {path.name for path in folder.iterdir()}
        found |= names
        if not any(name.startswith(RETIRED) for name in names):
            break
        time.sleep(_PAUSE_SECONDS)
    return sorted(found)


@contextmanager
def _held(path: Path) -> Iterator[tuple[int, int]]:
    """The identity of a file or folder. Folders are kept open: the number of a deleted one is soon given to another."""
    if os.name == "nt" or path.is_symlink() or not path.is_dir():
        yield _identity(path)
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        about = os.fstat(descriptor)
        yield about.st_dev, about.st_ino
    finally:
        os.close(descriptor)


def _identity(path: Path) -> tuple[int, int]:
    about = path.lstat()
    return about.st_dev, about.st_ino


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _copy_database(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True)
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            verdict = new.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        msg = f"{source}: is damaged ({verdict}); start the server, which rescues what it can, then try again"
        raise InputError(msg)


def _forget_removed_results(home: Path) -> None:
    """Jobs whose result was deleted between the two copies; it would be missing after a restoration."""
    results = home / "jobs" / "results"
    with closing(sqlite3.connect(home / JOB_LIST)) as connection, connection:
        done = connection.execute("SELECT DISTINCT key FROM jobs WHERE state = 'done' AND key != ''").fetchall()
        gone = [row for row in done if not (results / row[0]).is_dir()]
        connection.executemany("DELETE FROM jobs WHERE key = ?", gone)


def _write(file: Path, staging: Path) -> Saved:
    file.parent.mkdir(parents=True, exist_ok=True)
    with private_file(file) as raw:
        return _write_tar(raw, staging)


def _write_tar(raw: IO[bytes], staging: Path) -> Saved:
    digests, total = {}, 0
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in _files(staging):
            name = path.relative_to(staging).as_posix()
            with path.open("rb") as content:
                about = os.fstat(content.fileno())
                info = tarfile.TarInfo(name)
                info.size, info.mtime, info.mode = about.st_size, int(about.st_mtime), about.st_mode & 0o777
                hashed = _Hashed(content)
                archive.addfile(info, hashed)
            digests[name] = hashed.digest.hexdigest()
            total += info.size
        manifest = {
            "format": FORMAT,
            "package": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": digests,
        }
        text = json.dumps(manifest, indent=1).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mtime, info.mode = len(text), int(time.time()), 0o600
        archive.addfile(info, io.BytesIO(text))
    return Saved(len(digests), total)


def _files(staging: Path) -> Iterator[Path]:
    return (path for path in sorted(staging.rglob("*")) if path.is_file())


class _Hashed:
    """A file whose content is hashed while it is read."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._content.read(size)
        self.digest.update(block)
        return block


def _remove_stale(home: Path) -> None:
    """What backups that were killed left."""
    for folder in home.glob(f"{_STAGING}*"):
        if time.time() - folder.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
