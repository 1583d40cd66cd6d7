"""MONAI without packages that it takes along when they are installed: two thirds of what its import costs."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

UNUSED = (
    "gdown",
    "huggingface_hub",
    "ignite",
    "itk",
    "matplotlib",
    "mlflow",
    "pandas",
    "scipy.signal",
    "skimage",
    "tensorboard",
    "torchvision",
)
"""What MONAI offers with them (downloads, engines, other readers, plots, tables, filters of signals, pretrained
backbones) is not used here."""


def import_monai() -> None:
    """Import MONAI, which then believes that these packages are missing; others can import them afterwards.

    Call once at the start of a process, before anything imports MONAI; later it does nothing.
    """
    if "monai" in sys.modules:
        return
    hidden = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: as if it were not installed
    try:
        import monai  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]


def import_when_used(name: str) -> None:
    """Let `import NAME` give a stand-in, in whose place the module is loaded when somebody asks for an attribute."""
    if name in sys.modules:
        return
    stand_in = ModuleType(name)

    def attribute(wanted: str) -> Any:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(import_module(name), wanted)

    stand_in.__getattr__ = attribute  # type: ignore[method-assign]
    sys.modules[name] = stand_in
