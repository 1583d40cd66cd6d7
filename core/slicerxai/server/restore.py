"""A backup put in place again: unpacked beside, checked whole, then renamed into place. Nothing is deleted."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout

from slicerxai.errors import ConflictError, InputError
from slicerxai.server import job_schema
from slicerxai.server.backup import FORMAT, JOB_LIST, MANIFEST, OF_STUDIES, belongs

_BLOCK = 1024 * 1024
_MANIFEST_LIMIT = 256 * 1024**2
_PART = re.compile(r"(?!\.)[^/\\\x00-\x1f\x7f:]{1,255}")
"""A name in a path: nothing hidden, so neither "." nor ".."; no drive letter."""


@dataclass(frozen=True)
class Restored:
    """What was done.

    Attributes:
        files: how many were put in place.
        studies_left: files of the folder of studies that the backup has and nobody asked for.
        replaced: folders that hold what was there before.
    """

    files: int
    studies_left: int
    replaced: tuple[Path, ...]


def restore_backup(file: Path, home: Path, studies: Path | None = None, *, force: bool = False) -> Restored:
    """Put a backup in place. Nothing of HOME changes unless the backup is whole and every file as it was saved.

    Args:
        home: made if it does not exist.
        studies: folder of images; its labels and worklists are restored too.
        force: replace what is there; it is kept in `HOME/replaced-TIME` and `STUDIES/.replaced-TIME`.

    Raises:
        InputError: no backup, a damaged or hostile one, or one of a newer version of this package.
        ConflictError: a server is using HOME; there is something already.
    """
    home.mkdir(parents=True, exist_ok=True)
    roots = {"home": home} | ({"studies": studies} if studies is not None else {})
    with _stopped(home), _staging(roots) as staging:
        left = _unpack(file, staging)
        _check_job_list(staging["home"] / JOB_LIST)
        targets = _targets(roots, staging)
        there = [str(target) for target in targets.values() if target.exists()]
        if there and not force:
            msg = f"there already: {', '.join(there)}; say --force to put it aside, or name another SLICERXAI_HOME"
            raise ConflictError(msg)
        count = sum(path.is_file() for root in staging.values() for path in root.rglob("*"))
        return Restored(count, left, _swap(targets, roots))


def _unpack(file: Path, staging: Mapping[str, Path]) -> int:
    """Unpack to the folders and check all of it; returns how many files had no folder."""
    digests: dict[str, str] = {}
    manifest: dict[str, Any] | None = None
    left = 0
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is None or member.name in digests or manifest is not None:
                    raise _unusable(file, f"it holds {member.name!r}, which no backup has")
                if member.name == MANIFEST and member.size <= _MANIFEST_LIMIT:
                    manifest = json.loads(content.read())
                    continue
                root, *parts = member.name.split("/")
                if root not in {"home", "studies"} or not parts or not all(map(_PART.fullmatch, parts)):
                    raise _unusable(file, f"it holds {member.name!r}, which no backup has")
                left += root not in staging
                target = staging[root].joinpath(*parts) if root in staging else None
                digests[member.name] = _copy(content, target, member.mode & 0o700 | 0o600)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise _unusable(file, str(error)) from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise _unusable(file, "it has no end" if digests else "it is empty")
    if manifest.get("format") != FORMAT:
        raise _unusable(file, f"its format is {manifest.get('format')!r}, this program knows {FORMAT}")
    if manifest["files"] != digests:
        wrong = {name for name, _ in manifest["files"].items() ^ digests.items()}
        raise _unusable(file, f"{len(wrong)} files are not as they were saved, such as {sorted(wrong)[0]}")
    return left


def _copy(content: Any, target: Path | None, mode: int) -> str:
    digest = hashlib.sha256()
    if target is None:
        while block := content.read(_BLOCK):
            digest.update(block)
        return digest.hexdigest()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        while block := content.read(_BLOCK):
            digest.update(block)
            out.write(block)
    target.chmod(mode)
    return digest.hexdigest()


def _unusable(file: Path, reason: str) -> InputError:
    return InputError(f"{file}: is no usable backup: {reason}; make one with: slicerxai backup FILE")


def _check_job_list(path: Path) -> None:
    if not path.is_file():
        return
    with closing(sqlite3.connect(path)) as connection:
        job_schema.prepare(connection)


def _targets(roots: Mapping[str, Path], staging: Mapping[str, Path]) -> dict[Path, Path]:
    """Where everything goes, by where it is now; what the backup does not have is put aside all the same."""
    home = roots["home"]
    names = {path.name for path in staging["home"].iterdir()}
    names |= {path.name for path in home.iterdir() if belongs(PurePosixPath(path.name))}
    found = {staging["home"] / name: home / name for name in sorted(names)}
    if "studies" in roots:
        found |= {staging["studies"] / name: roots["studies"] / name for name in OF_STUDIES}
    return found


def _swap(targets: Mapping[Path, Path], roots: Mapping[str, Path]) -> tuple[Path, ...]:
    """Rename everything into place; when that fails, back."""
    stamp = f"replaced-{time.strftime('%Y%m%dT%H%M%S')}-{uuid4().hex[:4]}"
    aside = {roots["home"]: roots["home"] / stamp}
    if "studies" in roots:
        aside[roots["studies"]] = roots["studies"] / f".{stamp}"
    done: list[tuple[Path, Path]] = []
    try:
        for new, target in targets.items():
            if target.exists():
                kept = aside[target.parent]
                kept.mkdir(mode=0o700, exist_ok=True)
                _rename(target, kept / target.name, done)
            if new.exists():
                _rename(new, target, done)
    except BaseException:
        for source, target in reversed(done):
            target.rename(source)
        raise
    return tuple(folder for folder in aside.values() if folder.is_dir())


def _rename(source: Path, target: Path, done: list[tuple[Path, Path]]) -> None:
    source.rename(target)
    done.append((source, target))


@contextmanager
def _staging(roots: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """A hidden folder below each root, for renaming works within one file system."""
    found = {name: root / f".restore-{uuid4().hex}" for name, root in roots.items()}
    try:
        for folder in found.values():
            folder.mkdir(mode=0o700)
        yield found
    finally:
        for folder in found.values():
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _stopped(home: Path) -> Iterator[None]:
    """Raises `ConflictError` when a server uses the folder."""
    for path in sorted((home / "jobs" / "servers").glob("*.lock")):
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            msg = f"a server is using {home}; stop it first"
            raise ConflictError(msg) from None
    yield
