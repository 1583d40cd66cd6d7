"""MONAI without packages that it takes along when they are installed: two thirds of what its import costs."""

from __future__ import annotations

import sys

UNUSED = ("ignite", "matplotlib", "mlflow", "pandas", "skimage", "tensorboard", "torchvision")
"""What MONAI offers with them (engines, handlers, plots, tables, pretrained backbones) is not used here."""


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
