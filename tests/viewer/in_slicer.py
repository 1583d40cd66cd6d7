"""A fresh process that opens a scene of the page in Slicer's test double: `python -m tests.viewer.in_slicer SCENE`.

Beside the scene it writes {panel}.txt, what each of `PANELS` says, and {panel}.png, what the views show then.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from tests.slicer.walk.reopened import PATHS

PANELS = ("XAISaliency", "XAICohort")


def main(scene: Path) -> None:
    """Open it for one panel after another."""
    sys.path[:0] = [str(path) for path in PATHS]
    import slicer_double
    from panel_user import User
    from panels import open_panel

    from tests.slicer.walk.filled import looked_at, read_bundle

    for name in PANELS:
        application = slicer_double.start_application()
        read_bundle(scene)
        text, views = looked_at(User(application, open_panel(name)))
        (scene.parent / f"{name}.txt").write_text(text, encoding="utf-8")
        Image.fromarray(views).save(scene.parent / f"{name}.png")
        application.unload_modules()
        application.close()


if __name__ == "__main__":
    sys.modules["triton"] = None  # type: ignore[assignment]  # its LLVM and that of the software renderer collide
    main(Path(sys.argv[1]))
