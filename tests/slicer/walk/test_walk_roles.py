"""Each role's whole way through the modules, with the real server and the real panels; pictures show the same steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import slicer
from slicer_double.helpers import render_all

from tests.slicer.walk import annotator, radiologist, researcher

WALKS = {"radiologist": radiologist.walk, "researcher": researcher.walk, "annotator": annotator.walk}
STEPS = {
    "radiologist": ["case", "agreement", "ask", "saliency", "lesion", "worklist", "flagged", "correct", "saved"],
    "researcher": ["cohort", "choose", "attribution", "case", "report"],
    "annotator": ["next", "reason", "predict", "draw", "submit"],
}
CHANGED = {
    "radiologist": ["agreement", "saliency", "lesion", "flagged"],
    "researcher": ["case"],
    "annotator": ["reason", "predict", "draw"],
}
"""Steps after which the views show something else than before."""
GUIDE = Path(__file__).parents[3] / "docs" / "guide"


@pytest.mark.parametrize("role", list(WALKS))
def test_walk(desk: Any, site: Any, tmp_path: Path, role: str) -> None:
    before, seen = None, []
    guide = (GUIDE / f"{role}.md").read_text(encoding="utf-8")
    for number, step in enumerate(WALKS[role](desk, site, tmp_path), 1):
        seen.append(step.name)
        views = render_all(desk.app)
        if step.name in CHANGED[role]:
            assert before is not None
            assert views.shape != before.shape or (views != before).any(), f"{step.name} shows nothing new"
        before = views
        picture = f"../images/guide/{role}_{number}_{step.name}.png"
        assert f"![{step.caption}]({picture})" in guide
        assert (GUIDE / picture).is_file()
    assert seen == STEPS[role]
    assert slicer.app.recorded.messages == []
