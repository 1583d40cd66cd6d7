"""SHA-256 of files."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal; one that this process has read before, unchanged by time and size, is not read
    again.
    """
    about = path.stat()
    return _digest_of(path, (about.st_mtime_ns, about.st_ctime_ns, about.st_size))


@lru_cache(maxsize=100_000)
def _digest_of(path: Path, stamp: tuple[int, int, int]) -> str:
    return file_digest(path)
