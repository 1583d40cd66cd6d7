"""Preloaded into the workers of this machine: Ctrl-C reaches all processes of a terminal, but the one that was started
there decides what becomes of them."""

from __future__ import annotations

import signal


def dask_setup(worker: object) -> None:
    """Called by dask when a worker starts."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
