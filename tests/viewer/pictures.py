"""Pictures of the page for the guide: `python -m tests.viewer.pictures OUT HOME`.

HOME is a SLICERXAI_HOME with a cohort of `slicerxai phantom` and a segmenter (`slicerxai train fast`). The first cases
of the cohort become the studies of the server; the alarm of the worklist is fitted on them, in a copy of HOME.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
STUDIES = 3
SECONDS = 120.0


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the PNG files")
    parser.add_argument("home", type=Path, help="a SLICERXAI_HOME")
    parser.add_argument("--model", default="demo", help="name of the segmenter")
    chosen = parser.parse_args()
    sys.path[:0] = [str(HERE), str(HERE.parent / "slicer" / "review")]
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        draw(chosen.home, chosen.model, chosen.out, Path(folder))


def draw(home: Path, model: str, out: Path, folder: Path) -> None:
    """Start the servers and walk."""
    from browser_server import View
    from browser_user import BrowserUser, running_chromium
    from radiologist import STEPS, reads_a_case, reviews
    from review_server import store_lesion_alarm

    from slicerxai.data.io import read_volume
    from tests.support.server import FRUGAL, Server

    shutil.copytree(home, folder / "home")
    server = Server(folder, folder / "home", **FRUGAL)
    copy_studies(folder / "home" / "cohorts", server.studies)
    store_lesion_alarm(folder / "home", model, [read_volume(path) for path in sorted(server.studies.iterdir())])
    program = shutil.which(os.environ.get("CHROMIUM", "chromium"))
    assert program, "chromium is needed"
    with server, View(folder, ["--server", server.url]) as view, running_chromium(program) as browser:
        user = BrowserUser(browser, view.url, SECONDS)

        def picture(step: str) -> None:
            user.picture(out / f"browser_{STEPS.index(step) + 1}_{step}.png")

        reads_a_case(user, model, picture)
        reviews(user, model, picture)
        faults = user.close()
    if faults:
        sys.exit("\n".join(faults))


def copy_studies(cohort: Path, studies: Path) -> None:
    """The FLAIR of some cases."""
    for path in sorted(cohort.rglob("*FLAIR*.nii.gz"))[:STUDIES]:
        shutil.copy(path, studies / f"{path.parents[1].name}.nii.gz")


if __name__ == "__main__":
    main()
