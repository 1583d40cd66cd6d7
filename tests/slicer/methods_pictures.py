"""Pictures of the panel “All Methods” for people to look at: `python -m tests.slicer.methods_pictures OUT MODEL`.

MODEL is the folder of a trained model (HOME/models/NAME). Without `--image` a synthetic patient is written and read
(1 mm: minutes; one of 2 mm is quicker).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.slicer.pictures import HERE, ROOT, enlarge, picture, synthetic


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the PNG files")
    parser.add_argument("model", type=Path, help="folder of a trained model")
    parser.add_argument("--image", type=Path, help="a FLAIR; by default that of a synthetic patient")
    chosen = parser.parse_args()
    extension = ROOT / "SlicerXAIExtension"
    sys.path[:0] = [str(path) for path in (HERE, HERE / "panel", HERE / "methods", extension, extension / "XAIMethods")]
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        image = chosen.image or synthetic(Path(folder))
        draw(image, chosen.model, chosen.out)


def draw(image: Path, model: Path, out: Path) -> None:
    """Start the server and the module, and use them as a reader would."""
    import slicer_double
    from methods_user import MethodsUser
    from panels import open_panel

    from tests.support.server import Server

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        shutil.copytree(model, home / "models" / model.name)
        with Server(Path(folder), home) as server:
            application = slicer_double.start_application()
            enlarge(application)
            ask(MethodsUser(application, open_panel("XAIMethods")), image, server.url, out)
            application.unload_modules()
            application.close()


def ask(user: Any, image: Path, url: str, out: Path) -> None:
    """By two methods of the server."""
    import slicer

    slicer.util.loadVolume(str(image), {"name": "FLAIR"})
    slicer.util.resetSliceViews()
    user.connect_to(url)
    user.takes("Property gradients")
    user.click(user.row("properties").header)
    picture(user, out / "1-form.png")
    user.takes("Shift attribution")
    picture(user, out / "2-cohort.png")
    user.takes("Saliency")
    user.runs(900)
    user.choose(user.ui.tableCombo, "Predicted lesions")
    user.click_table(0)
    picture(user, out / "3-result.png")


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.modules["triton"] = None  # type: ignore[assignment]
    main()
