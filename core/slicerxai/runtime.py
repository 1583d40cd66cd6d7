"""The compute runtime of a process: device, threads, determinism. The same for the command line and the workers,
so that both give the same bits."""

from __future__ import annotations

import os

from slicerxai.errors import InputError
from slicerxai.lean_monai import import_monai, import_when_used
from slicerxai.settings import settings


def configure() -> None:
    """Set thread counts before any heavy import; call once at the start of a process that computes."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OMP_NUM_THREADS", str(settings().threads))
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # huge pages, see decision 0022
    import torch

    torch.set_num_threads(settings().threads)
    torch.set_deterministic_debug_mode("warn")  # `use_deterministic_algorithms` would import torch's compiler for this
    # determinism would fill the memory of each result with NaN first
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    import_monai()
    import_when_used("zennit.torchvision")  # and with it torch's compiler; networks not used here


def device() -> "torch.device":  # type: ignore[name-defined]  # noqa: F821, UP037
    """The device named in the settings; "auto" takes a GPU when there is one."""
    import torch

    wanted = settings().device
    if wanted == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available[wanted]:
        msg = f"device {wanted!r} is not available here; use 'auto' or 'cpu'"
        raise InputError(msg)
    return torch.device(wanted)
