"""Slicer module “Counterfactuals & Interventions”: what would have to change for the model to decide otherwise."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Installed, what the modules share lies beside this file, which Slicer's module path covers. In a source tree it has
# folders of its own.
if not (Path(__file__).parent / "XAILib").is_dir():
    extension = Path(__file__).parents[1]
    sys.path += [str(path) for path in (extension, extension / "XAIProperty") if str(path) not in sys.path]

from slicer.i18n import tr as _
from XAIPanels import self_test
from XAIPanels.module import PanelModule, PanelWidget
from XAIPanels.tabs import Tab, Tabs
from XAIPanels.words import RESEARCH_USE


class XAICounterfactual(PanelModule):
    """What Slicer shows of the module in its menus."""

    title = _("Counterfactuals & Interventions")
    dependencies = ("Segmentations", "Volumes", "Markups", "Sequences")
    text = _("""
<b>Counterfactuals</b> asks an explanation server for the smallest change of an image that would have made a model
decide otherwise, shows whether that change lies inside the lesion, and has the model retrained so that it does. <b>What
if?</b> asks what the model would predict if this very image had another contrast, more noise, thicker slices, fewer
lesions …, shows image and prediction at every step of the way, and says whether the prediction depends on it.
<b>{research_use}</b>
""").format(research_use=RESEARCH_USE)


class XAICounterfactualWidget(PanelWidget):
    """The module's panels."""

    def make_panel(self) -> Any:
        hint = _("The smallest change of the image that would have made the model decide otherwise.")
        form = self.form("XAICounterfactual")
        change = Tab(_("Counterfactuals"), hint, ("counterfactual",), _counterfactual, form)
        hint = _("What the model would predict if this image had another contrast, more noise, fewer lesions …")
        form = self.form("XAIProperty")
        what_if = Tab(_("What if?"), hint, ("property",), _property, form)
        return Tabs([change, what_if])


def _counterfactual() -> Iterator[Any]:
    import XAICounterfactualLib.logic

    yield XAICounterfactualLib.logic
    import XAICounterfactualLib.result_section

    yield XAICounterfactualLib.result_section
    from XAICounterfactualLib.widget import CounterfactualPanel

    yield CounterfactualPanel


def _property() -> Iterator[Any]:
    import XAIPropertyLib.logic

    yield XAIPropertyLib.logic
    import XAIPropertyLib.result_section

    yield XAIPropertyLib.result_section
    from XAIPropertyLib.widget import PropertyPanel

    yield PropertyPanel


class XAICounterfactualTest(self_test.PanelTest):
    """The module's self test."""
