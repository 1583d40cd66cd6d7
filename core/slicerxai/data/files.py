"""Writing files and folders so that a reader never sees half of one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

PARTIAL, REPLACED = ".partial", ".old"


def replaced_text(path: Path, text: str) -> None:
    """Write UTF-8 text under a temporary name in the same folder, then rename."""
    replaced_bytes(path, text.encode("utf-8"))


def replaced_bytes(path: Path, content: bytes) -> None:
    """Write bytes under a temporary name in the same folder, then rename."""
    temporary = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # or a power failure could leave the new name with nothing in it
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def private_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that its owner alone may read; it appears under its name when the block ends without an error."""
    temporary = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A new folder to fill; it takes the place of `folder` when the block ends without an error.

    Until then it is `.NAME.….partial` beside it. What was there is gone afterwards.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=PARTIAL, dir=folder.parent))
    try:
        yield partial
        partial.chmod(0o755)
        flush_to_disk(partial)
        _put_in_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _put_in_place(partial: Path, folder: Path) -> None:
    if not folder.exists():
        partial.rename(folder)
        return
    old = partial.with_suffix(REPLACED)
    folder.rename(old)
    try:
        partial.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old)


def remove_unfinished(parent: Path) -> None:
    """Delete what killed processes left of `replaced_folder` in a folder. Only while nobody writes there."""
    for suffix in (PARTIAL, REPLACED):
        for path in parent.glob(f".*{suffix}"):
            shutil.rmtree(path, ignore_errors=True)


def copied(source: Path, path: Path) -> None:
    """Copy a file so that the copy survives a power failure; nothing is left where that fails."""
    try:
        shutil.copyfile(source, path)
        flush_to_disk(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def flush_to_disk(path: Path) -> None:
    """Wait until a file, or all files below a folder, would survive a power failure."""
    for file in [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file()):
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())
