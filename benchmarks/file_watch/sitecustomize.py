"""Notes what a Python process, and those that it starts, write outside the folders that they may write to.

With this folder on `PYTHONPATH`, Python imports this module at start and it adds an audit hook, which sees every file
that Python opens, makes, moves or removes, wherever it lies. One line each in the file `FILE_WATCH_LOG`.

Variables:
    FILE_WATCH_LOG: where lines are added, "EVENT<tab>PATH".
    FILE_WATCH_ALLOWED: folders that may be written to, separated as in PATH.
    FILE_WATCH_SECRETS: files whose reading is noted too.
"""

import contextlib
import os
import sys

_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod"}
_ALWAYS = ("/dev/", "/proc/", "pipe:", "socket:")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _watch(log: str, allowed: tuple[str, ...], secrets: frozenset[str]) -> None:
    lines = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def place(path: object) -> str | None:
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        return os.path.realpath(os.fsdecode(path))

    def note(event: str, path: object) -> None:
        where = place(path)
        if where is not None and where != log and not where.startswith((*allowed, *_ALWAYS)):
            os.write(lines, f"{event}\t{where!r}\n".encode())

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        with contextlib.suppress(OSError, ValueError):
            if event == "open":
                path, _, flags = arguments
                if isinstance(flags, int) and flags & _WRITING:
                    note(event, path)
                elif secrets and place(path) in secrets:
                    os.write(lines, f"read\t{place(path)!r}\n".encode())
            elif event in _CHANGES:
                for path in arguments:
                    note(event, path)
            elif event == "sqlite3.connect" and arguments[0] != ":memory:":
                note(event, arguments[0])

    sys.addaudithook(hook)


if "FILE_WATCH_LOG" in os.environ:
    _watch(
        os.path.realpath(os.environ["FILE_WATCH_LOG"]),
        tuple(os.path.realpath(folder) for folder in os.environ["FILE_WATCH_ALLOWED"].split(os.pathsep)),
        frozenset(filter(None, os.environ.get("FILE_WATCH_SECRETS", "").split(os.pathsep))),
    )
