"""What an administrator reads is complete, and what it points to is there."""

import re
from pathlib import Path

import pytest

from slicerxai.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "SECURITY.md",
    *(f"docs/{name}.md" for name in ("server", "operations", "security", "reliability", "dicom")),
]
TEXTS = {name: (ROOT / name).read_text() for name in DOCUMENTS}


def anchors(path):
    """As GitHub makes them of headings."""
    headings = re.findall(r"(?m)^#+ (.*)$", path.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", TEXTS[name]):
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


def test_every_setting_is_explained():
    everything = "".join(TEXTS.values())
    assert not [name for name in Settings.model_fields if f"SLICERXAI_{name.upper()}" not in everything]


def test_every_control_has_tests_that_exist():
    rows = re.findall(r"(?m)^\| .* \| .* \| (.*) \|$", TEXTS["SECURITY.md"].partition("## Threats")[2])[2:]
    assert len(rows) > 12
    for row in rows:
        named = re.findall(r"`((?:tests/[\w/]+|test_\w+)(?:\.py)?)`", row)
        assert named or "benchmarks" in row, row
        for name in named:
            path = ROOT / name if "/" in name else ROOT / "tests/core/server" / name
            assert path.exists(), f"{name} in {row}"


def test_no_document_speaks_of_what_is_not_here():
    figures = set(re.findall(r"`(slicerxai_\w+)`", TEXTS["docs/operations.md"]))
    code = (ROOT / "core/slicerxai/server/metrics.py").read_text()
    assert len(figures) > 8
    assert not [name for name in figures if f'"{name.removesuffix("_total")}"' not in code]
