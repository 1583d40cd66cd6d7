"""The process that workers are forked from. It has imported everything: workers share that memory, and a new one is
there at once. The server forks it from itself, when it has imported what both need, so that they share that, too.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from multiprocessing import forkserver, resource_tracker, util
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from slicerxai.settings import settings

PRELOADED = "slicerxai.server.preloaded"
"""What it imports."""
DEVICES = Path("/dev")
GPUS = ("nvidia*", "nvhost*", "dxg", "kfd")
"""Their files: NVIDIA's cards, its boards, Windows' subsystem for Linux, AMD's cards."""


def forks() -> bool:
    """Whether workers can be forked: on Linux, and where networks run on the CPU. Drivers of GPUs, and other systems'
    libraries, do not survive it; there each worker is spawned and imports for itself.
    """
    has_gpu = any(any(DEVICES.glob(name)) for name in GPUS)
    device = settings().device
    return sys.platform == "linux" and (device == "cpu" or (device == "auto" and not has_gpu))


def worker_context() -> BaseContext:
    """How workers are started. The process is made when it is first needed, if `fork` has not been called."""
    if not forks():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    return context


def fork() -> None:
    """Fork it from this process, in which no other thread of Python may run, instead of from a new one.

    `multiprocessing` starts it by a command that begins a new interpreter; here the command's code runs in a fork. When
    it ends unexpectedly, `multiprocessing` begins a new interpreter, as always.
    """
    if not forks():
        return
    worker_context()
    resource_tracker.ensure_running()
    gc.collect()
    gc.freeze()  # no later collection writes to what is shared
    begin_anew = util.spawnv_passfds
    util.spawnv_passfds = _forked
    try:
        forkserver.ensure_running()
    finally:
        util.spawnv_passfds = begin_anew


def _forked(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:
    del path
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _let_go({0, 1, 2, *passfds})
        exec(args[-1], {})  # noqa: S102 - the code that `python -c` would run
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _let_go(kept: set[int]) -> None:
    """Hold no file or socket of the server open. Their numbers stay taken: objects are left that would close them."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if number not in kept:
            with contextlib.suppress(OSError):  # the listing's own, which is closed by now
                os.fstat(number)
                os.dup2(null, number)
