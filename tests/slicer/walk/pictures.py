"""Pictures of the walk-throughs for the guide: `python -m tests.slicer.walk.pictures OUT HOME STUDIES`.

HOME has the models and the cohorts that the options name, and an alarm of the classifier; STUDIES is a folder of images
to review. Writes OUT/{role}_{number}_{what}.png and OUT/captions.md. The server works on copies of both.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
ROLES = ("radiologist", "researcher", "annotator")
COLOURS = 200
"""Of a picture's palette: the views are grey, the rest has few colours."""
ANSWER_SECONDS = 3600.0


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the PNG files")
    parser.add_argument("home", type=Path, help="SLICERXAI_HOME")
    parser.add_argument("studies", type=Path, help="folder of images")
    parser.add_argument("--segmenter", default="fast")
    parser.add_argument("--classifier", default="regions")
    parser.add_argument("--cohort", default="phantom")
    parser.add_argument("--case", required=True, help="of the cohort")
    parser.add_argument("--centres", default="01,07", help="source and target")
    parser.add_argument("--raters", default="1,2", help="of the source and the target")
    parser.add_argument("--roles", default=",".join(ROLES), help="whose pictures to make")
    chosen = parser.parse_args()
    sys.path[:0] = [str(HERE), *(str(HERE / folder) for folder in ("panel", "review", "shift"))]
    chosen.out.mkdir(parents=True, exist_ok=True)
    for role in chosen.roles.split(","):
        draw(role, chosen)
    write_captions(chosen.out)


def draw(role: str, chosen: Any) -> None:
    """One role's way, in a Slicer and with a server of its own."""
    import importlib

    import slicer_double

    from tests.slicer.pictures import enlarge
    from tests.slicer.walk.desk import Desk, Site
    from tests.slicer.walk.people import Person
    from tests.support.server import Server

    Person.patience = ANSWER_SECONDS
    walk = importlib.import_module(f"tests.slicer.walk.{role}").walk
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        for part in ("models", "alarms", "cohorts"):
            shutil.copytree(chosen.home / part, server.home / part)
        shutil.copytree(chosen.studies, server.studies, dirs_exist_ok=True)
        with server:
            centres, raters = chosen.centres.split(","), chosen.raters.split(",")
            site = Site(
                server.url,
                chosen.segmenter,
                chosen.classifier,
                chosen.cohort,
                chosen.case,
                (centres[0], centres[1]),
                (raters[0], raters[1]),
            )
            application = slicer_double.start_application()
            enlarge(application)
            lines = []
            for number, step in enumerate(walk(Desk(application), site, Path(folder)), 1):
                name = f"{role}_{number}_{step.name}.png"
                take(step, chosen.out / name)
                lines.append(f"![{step.caption}]({name})\n")
            (chosen.out / f"{role}.captions").write_text("\n".join(lines), encoding="utf-8")
            application.unload_modules()
            application.close()


def take(step: Any, path: Path) -> None:
    """The panel and the views, in few colours."""
    from PIL import Image

    from tests.slicer.pictures import enlarge, picture, with_bars

    described = bool(step.user.app.layoutManager().grid())
    if described:
        enlarge(step.user.app)
    picture(step.user, path, with_bars(step.user.app) if described else None)
    image = Image.open(path).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    image.save(path, optimize=True)


def write_captions(out: Path) -> None:
    """All captions as one page, in the order of the roles."""
    parts = ["# Captions of the pictures in the guide\n"]
    for role in ROLES:
        found = out / f"{role}.captions"
        if found.is_file():
            parts.append(f"## {role.capitalize()}\n\n{found.read_text(encoding='utf-8')}")
            found.unlink()
    (out / "captions.md").write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    main()
