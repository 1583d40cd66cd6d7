"""Writing a file that the user has chosen, while the window goes on. Knows no Qt and no MRML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from .task_list import TaskList


def save(tasks: TaskList, path: Path, content: bytes, say: Callable[[str], None], saved: str) -> None:
    """Write in the background; says `saved`, or why the file cannot be written."""

    def work(_stop: Any, _progress: Any) -> None:
        write(path, content)

    def failed(error: BaseException) -> None:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        say(_("{path} cannot be written ({reason}); choose another place.").format(path=path, reason=reason))

    tasks.start(work, lambda _ended: say(saved), failed)


def write(path: Path, content: bytes) -> None:
    """Write under a temporary name, then rename; nothing is left of what fails. Raises `OSError`."""
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
