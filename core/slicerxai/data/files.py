"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4


def replaced_text(path: Path, text: str) -> None:
    """Write UTF-8 text under a temporary name in the same folder, then rename."""
    replaced_bytes(path, text.encode("utf-8"))


def replaced_bytes(path: Path, content: bytes) -> None:
    """Write bytes under a temporary name in the same folder, then rename."""
    temporary = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
