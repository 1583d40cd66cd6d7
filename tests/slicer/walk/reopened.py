"""A fresh process that opens scene bundles: `python -m tests.slicer.walk.reopened FOLDER`; see `test_walk_bundles`.

For each FOLDER/{panel}.mrb it opens the panel and writes FOLDER/{panel}.txt, .png and .json: words, picture and views.
The panel of FOLDER/{panel} beside.mrb is {panel}.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parents[1]
EXTENSION = HERE.parents[1] / "SlicerXAIExtension"
PATHS = [
    *(HERE, *(HERE / name for name in ("panel", "review", "shift", "counterfactual", "property", "cohort", "methods"))),
    *(EXTENSION, *(path for path in EXTENSION.iterdir() if path.is_dir())),
]


def main(folder: Path) -> None:
    """Open them one after another."""
    sys.path[:0] = [str(path) for path in PATHS]
    import slicer_double
    from panel_user import User
    from panels import open_panel

    from tests.slicer.walk.filled import looked_at, read_bundle, views_of

    for path in sorted(folder.glob("*.mrb")):
        application = slicer_double.start_application()
        read_bundle(path)
        text, views = looked_at(User(application, open_panel(path.stem.split()[0])))
        path.with_suffix(".txt").write_text(text, encoding="utf-8")
        Image.fromarray(views).save(path.with_suffix(".png"))
        path.with_suffix(".json").write_text(json.dumps(views_of(application.mrmlScene())), encoding="utf-8")
        application.unload_modules()
        application.close()


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.modules["triton"] = None  # type: ignore[assignment]  # its LLVM and that of the software renderer collide
    main(Path(sys.argv[1]))
