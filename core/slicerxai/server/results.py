"""Finished explanations, each in a folder named by what went into it."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slicerxai import __version__
from slicerxai.errors import NotFoundError

logger = logging.getLogger(__name__)

_KEY = re.compile(r"[0-9a-f]{64}")
_STALE_SECONDS = 3600.0


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

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def clean(self) -> None:
        """Delete what killed processes left half-written; writing takes seconds, so an hour tells them apart."""
        for path in self.root.glob(".*"):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                logger.info("deleting the unfinished result %s", path)
                shutil.rmtree(path, ignore_errors=True)

    def has(self, key: str) -> bool:
        return bool(_KEY.fullmatch(key)) and self.path(key).is_dir()

    def path(self, key: str) -> Path:
        """Where the result of a key is, or will be."""
        return self.root / key

    def existing(self, key: str) -> Path:
        """The folder of a result. Raises `NotFoundError` when it was removed."""
        if not self.has(key):
            msg = "the result is no longer stored; submit the request again"
            raise NotFoundError(msg)
        return self.path(key)

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
