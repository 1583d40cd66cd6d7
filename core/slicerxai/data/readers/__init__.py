"""Cohorts from folders and tables, one module a layout."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import get_args

from slicerxai.data.cohort import Cohort
from slicerxai.data.readers import bids, folder, msseg2016, msseg2016_flat, table
from slicerxai.data.readers.naming import Prefer
from slicerxai.errors import InputError

LAYOUTS: dict[str, ModuleType] = {
    "msseg2016": msseg2016,
    "msseg2016-flat": msseg2016_flat,
    "bids": bids,
    "table": table,
    "folder": folder,
}
"""By name, in the order in which "auto" tries them; each has DESCRIPTION, `recognises(path)`, `read(path, prefer)`."""


def read_cohort(path: Path, layout: str = "auto", prefer: Prefer = "preprocessed") -> Cohort:
    """Find the cases of a cohort; no voxel is read. Cases without any image are left out.

    Args:
        path: a folder, or a CSV file.
        layout: a key of `LAYOUTS`, or "auto" for the first that recognises the path.
        prefer: which images to take where a case has both; kinds are never mixed within a case.

    Raises:
        InputError: no such path, an unknown or unrecognised layout (lists what is accepted), no case with an image, or
            an ambiguity that the layout's `read` names.
    """
    path = Path(path)
    if not path.exists():
        msg = f"{path}: no such folder or file"
        raise InputError(msg)
    if prefer not in get_args(Prefer):
        msg = f"prefer={prefer!r} is unknown; accepted are {', '.join(get_args(Prefer))}"
        raise InputError(msg)
    if layout != "auto" and layout not in LAYOUTS:
        msg = f"layout {layout!r} is unknown; accepted are auto, {', '.join(LAYOUTS)}"
        raise InputError(msg)
    candidates = LAYOUTS if layout == "auto" else {layout: LAYOUTS[layout]}
    module = next((module for module in candidates.values() if module.recognises(path)), None)
    if module is None:
        accepted = "\n".join(f"  {name}: {module.DESCRIPTION}" for name, module in candidates.items())
        msg = f"{path}: not recognised as a cohort; accepted layouts are\n{accepted}"
        raise InputError(msg)
    cases = module.read(path, prefer)
    if not cases:
        msg = f"{path}: no case with an image; expected {module.DESCRIPTION}"
        raise InputError(msg)
    return Cohort(path.resolve().name, tuple(cases))
