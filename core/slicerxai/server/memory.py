"""How much memory one worker may take, so that a job which needs too much fails and the machine goes on."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from slicerxai.settings import settings

logger = logging.getLogger(__name__)

SHARE = 0.9
"""Of the machine's memory that all workers together may take."""
SMALLEST_BYTES = 2 * 1024**3
"""A worker that has imported everything and holds two models is well below."""
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")


def worker_limit() -> int:
    """Bytes that one worker may take: `SLICERXAI_MEMORY_LIMIT`, else its share of the machine's or container's memory;
    0 where the system does not tell.
    """
    chosen = settings()
    if chosen.memory_limit is not None:
        return chosen.memory_limit
    total = machine_memory()
    return max(SMALLEST_BYTES, int(SHARE * total / chosen.workers)) if total else 0


def machine_memory() -> int:
    """Bytes of memory of the machine, or of the container when it has less; 0 where the system does not tell."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0
    try:
        return min(total, int(_CONTAINER_LIMIT.read_text()))
    except (OSError, ValueError):  # no container, or "max"
        return total


def limit_memory() -> None:
    """From here on allocating more than `worker_limit` raises `MemoryError` in this process, where the system can do it
    (Linux: RLIMIT_DATA) and networks run on the CPU; drivers of other devices reserve far more than they use.
    """
    from slicerxai import runtime

    limit = worker_limit()
    if not limit or runtime.device().type != "cpu":
        return
    try:
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    except (ImportError, AttributeError, ValueError, OSError) as error:
        logger.warning("the memory of this worker is not limited: %s", error)
