"""Slicer module “Saliency & Review”: which voxels made a model call this a lesion, and what should be read again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Installed, what the modules share lies beside this file, which Slicer's module path covers. In a source tree it has
# folders of its own.
if not (Path(__file__).parent / "XAILib").is_dir():
    extension = Path(__file__).parents[1]
    sys.path += [str(path) for path in (extension, extension / "XAIReview") if str(path) not in sys.path]

from slicer.i18n import tr as _
from XAIPanels import self_test
from XAIPanels.module import PanelModule, PanelWidget
from XAIPanels.tabs import Tab, Tabs
from XAIPanels.words import RESEARCH_USE


class XAISaliency(PanelModule):
    """What Slicer shows of the module in its menus."""

    title = _("Saliency & Review")
    dependencies = ("Segmentations", "Volumes", "Markups")
    text = _("""
<b>This image</b> asks an explanation server for the lesions that a model predicts in an image, for the voxels that
made it decide so, and for whether this very explanation can be trusted. <b>Worklist</b> lists the images of a server
with the predictions most likely to be wrong first, each with the maps that made it suspicious, and writes back what the
reader decides: accepted, corrected or wrong. <b>{research_use}</b>
""").format(research_use=RESEARCH_USE)


class XAISaliencyWidget(PanelWidget):
    """The module's panels."""

    def make_panel(self) -> Any:
        hint = _("Which voxels made the model decide so, and whether this explanation can be trusted.")
        form = self.form("XAISaliency")
        image = Tab(_("This image"), hint, ("saliency",), _saliency, form)
        hint = _("Which predictions should be read again, most suspicious first; accept, correct or mark them wrong.")
        form = self.form("XAIReview")
        worklist = Tab(_("Worklist"), hint, ("quality",), _review, form)
        return Tabs([image, worklist])


def _saliency() -> Iterator[Any]:
    import XAISaliencyLib.logic

    yield XAISaliencyLib.logic
    import XAISaliencyLib.result_section

    yield XAISaliencyLib.result_section
    from XAISaliencyLib.widget import SaliencyPanel

    yield SaliencyPanel


def _review() -> Iterator[Any]:
    import XAIReviewLib.logic

    yield XAIReviewLib.logic
    import XAIReviewLib.item_section

    yield XAIReviewLib.item_section
    from XAIReviewLib.widget import ReviewPanel

    yield ReviewPanel


class XAISaliencyTest(self_test.PanelTest):
    """The module's self test."""
