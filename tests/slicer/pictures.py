"""Pictures of the panel and the four views for people to look at: `python -m tests.slicer.pictures OUT --home HOME`.

HOME is a SLICERXAI_HOME with a trained model. Without `--image` a synthetic patient is written and explained.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VIEW, WIDTH = 420, 430


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the PNG files")
    parser.add_argument("--home", type=Path, required=True, help="SLICERXAI_HOME with a model")
    parser.add_argument("--model", default="", help="name of the model; by default the first one")
    parser.add_argument("--image", type=Path, help="a FLAIR; by default that of a synthetic patient")
    chosen = parser.parse_args()
    sys.path[:0] = [str(path) for path in (HERE, HERE / "panel")]
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        image = chosen.image or synthetic(Path(folder))
        draw(image, chosen.home, chosen.model, chosen.out)


def synthetic(folder: Path) -> Path:
    """The FLAIR of one patient of the phantom cohort, 1 mm."""
    command = [sys.executable, "-m", "slicerxai.cli.main", "phantom", str(folder / "cohort"), "--patients", "1"]
    subprocess.run([*command, "--centres", "01", "--raters", "1", "--spacing", "1"], check=True)
    return next((folder / "cohort").rglob("*FLAIR*.nii.gz"))


def draw(image: Path, home: Path, model: str, out: Path) -> None:
    """Use the panel as a reader would, with a picture of each step."""
    import slicer_double
    from panel_server import PanelServer
    from panel_user import User
    from slicer_double.scripted import load_module

    with tempfile.TemporaryDirectory() as folder, PanelServer(Path(folder), home) as server:
        application = slicer_double.start_application()
        application.layoutManager().set_view_size(VIEW, VIEW)
        module = load_module(ROOT / "SlicerXAIExtension" / "XAISaliency" / "XAISaliency.py")
        module.enter()
        user = User(application, module)
        import slicer

        slicer.util.loadVolume(str(image), {"name": "FLAIR"})
        slicer.util.resetSliceViews()
        picture(user, out / "1-loaded.png")
        user.connect_to(server.url)
        if model:
            user.choose(user.ui.modelCombo, model)
        user.click(user.ui.runButton)
        user.waits(lambda: user.ui.progressBar.value > 400, 600)
        picture(user, out / "2-running.png")
        user.waits_for("Done", 600)
        lesions = user.panel.logic.lesions(user.panel.result.shown)
        largest = max(lesions, key=lambda lesion: lesion.volume)
        user.click_row(lesions.index(largest))
        picture(user, out / "3-whole.png")
        user.click(user.ui.explainLesionButton)
        user.waits_for(f"lesion {largest.number}, in", 600)
        picture(user, out / "4-lesion.png")
        user.open_section("checksSection")
        picture(user, out / "5-checks.png")
        user.close_module()
        application.close()


def picture(user: Any, path: Path) -> None:
    """The panel on the left, the views as in Slicer's four-up layout on the right."""
    import numpy as np
    from PIL import Image
    from slicer_double.helpers import grab, render_all

    widget = user.module.widgetRepresentation()
    views = render_all(user.app)
    widget.resize(WIDTH, max(views.shape[0], widget.sizeHint.height()))
    user.app.processEvents()
    panel = grab(widget)
    height = max(panel.shape[0], views.shape[0])
    sheet = np.zeros((height, panel.shape[1] + views.shape[1], 3), np.uint8)
    sheet[: panel.shape[0], : panel.shape[1]] = panel
    sheet[: views.shape[0], panel.shape[1] :] = views
    Image.fromarray(sheet).save(path)


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    main()
