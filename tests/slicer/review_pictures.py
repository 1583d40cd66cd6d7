"""Pictures of “Review worklist” for people to look at: `python -m tests.slicer.review_pictures OUT HOME STUDIES MODEL`.

HOME has the model MODEL in `models` and an alarm for it in `alarms`; STUDIES is a folder of images.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the PNG files")
    parser.add_argument("home", type=Path, help="SLICERXAI_HOME with a model and an alarm")
    parser.add_argument("studies", type=Path, help="folder of images")
    parser.add_argument("model", help="name of the model")
    parser.add_argument("--image", default="", help="to open; the most suspicious by default")
    parser.add_argument("--first", default="", help="class to show; the most suspicious by default")
    parser.add_argument("--second", default="", help="class to blend it with; the one that is most alike by default")
    chosen = parser.parse_args()
    sys.path[:0] = [str(path) for path in (HERE, HERE / "panel", HERE / "review")]
    chosen.out.mkdir(parents=True, exist_ok=True)
    draw(chosen)


def draw(chosen: Any) -> None:
    """Start the server and the module, and use them as a reader would."""
    import slicer_double
    from panels import open_panel
    from review_user import ReviewUser

    from tests.slicer.pictures import enlarge
    from tests.support.server import Server

    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), chosen.home)
        shutil.copytree(chosen.studies, server.studies, dirs_exist_ok=True)
        with server:
            application = slicer_double.start_application()
            enlarge(application)
            module = open_panel("XAIReview")
            read(ReviewUser(application, module), server.url, chosen)
            application.unload_modules()
            application.close()


def read(user: Any, url: str, chosen: Any) -> None:
    """From the worklist to a correction."""
    from tests.slicer.pictures import enlarge, picture, reset, with_bars, zoom

    user.connects(url, chosen.model)
    if user.ui.scoreButton.enabled:
        user.click(user.ui.scoreButton)
        user.waits(lambda: user.panel.feed.worklist.settled > 1, 3600)
        picture(user, chosen.out / "1-scoring.png")
        user.waits(lambda: not user.panel.feed.worklist.scoring, 3600)
    user.ui.modelSection.collapsed = True
    picture(user, chosen.out / "2-worklist.png")
    if chosen.image:
        user.opens_image(chosen.image)
    else:
        user.click(user.ui.nextButton)
        user.waits_for_the_image(user.rows()[0], 900)
    zoom()
    picture(user, chosen.out / "3-opened.png")
    if user.ui.lesionTable.isVisible():
        return
    user.click(user.ui.blendButton)
    for combo, label in ((user.ui.firstCombo, chosen.first), (user.ui.secondCombo, chosen.second)):
        if label:
            user.choose(combo, label)
    user.waits(lambda: user.panel.logic.shown.blend is not None)
    user.app.processEvents()
    picture(user, chosen.out / "4-blended.png")
    user.click(user.ui.sideButton)
    enlarge(user.app)
    reset()
    user.click(user.ui.goButton)
    zoom()
    picture(user, chosen.out / "5-side.png", with_bars(user.app))
    user.click(user.ui.oneButton)
    user.click(user.ui.correctButton)
    label = user.panel.item.classes.chosen
    user.checks_class(label)
    user.type(user.ui.commentEdit, "seen on the sagittal view as well")
    picture(user, chosen.out / "6-correcting.png")
    user.click(user.ui.revertButton)
    user.open_section("graphSection")
    user.open_section("checksSection")
    picture(user, chosen.out / "7-graph.png")


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    main()
