"""Finished explanations, each in a folder named by what went into it."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import uuid
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from slicerxai import __version__
from slicerxai.data.digests import file_digest
from slicerxai.errors import ConflictError, InputError, NotFoundError, UnavailableError

logger = logging.getLogger(__name__)

_KEY = re.compile(r"[0-9a-f]{64}")


def result_key(
    method: str, parameters: Mapping[str, Any], image_id: str, digests: Mapping[str, str], model: str, model_digest: str
) -> str:
    """SHA-256 over everything that decides an explanation's content, hexadecimal.

    Args:
        parameters: all parameters, defaults included, as JSON values.
        image_id: part of the key because the result shows it.
        digests: SHA-256 of each image, by modality.
    """
    content = {
        "method": method,
        "parameters": dict(parameters),
        "image": image_id,
        "digests": dict(digests),
        "model": [model, model_digest],
        "version": __version__,
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


class ResultStore:
    """The results below one folder. A result is there whole or not at all."""

    def __init__(self, root: Path, *, clean: bool = False) -> None:
        """Make the folder.

        Args:
            clean: delete what killed processes left half-written. Only while nobody writes: no clock is trusted.
        """
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        for path in root.glob(".*") if clean else ():
            logger.info("deleting the unfinished result %s", path)
            shutil.rmtree(path, ignore_errors=True)

    def has(self, key: str) -> bool:
        return bool(_KEY.fullmatch(key)) and self.path(key).is_dir()

    def path(self, key: str) -> Path:
        """Where the result of a key is, or will be."""
        return self.root / key

    def existing(self, key: str) -> Path:
        """The folder of a whole result.

        Raises:
            UnavailableError: the folder of all results is gone. NotFoundError: it was removed.
            ConflictError: a file of it is damaged.
        """
        if not self.root.is_dir():
            msg = "the folder of the results is gone at present; ask again later"
            raise UnavailableError(msg)
        if not self.has(key):
            msg = "the result is no longer stored; submit the request again"
            raise NotFoundError(msg)
        if not self.is_whole(key):
            msg = "the stored result is damaged; submit the request again to have it computed anew"
            raise ConflictError(msg)
        return self.path(key)

    def is_whole(self, key: str) -> bool:
        """Whether every file of a result is as it was written, by its SHA-256; known as long as no file is touched."""
        folder = self.path(key)
        try:
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            stamp = tuple((path.name, path.stat().st_mtime_ns, path.stat().st_size) for path in files)
            return _is_whole(folder, stamp)
        except OSError:
            return False

    def drop_damaged(self, key: str) -> None:
        """Delete a result that is not whole, so that it can be computed anew."""
        if self.has(key) and not self.is_whole(key):
            logger.error("the stored result %s is damaged; it is deleted and will be computed anew", key)
            self.remove(key)

    def remove(self, key: str) -> None:
        """Delete a result; it disappears at once under its name."""
        if not self.has(key):
            return
        retired = self.root / f".retired-{uuid.uuid4().hex}"
        self.path(key).rename(retired)
        shutil.rmtree(retired, ignore_errors=True)

    def report(self, key: str) -> str:
        """The HTML page of a result; rendered at the first call, then kept beside it."""
        folder = self.existing(key)
        page = folder / "report.html"
        if not page.is_file():
            from slicerxai.data.files import replaced_text
            from slicerxai.explain.folder import load
            from slicerxai.explain.report import render

            replaced_text(page, render(load(folder)))
        return page.read_text(encoding="utf-8")


@lru_cache(maxsize=4096)
def _is_whole(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> bool:
    from slicerxai.explain.folder import read_document

    try:
        document = read_document(folder)
    except InputError:
        return False
    digests = {entry.file: entry.sha256 for entry in document.overlays.values()}
    digests |= {entry.file: entry.sha256 for entry in document.figures.values()}
    return all((folder / file).is_file() and file_digest(folder / file) == sha256 for file, sha256 in digests.items())
