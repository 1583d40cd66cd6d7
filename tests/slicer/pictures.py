"""Pictures of the panel and the four views for people to look at: `python -m tests.slicer.pictures OUT MODEL`.

MODEL is the folder of a trained model (HOME/models/NAME). Without `--image` a synthetic patient is written and read.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VIEW, WIDTH = 420, 430
BAR = 22
"""Height of the bar over a view, as Slicer has one."""
CLOSER = 0.65
PAPER = 239
"""Grey of what neither the panel nor the views cover."""


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the PNG files")
    parser.add_argument("model", type=Path, help="folder of a trained model")
    parser.add_argument("--image", type=Path, help="a FLAIR; by default that of a synthetic patient")
    chosen = parser.parse_args()
    sys.path[:0] = [str(path) for path in (HERE, HERE / "panel")]
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        image = chosen.image or synthetic(Path(folder))
        draw(image, chosen.model, chosen.out)


def synthetic(folder: Path) -> Path:
    """The FLAIR of one patient of the phantom cohort, 1 mm."""
    command = [sys.executable, "-m", "slicerxai.cli.main", "phantom", str(folder / "cohort"), "--patients", "1"]
    subprocess.run([*command, "--centres", "01", "--raters", "1", "--spacing", "1"], check=True)
    return next((folder / "cohort").rglob("*FLAIR*.nii.gz"))


def draw(image: Path, model: Path, out: Path) -> None:
    """Start the server and the module, and use them as a reader would."""
    import slicer_double
    from panel_user import User
    from panels import open_panel

    from tests.support.server import Server

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        shutil.copytree(model, home / "models" / model.name)
        with Server(Path(folder), home) as server:
            application = slicer_double.start_application()
            enlarge(application)
            module = open_panel("XAISaliency")
            read(User(application, module), image, server.url, out)
            application.unload_modules()
            application.close()


def read(user: Any, image: Path, url: str, out: Path) -> None:
    """From a loaded image to the explanation of its largest lesion."""
    import slicer

    slicer.util.loadVolume(str(image), {"name": "FLAIR"})
    slicer.util.resetSliceViews()
    picture(user, out / "1-loaded.png")
    user.connect_to(url)
    user.click(user.ui.runButton)
    user.waits(lambda: user.ui.progressBar.value > 400, 900)
    picture(user, out / "2-running.png")
    user.waits_for("Done: ", 900)
    lesions = user.panel.logic.lesions(user.panel.result.shown)
    largest = max(lesions, key=lambda lesion: lesion.volume)
    user.click_row(lesions.index(largest))
    picture(user, out / "3-whole.png")
    user.click(user.ui.explainLesionButton)
    user.waits_for(f"lesion {largest.number}, in", 900)
    picture(user, out / "4-lesion.png")
    user.open_section("checksSection")
    picture(user, out / "5-checks.png")
    user.click(user.ui.removeButton)
    picture(user, out / "6-removed.png")


def enlarge(application: Any) -> None:
    """Larger views than the tests need."""
    manager = application.layoutManager()
    for view in manager.views():
        view.renderWindow().SetSize(VIEW, VIEW)
    for name in manager.sliceViewNames():
        manager.sliceWidget(name).mrmlSliceNode().SetDimensions(VIEW, VIEW, 1)


def picture(user: Any, path: Path, views: Any = None) -> None:
    """The panel on the left, on the right the views as the layout shows them, or this picture of them."""
    import numpy as np
    from PIL import Image
    from slicer_double.helpers import render_all

    views = render_all(user.app) if views is None else views
    panel = whole_panel(user, views.shape[0])
    height = max(panel.shape[0], views.shape[0])
    sheet = np.full((height, panel.shape[1] + views.shape[1], 3), PAPER, np.uint8)
    sheet[: panel.shape[0], : panel.shape[1]] = panel
    sheet[: views.shape[0], panel.shape[1] :] = views
    Image.fromarray(sheet).save(path)


def whole_panel(user: Any, height: int = 0) -> Any:
    """A picture of the panel, as tall as what it holds and at least so tall."""
    from slicer_double.helpers import grab

    widget = user.module.widgetRepresentation()
    for _ in range(6):  # each layout within another tells its height only after the one within
        widget.resize(WIDTH, max(height, widget.sizeHint().height()))
        user.app.processEvents()
        widget.layout().invalidate()
        widget.layout().activate()
    return grab(widget)


def with_bars(application: Any) -> Any:
    """The views of a described layout, each under a bar with its label as in Slicer."""
    import numpy as np

    manager = application.layoutManager()
    return np.vstack([np.hstack([under_a_bar(manager.sliceWidget(name)) for name in row]) for row in manager.grid()])


def under_a_bar(widget: Any) -> Any:
    """One slice view."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    pixels = widget.sliceView().pixels()
    node = widget.mrmlSliceNode()
    colour = tuple(round(255 * part) for part in node.GetLayoutColor())
    bar = Image.new("RGB", (pixels.shape[1], BAR), colour)
    ImageDraw.Draw(bar).text((8, 3), node.GetLayoutLabel(), fill=(0, 0, 0), font=ImageFont.load_default(14))
    return np.vstack([np.asarray(bar), pixels])


def reset() -> None:
    """Fit the views to the image."""
    import slicer

    slicer.util.resetSliceViews()


def zoom() -> None:
    """Closer, as with the right mouse button."""
    import slicer

    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        width, height, depth = view.GetFieldOfView()
        view.SetFieldOfView(width * CLOSER, height * CLOSER, depth)


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    main()
