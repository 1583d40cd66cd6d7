"""nnU-Net keeps its settings in environment variables, prints to stdout and forks pools: all held here for one run."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

from slicerxai.errors import ConflictError
from slicerxai.progress import Progress

TRAINER_FOLDER = Path(__file__).parent / "nnunet_trainer"
_running = threading.Lock()


@contextmanager
def only_run() -> Iterator[None]:
    """Hold nnU-Net's process-wide state. Raises `ConflictError` while another run of this process holds it."""
    if not _running.acquire(blocking=False):
        msg = "nnU-Net is already training in this process; wait for it or cancel it first"
        raise ConflictError(msg)
    try:
        yield
    finally:
        _running.release()


@contextmanager
def nnunet_environment(work: Path, progress: Progress) -> Iterator[Progress]:
    """nnU-Net's folders below `work` and its prints in `work/nnunet.log`; everything is put back afterwards.

    Yields `progress` such that what it prints still reaches the real stdout.
    """
    folders = {name: work / name for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")}
    fixed = {"nnUNet_extTrainer": str(TRAINER_FOLDER), "nnUNet_compile": "0", "nnUNet_wandb_enabled": "0"}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(variables({name: str(folder) for name, folder in folders.items()} | fixed))
        watched = _with_stdout(progress)
        log = stack.enter_context((work / "nnunet.log").open("a", encoding="utf-8"))
        stack.enter_context(redirect_stdout(log))
        yield watched


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables of this process, put back afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def inline_pools(module: Any, after_each: Callable[[], None]) -> Iterator[None]:
    """Run the process pools of one of nnU-Net's modules in this very process.

    Spawned workers would import everything again, need a guarded main module and are forbidden in daemonic processes.
    `after_each` is called after every task and may raise to stop the work.
    """

    class Pool(_InlinePool):
        done = staticmethod(after_each)

    before = module.multiprocessing
    module.multiprocessing = SimpleNamespace(get_context=lambda _method: SimpleNamespace(Pool=Pool))
    try:
        yield
    finally:
        module.multiprocessing = before


class _InlinePool:
    """The part of `multiprocessing.Pool` that nnU-Net uses, computing at once."""

    done: Callable[[], None]

    def __init__(self, _processes: int) -> None:
        self._pool: list[multiprocessing.Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def starmap_async(self, function: Callable[..., Any], tasks: Sequence[Sequence[Any]]) -> SimpleNamespace:
        results = [function(*task) for task in tasks]
        self.done()
        return SimpleNamespace(ready=lambda: True, get=lambda: results)


def _with_stdout(progress: Progress) -> Progress:
    stdout = sys.stdout

    def inner(fraction: float, message: str) -> None:
        with redirect_stdout(stdout):
            progress(fraction, message)

    return inner
