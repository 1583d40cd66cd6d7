"""What the checks of Slicer's Extensions Index ask of an extension, as far as they can be asked without network.

Restated from the index's own scripts and its list for new extensions: description file, names, category, URLs,
pictures, licence, size, homepage.
"""

from __future__ import annotations

import json
import re
import struct
import subprocess
import urllib.parse
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = "ExplainableAI"
EXTENSION = ROOT / "SlicerXAIExtension"
ENTRY = json.loads((ROOT / f"{NAME}.json").read_text())
CMAKE = (ROOT / "CMakeLists.txt").read_text()
MODULES = sorted(path.stem for path in EXTENSION.glob("*/XAI*.py") if path.stem == path.parent.name)

FIELDS = {
    "$schema": str, "category": str, "scm_url": str, "scm_revision": str, "scm_type": str, "build_dependencies": list,
    "dicom_support_rule": str, "build_subdirectory": str, "enabled": bool, "tier": int,
}  # fmt: skip
"""Of the catalogue's schema 1.0.2; the first three are required, others are refused."""
KNOWN_CATEGORIES = {"Active Learning", "Analysis", "Informatics", "Neuroimaging", "Quantification", "Segmentation"}
"""Those of the index's list that an extension like this one could have."""
LIMIT_MB = 100


def cmake_value(name: str) -> str:
    """As the index reads it: the quoted text, without variables."""
    found = re.findall(rf'set\s*\({name}\s*"([^"]+)"[ ]*\)', CMAKE, re.IGNORECASE | re.MULTILINE)
    assert len(found) == 1, name
    return str(found[0])


def png_size(path: Path) -> tuple[int, int]:
    """Width and height by the header, which tells a PNG from what is only called so."""
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n", path
    width, height = struct.unpack(">II", head[16:24])
    return int(width), int(height)


def own_file(url: str) -> Path:
    """The file of this repository that a raw URL names."""
    parts = urllib.parse.urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("https", "raw.githubusercontent.com"), url
    owner, repository, revision, path = parts.path.lstrip("/").split("/", 3)
    home = urllib.parse.urlsplit(ENTRY["scm_url"]).path.lstrip("/").removesuffix(".git")
    assert (f"{owner}/{repository}", revision) == (home, ENTRY["scm_revision"]), url
    return ROOT / path


def test_description_file_fits_the_schema() -> None:
    assert {"$schema", "category", "scm_url"} <= set(ENTRY) <= set(FIELDS)
    assert all(type(value) is FIELDS[name] for name, value in ENTRY.items())
    assert all(isinstance(name, str) for name in ENTRY["build_dependencies"])
    assert 1 <= ENTRY["tier"] <= 5
    assert ENTRY["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.2.json#")
    text = (ROOT / f"{NAME}.json").read_bytes()
    assert b"\r" not in text
    assert text.endswith(b"\n")


def test_names() -> None:
    assert not NAME.lower().startswith("slicer")
    assert re.findall(r"project\s*\(\s*([^\s\)]+)", CMAKE) == [NAME]
    repository = urllib.parse.urlsplit(ENTRY["scm_url"]).path.split("/")[-1]
    assert repository == f"Slicer{NAME}.git"
    assert urllib.parse.urlsplit(ENTRY["scm_url"]).scheme in {"git", "https"}


def test_category_is_known_and_the_same_everywhere() -> None:
    assert ENTRY["category"] in KNOWN_CATEGORIES
    assert cmake_value("EXTENSION_CATEGORY") == ENTRY["category"]


def test_icon_and_screenshots_are_pictures_of_this_repository() -> None:
    assert png_size(own_file(cmake_value("EXTENSION_ICONURL"))) == (128, 128)
    screenshots = cmake_value("EXTENSION_SCREENSHOTURLS").split()
    assert screenshots
    for url in screenshots:
        width, height = png_size(own_file(url))
        assert min(width, height) >= 300


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_an_icon_of_its_own(module: str) -> None:
    icons = {name: EXTENSION / name / "Resources" / "Icons" / f"{name}.png" for name in MODULES}
    assert png_size(icons[module]) == (128, 128)
    others = [icon.read_bytes() for name, icon in icons.items() if name != module]
    assert icons[module].read_bytes() not in others


def test_homepage_tells_what_it_has_to() -> None:
    page = (ROOT / "README.md").read_text()
    assert NAME in page
    assert re.search(r"!\[[^\]]+\]\(docs/images/[^)]+\.png\)", page)
    assert "Apache" in page
    for module in MODULES:
        title = re.findall(r'title = _\("([^"]+)"\)', (EXTENSION / module / f"{module}.py").read_text())
        assert f"*{title[0]}*" in page, f"the homepage has no sentence on the module {title}"


def test_description_is_short_and_says_that_it_is_research() -> None:
    text = cmake_value("EXTENSION_DESCRIPTION")
    assert "research" in text
    assert len(text) < 400
    assert "${" not in text + cmake_value("EXTENSION_HOMEPAGE")


def test_licence_lies_in_the_root() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_repository_is_small_enough() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=False, capture_output=True, timeout=60)
    if listed.returncode:
        pytest.skip("this is no git repository")
    names = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    assert sum(path.stat().st_size for path in names if path.is_file()) < LIMIT_MB * 1e6
