"""Pictures of “Counterfactuals”: `python -m tests.slicer.counterfactual_pictures OUT HOME STUDIES MODEL IMAGE`.

HOME has the classifier MODEL in `models`. STUDIES is a folder of images with experts' masks in `labels/final`, from
which a model is trained that decides from the lesions. Prints where the change lies under both models.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HOURS = 4 * 3600


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the PNG files")
    parser.add_argument("home", type=Path, help="SLICERXAI_HOME with a model")
    parser.add_argument("studies", type=Path, help="folder of images and of labels/final")
    parser.add_argument("model", help="name of the model")
    parser.add_argument("image", help="id of the image to ask about")
    parser.add_argument("--label", default="", help="to ask about; by default the most probable one")
    parser.add_argument("--count", type=int, default=2, help="counterfactuals to look for")
    parser.add_argument("--epochs", type=int, default=0, help="of the training; by default the server's own")
    parser.add_argument("--without-training", action="store_true", help="ask one model only")
    chosen = parser.parse_args()
    sys.path[:0] = [str(path) for path in (HERE, HERE / "panel", HERE / "counterfactual")]
    chosen.out.mkdir(parents=True, exist_ok=True)
    draw(chosen)


def draw(chosen: Any) -> None:
    """Start the server and the module, and use them as a reader would."""
    import slicer_double
    from counterfactual_user import CounterfactualUser
    from panels import open_panel

    from tests.support.server import Server

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        shutil.copytree(chosen.home / "models", home / "models")
        server = Server(Path(folder), home)
        shutil.copytree(chosen.studies, server.studies, dirs_exist_ok=True)
        with server:
            application = slicer_double.start_application()
            module = open_panel("XAICounterfactual")
            told = ask(CounterfactualUser(application, module), server.url, chosen)
            application.unload_modules()
            application.close()
    (chosen.out / "shares.json").write_text(json.dumps(told, indent=1))


def ask(user: Any, url: str, chosen: Any) -> list[list[str]]:
    """From the question to the answer of a model that decides from the lesion; the rows of the comparison."""
    user.connect_to(url)
    user.takes_study(chosen.image)
    user.choose(user.ui.modelCombo, chosen.model)
    if chosen.label:
        user.choose(user.ui.labelCombo, chosen.label)
    user.ui.countSpin.value = chosen.count
    user.click(user.ui.runButton)
    user.waits(lambda: user.ui.progressBar.value > 300, HOURS)
    user.waits(lambda: user.panel.logic.results() or "Not found" in user.sees(), HOURS)
    for section in (user.ui.imageSection, user.ui.questionSection):
        section.collapsed = True
    views(user, chosen.out / "1-before.png")
    if chosen.without_training:
        return user.rows(user.ui.compareTable)
    user.open_section("retrainSection")
    if chosen.epochs:
        user.ui.epochsSpin.value = chosen.epochs
    user.click(user.ui.trainButton)
    user.waits(lambda: user.ui.trainProgressBar.value > 300 or not user.panel.retrain.job.running, HOURS)
    views(user, chosen.out / "2-training.png")
    user.waits(lambda: not user.panel.retrain.job.running and not user.panel.server.connecting, HOURS)
    user.click(user.ui.againButton)
    user.waits(lambda: len(user.panel.logic.results()) == 2 or "Not found" in user.sees(), HOURS)
    views(user, chosen.out / "3-after.png")
    return user.rows(user.ui.compareTable)


def views(user: Any, path: Path) -> None:
    """The panel, and the three views as Slicer shows them, at the largest change."""
    import numpy as np
    import slicer
    from XAIPanels.views import pass_through

    from tests.slicer.pictures import enlarge, picture, reset, with_bars

    rows = []
    for orientation in ("Axial", "Coronal"):
        for name in (name for row in user.app.layoutManager().grid() for name in row):
            user.app.layoutManager().sliceWidget(name).mrmlSliceNode().SetOrientation(orientation)
        enlarge(user.app)
        reset()
        pass_through(slicer.mrmlScene, user.panel.logic.place)
        user.app.processEvents()
        rows.append(with_bars(user.app))
    picture(user, path, np.vstack(rows))


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    main()
