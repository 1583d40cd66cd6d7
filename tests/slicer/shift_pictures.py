"""Pictures of “Shift Attribution” for people to look at: `python -m tests.slicer.shift_pictures OUT HOME`.

HOME has a trained model in `models` and one cohort in `cohorts`, such as that of `slicerxai phantom`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CLOSER = 0.6


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the PNG files")
    parser.add_argument("home", type=Path, help="SLICERXAI_HOME with a model and a cohort")
    for role in ("source", "target"):
        parser.add_argument(f"--{role}", default="", help="values of the proposed key, such as 01,07; all by default")
        parser.add_argument(f"--{role}-rater", default="", help="by default what the panel proposes")
    parser.add_argument("--burden", default="", help="where disease burden is read, as the panel calls it")
    parser.add_argument("--case", default="", help="to open; the target's worst by default")
    chosen = parser.parse_args()
    sys.path[:0] = [str(path) for path in (HERE, HERE / "panel", HERE / "shift")]
    chosen.out.mkdir(parents=True, exist_ok=True)
    draw(chosen)


def draw(chosen: Any) -> None:
    """Start the server and the module, and use them as a reader would."""
    import slicer_double
    from panels import open_panel
    from shift_user import ShiftUser

    from tests.slicer.pictures import enlarge
    from tests.support.server import Server

    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), chosen.home) as server:
        application = slicer_double.start_application()
        enlarge(application)
        module = open_panel("XAIShift")
        read(ShiftUser(application, module), server.url, chosen)
        application.unload_modules()
        application.close()


def read(user: Any, url: str, chosen: Any) -> None:
    """From two environments to the worst case of the target."""
    from tests.slicer.pictures import picture

    user.connects(url)
    for role in ("source", "target"):
        values, rater = getattr(chosen, role), getattr(chosen, f"{role}_rater")
        for value in filter(None, values.split(",")):
            user.check(role, value)
        if rater:
            user.choose(getattr(user.ui, f"{role}RaterCombo"), f"{rater} ")
    if chosen.burden:
        user.choose(user.ui.burdenCombo, chosen.burden)
    picture(user, chosen.out / "1-choose.png")
    user.click(user.ui.runButton)
    user.waits(lambda: user.ui.progressBar.value > 200 or not user.ui.cancelButton.enabled, 3600)
    picture(user, chosen.out / "2-running.png")
    user.waits(lambda: not user.ui.cancelButton.enabled, 3600)
    picture(user, chosen.out / "3-result.png")
    user.chooses_case(chosen.case or user.ui.caseTable.item(0, 1).text())
    user.click(user.ui.openCaseButton)
    user.waits_for_the_case(900)
    zoom()
    picture(user, chosen.out / "4-case.png")
    user.open_section("checksSection")
    picture(user, chosen.out / "5-checks.png")


def zoom() -> None:
    """Closer, as with the right mouse button."""
    import slicer

    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        width, height, depth = view.GetFieldOfView()
        view.SetFieldOfView(width * CLOSER, height * CLOSER, depth)


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    main()
