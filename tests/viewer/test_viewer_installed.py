"""The page brings the extension's own libraries along, as they are, and nothing of Qt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIBRARIES = {
    "XAILib": "SlicerXAIExtension",
    "XAIPanels": "SlicerXAIExtension",
    "XAISaliencyLib": "SlicerXAIExtension/XAISaliency",
    "XAIReviewLib": "SlicerXAIExtension/XAIReview",
    "XAICohortLib": "SlicerXAIExtension/XAICohort",
}
IMPORTED = """
import sys
import slicerxai.viewer.app
import slicerxai.viewer.serve
libraries = sorted({name.split(".")[0] for name in sys.modules if name.startswith("XAI")})
unwanted = sorted({name.split(".")[0] for name in sys.modules} & {"qt", "ctk", "PySide6", "torch", "monailabel"})
print(*libraries, "|", *unwanted)
"""


def test_all_libraries_are_packaged_from_where_they_are() -> None:
    from setuptools.dist import Distribution

    before = Path.cwd()
    os.chdir(ROOT)
    try:
        distribution = Distribution()
        distribution.parse_config_files()
        packages, folders = set(distribution.packages or ()), dict(distribution.package_dir or {})
    finally:
        os.chdir(before)
    tops = {name.split(".")[0] for name in packages}
    assert tops == {"slicerxai", *LIBRARIES}
    for name, folder in LIBRARIES.items():
        found = Path(folders.get(name) or Path(folders.get("", ".")) / name)
        assert (ROOT / found).resolve() == (ROOT / folder / name).resolve()
        assert not (ROOT / "core" / name).exists()


def test_the_page_imports_the_libraries_of_the_package_and_no_qt() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    said = subprocess.run(
        [sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True, cwd="/", env=environment
    )
    libraries, unwanted = (part.split() for part in said.stdout.strip().split("|"))
    assert set(libraries) == set(LIBRARIES)
    assert unwanted == []
