"""What people get of an explanation: its folder with the report and the overview picture."""

from __future__ import annotations

from pathlib import Path

from slicerxai.explain.contract import Explanation
from slicerxai.explain.folder import save
from slicerxai.explain.overview import overview
from slicerxai.explain.report import render


def save_result(explanation: Explanation, folder: Path) -> None:
    """Write an explanation with `report.html` and `overview.png`; the folder appears whole or not at all.

    Raises as `slicerxai.explain.folder.save` does.
    """
    save(
        explanation, folder, {"report.html": render(explanation).encode("utf-8"), "overview.png": overview(explanation)}
    )
