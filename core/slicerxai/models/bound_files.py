"""Files that belong to a model: JSON below its digest, `ROOT/MODEL DIGEST/ID.json`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from slicerxai.errors import InputError

IDENTIFIER = re.compile(r"[0-9a-f]{12}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class BoundFiles:
    """What the stores of such files share; each says in `_content` what a sound file holds."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def newest_id(self, model_digest: str) -> str | None:
        """Id of what was saved last for a model; None when there is nothing."""
        found = [(self._content(path)["created"], path.stem) for path in self._files(model_digest)]
        return max(found)[1] if found else None

    def _files(self, model_digest: str) -> list[Path]:
        return [path for path in self._folder(model_digest).glob("*.json") if IDENTIFIER.fullmatch(path.stem)]

    def _folder(self, model_digest: str) -> Path:
        if not _DIGEST.fullmatch(model_digest):
            msg = f"bad model digest {model_digest[:80]!r}; a SHA-256 of 64 hexadecimal digits is accepted"
            raise InputError(msg)
        return self.root / model_digest

    @staticmethod
    def _content(path: Path) -> dict[str, Any]:
        """The JSON of a file. Raises `InputError` when it is damaged."""
        raise NotImplementedError
