"""Pictures of “MSSEG Cohort” for people to look at: `python -m tests.slicer.cohort_pictures OUT FOLDER`.

FOLDER is a cohort in one of the accepted layouts, such as that of `slicerxai phantom`. No server is needed.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the PNG files")
    parser.add_argument("folder", type=Path, help="the cohort")
    parser.add_argument("--case", default="", help="to open; the first by default")
    chosen = parser.parse_args()
    sys.path[:0] = [str(path) for path in (HERE, HERE / "panel", HERE / "cohort")]
    chosen.out.mkdir(parents=True, exist_ok=True)
    draw(chosen)


def draw(chosen: Any) -> None:
    """Use the module as a reader would."""
    import slicer_double
    from cohort_user import CohortUser
    from panels import open_panel

    from tests.slicer.pictures import enlarge

    application = slicer_double.start_application()
    enlarge(application)
    read(CohortUser(application, open_panel("XAICohort")), chosen)
    application.unload_modules()
    application.close()


def read(user: Any, chosen: Any) -> None:
    """From the folder to the agreement of a case's raters."""
    import slicer

    from tests.slicer.pictures import picture, with_bars

    user.enters_folder(chosen.folder)
    picture(user, chosen.out / "1-cohort.png")
    user.opens_case(chosen.case or user.ui.caseTable.item(0, 0).text())
    user.ui.serverSection.collapsed = True
    enlarge_side_views(user.app)
    closer(user)
    picture(user, chosen.out / "2-side-by-side.png", with_bars(user.app))
    user.click(user.ui.agreementBox)
    user.click(user.ui.sideBox)
    slicer.util.resetSliceViews()
    user.panel.logic.jump_to(user.panel.logic.shown.place)
    closer(user)
    picture(user, chosen.out / "3-agreement.png")


def enlarge_side_views(application: Any) -> None:
    """Views that came with the layout are small, and show all of the image again once they are large."""
    import slicer

    from tests.slicer.pictures import enlarge

    enlarge(application)
    slicer.util.resetSliceViews()


def closer(user: Any) -> None:
    """As with the right mouse button and a click on a lesion."""
    from tests.slicer.pictures import zoom

    user.panel.logic.jump_to(user.panel.logic.shown.place)
    zoom()


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    main()
