"""Pictures of the walk-throughs for the guide: `python -m tests.slicer.walk.pictures OUT HOME STUDIES`.

HOME has the models and the cohorts that the options name, and an alarm of the classifier; STUDIES is a folder of images
to review. Writes OUT/{role}_{number}_{what}.png; the server works on copies of both.
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
ANSWER_SECONDS = 3600.0


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the PNG files")
    parser.add_argument("home", type=Path, help="SLICERXAI_HOME")
    parser.add_argument("studies", type=Path, help="folder of images")
    parser.add_argument("--segmenter", default="fast")
    parser.add_argument("--classifier", default="regions")
    parser.add_argument("--cohort", default="phantom", help="of the radiologist; its first case is read")
    parser.add_argument("--shift-cohort", default="centres", help="of the researcher")
    parser.add_argument("--centres", default="01,07", help="source and target of the researcher")
    parser.add_argument("--raters", default="1,2", help="of the source and the target")
    parser.add_argument("--roles", default=",".join(ROLES), help="whose pictures to make")
    chosen = parser.parse_args()
    sys.path[:0] = [str(HERE), *(str(HERE / folder) for folder in ("panel", "review", "shift"))]
    chosen.out.mkdir(parents=True, exist_ok=True)
    for role in chosen.roles.split(","):
        draw(role, chosen)


def draw(role: str, chosen: Any) -> None:
    """One role's way, in a Slicer and with a server of its own."""
    import importlib

    import slicer_double

    from slicerxai.data.readers import read_cohort
    from tests.slicer.walk.desk import Desk, Site
    from tests.slicer.walk.people import Person
    from tests.slicer.walk.sheet import take
    from tests.support.server import Server

    Person.patience = ANSWER_SECONDS
    walk = importlib.import_module(f"tests.slicer.walk.{role}").walk
    cohort = chosen.shift_cohort if role == "researcher" else chosen.cohort
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        for part in ("models", "alarms", "cohorts"):
            shutil.copytree(chosen.home / part, server.home / part)
        shutil.copytree(chosen.studies, server.studies, dirs_exist_ok=True)
        case = next(iter(read_cohort(server.home / "cohorts" / cohort))).id
        centres, raters = chosen.centres.split(","), chosen.raters.split(",")
        with server:
            site = Site(
                server.url,
                chosen.segmenter,
                chosen.classifier,
                cohort,
                case,
                (centres[0], centres[1]),
                (raters[0], raters[1]),
            )
            application = slicer_double.start_application()
            for number, step in enumerate(walk(Desk(application), site, Path(folder)), 1):
                take(step, chosen.out / f"{role}_{number}_{step.name}.png")
            application.unload_modules()
            application.close()


if __name__ == "__main__":
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    main()
