"""Pictures of “What if?” for people to look at: `python -m tests.slicer.property_pictures OUT MODEL IMAGE`.

MODEL is the folder of a trained model (HOME/models/NAME), IMAGE a FLAIR. Every property is ranked, then one is walked
along. Writes how long each took, and how long the panel took to follow the slider, into `times.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAUSE = 0.3
STUDY = "FLAIR"


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the PNG files")
    parser.add_argument("model", type=Path, help="folder of a trained model")
    parser.add_argument("image", type=Path, help="a FLAIR")
    parser.add_argument("--mask", type=Path, help="an expert's mask of it")
    parser.add_argument("--home", type=Path, help="SLICERXAI_HOME, where results are kept for another time")
    parser.add_argument("--property", default="Contrast", help="title of the property to walk along")
    parser.add_argument("--output", default="Lesion volume", help="title of the output to look at")
    parser.add_argument("--steps", type=int, default=11, help="images along the way")
    parser.add_argument("--controls", type=int, default=19, help="control changes of the walk")
    parser.add_argument("--ranking-controls", type=int, default=19, help="control changes of the ranking")
    parser.add_argument("--ranking-steps", type=int, default=5, help="values along each way of the ranking")
    chosen = parser.parse_args()
    sys.path[:0] = [str(path) for path in (HERE, HERE / "panel", HERE / "property")]
    chosen.out.mkdir(parents=True, exist_ok=True)
    draw(chosen)


def draw(chosen: Any) -> None:
    """Start the server and the module, and use them as a reader would."""
    import slicer_double
    from panels import open_panel
    from property_user import PropertyUser

    from tests.slicer.pictures import enlarge
    from tests.support.server import Server

    with tempfile.TemporaryDirectory() as folder:
        home = chosen.home.absolute() if chosen.home is not None else Path(folder) / "home"
        shutil.copytree(chosen.model, home / "models" / chosen.model.name, dirs_exist_ok=True)
        server = Server(Path(folder), home)
        suffix = "".join(chosen.image.suffixes)
        shutil.copy(chosen.image, server.studies / f"{STUDY}{suffix}")
        if chosen.mask is not None:
            labels = server.studies / "labels" / "final"
            labels.mkdir(parents=True)
            shutil.copy(chosen.mask, labels / f"{STUDY}{suffix}")
        with server:
            application = slicer_double.start_application()
            enlarge(application)
            module = open_panel("XAIProperty")
            ask(PropertyUser(application, module), server.url, chosen)
            application.unload_modules()
            application.close()


def ask(user: Any, url: str, chosen: Any) -> None:
    """From the ranking to a walk and the image beside the one as it is."""
    from tests.slicer.pictures import picture, reset

    user.connect_to(url)
    user.takes_study(STUDY)
    user.ui.stepsSpin.value, user.ui.controlsSpin.value = chosen.ranking_steps, chosen.ranking_controls
    times: dict[str, float] = {}
    started = time.monotonic()
    user.click(user.ui.runButton)
    wait(user, lambda: user.ui.progressBar.value > 300 or not user.panel.job.running)
    picture(user, chosen.out / "1-running.png")
    wait(user, lambda: not user.panel.job.running)
    times["ranking s"] = time.monotonic() - started
    user.ui.imageSection.collapsed = True
    user.choose(user.ui.outputCombo, chosen.output)
    row = next(place for place, cells in enumerate(user.rows()) if cells[0] == chosen.property)
    user.clicks_row(row)
    reset()
    picture(user, chosen.out / "2-ranking.png")
    user.ui.stepsSpin.value, user.ui.controlsSpin.value = chosen.steps, chosen.controls
    started = time.monotonic()
    user.click(user.ui.walkButton)
    wait(user, lambda: not user.panel.job.running)
    times["walk s"] = time.monotonic() - started
    (chosen.out / "times.json").write_text(json.dumps(times | walk(user, chosen), indent=1))


def wait(user: Any, seen: Callable[[], bool]) -> None:
    """Let the application work until something can be seen, without much work of its own."""
    while not seen():
        user.app.processEvents()
        time.sleep(PAUSE)


def walk(user: Any, chosen: Any) -> dict[str, float]:
    """The walk: at its end in Slicer's own views, then beside the image as it is; how long the slider took."""
    import numpy as np
    import slicer
    from XAIPanels.views import pass_through

    from tests.slicer.pictures import enlarge, picture, reset, with_bars

    user.ui.questionSection.collapsed = True
    user.choose(user.ui.outputCombo, chosen.output)
    last = int(user.ui.stepSlider.maximum)
    times = []
    for step in (*range(last + 1), *range(last, -1, -1)):
        started = time.perf_counter()
        user.panel.walk.go(step)
        times.append(time.perf_counter() - started)
    user.drags(last)
    user.ui.unchangedBox.checked = True
    reset()
    pass_through(slicer.mrmlScene, user.panel.logic.point)
    picture(user, chosen.out / "3-walk.png")
    user.choose(user.ui.viewCombo, "beside")
    rows = []
    for step in (0, last):
        user.drags(step)
        enlarge(user.app)
        reset()
        pass_through(slicer.mrmlScene, user.panel.logic.point)
        user.app.processEvents()
        rows.append(with_bars(user.app))
    picture(user, chosen.out / "4-beside.png", np.vstack(rows))
    return {"slider step ms, median": 1000 * float(np.median(times)), "slider step ms, most": 1000 * max(times)}


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    main()
