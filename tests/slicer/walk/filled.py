"""Panels with results that were made by hand, one of each kind, and what can be seen of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import slicer
from saliency_scenes import GRIDS, add_volume, scan
from slicer_double.helpers import render_all

RAS = GRIDS["RAS"]
HELD_BACK = ("Undo",)
"""Lines that are about this session, not about what is in the scene."""


def _image() -> Any:
    node = add_volume(slicer.mrmlScene, scan(*RAS), RAS[0], "FLAIR")
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


def fill_saliency(panel: Any) -> None:
    """The prediction of a volume, explained."""
    from saliency_scenes import explanation, prepared

    panel.show(panel.logic.load(prepared(explanation(scan(*RAS), RAS[0])), _image()))


def fill_review(panel: Any) -> None:
    """An image of a worklist with its maps."""
    import test_review_logic

    test_review_logic.opened(panel.logic)
    panel.restore()


def fill_counterfactual(panel: Any) -> None:
    """Two counterfactuals of a volume."""
    from changes_by_hand import prepared

    panel.show(panel.logic.load(prepared(*RAS), _image()))


def fill_property(panel: Any) -> None:
    """A ranking and a walk."""
    from walks_by_hand import RANKED, prepared

    image = _image()
    panel.logic.load(prepared(*RAS, names=RANKED), image)
    panel.show(panel.logic.load(prepared(*RAS), image))


def fill_shift(panel: Any) -> None:
    """An attribution with an opened case."""
    import test_shift_logic
    from made_by_hand import document

    node = panel.logic.add(document())
    segmentation = panel.logic.open(node, test_shift_logic.prepared())
    panel.logic.predict(segmentation, test_shift_logic.prediction())
    panel.show(node)


def fill_cohort(panel: Any) -> None:
    """A case of three raters."""
    import test_cohort_logic

    node = panel.logic.load_case(test_cohort_logic.by_hand())
    panel.opener.measure(node)


def fill_methods(panel: Any) -> None:
    """The result of a method that has no panel of its own."""
    import test_methods_results

    panel.show(panel.logic.load(test_methods_results.prepared(), _image()))


FILLS: dict[str, Callable[[Any], None]] = {
    "XAISaliency": fill_saliency,
    "XAIReview": fill_review,
    "XAICounterfactual": fill_counterfactual,
    "XAIProperty": fill_property,
    "XAIShift": fill_shift,
    "XAICohort": fill_cohort,
    "XAIMethods": fill_methods,
}
"""By the panel."""


BESIDE: dict[str, dict[str, Any]] = {
    "XAICohort": {"side": True},
    "XAIReview": {"mode": "side"},
    "XAICounterfactual": {"mode": "side"},
    "XAIProperty": {"mode": "side"},
}
"""How a panel that has a layout of its own is told to show it, by the panel: what changes of its `Drawing`."""


def lay_beside(name: str, panel: Any) -> None:
    """Show what a panel shows in its own layout, with the views beside each other."""
    panel.logic.parameters().drawing = replace(panel.logic.parameters().drawing, **BESIDE[name])
    panel.restore()


def views_of(scene: Any) -> dict[str, Any]:
    """The layout, and what each slice view of it shows, where, and how large."""
    from XAIPanels.nodes import nodes_of_class

    layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    composites = {node.GetLayoutName(): node for node in nodes_of_class(scene, "vtkMRMLSliceCompositeNode")}
    views = {}
    for node in nodes_of_class(scene, "vtkMRMLSliceNode"):
        if node.IsMappedInLayout():
            name = node.GetLayoutName()
            volumes = (composites[name].GetBackgroundVolumeID(), composites[name].GetForegroundVolumeID())
            views[name] = {
                "label": node.GetLayoutLabel(),
                "orientation": node.GetOrientation(),
                "place": [round(node.GetSliceToRAS().GetElement(row, 3), 2) for row in range(3)],
                "size": [round(size, 2) for size in node.GetFieldOfView()[:2]],
                "volumes": [scene.GetNodeByID(one).GetName() if one else None for one in volumes],
                "opacity": round(composites[name].GetForegroundOpacity(), 3),
            }
    return {"layout": layout.GetViewArrangement(), "views": views}


def looked_at(user: Any) -> tuple[str, np.ndarray]:
    """The words of a panel's results, and the picture of all views once nothing happens any more."""
    opener = getattr(user.panel, "opener", None)
    user.waits(lambda: not getattr(opener, "measuring", False))
    for _ in range(5):
        user.app.processEvents()
    lines = [line for line in user.sees().splitlines() if line not in HELD_BACK]
    return "\n".join(lines), render_all(user.app)


def read_bundle(path: Path) -> None:
    """Load a scene bundle in place of the scene, as Slicer's dialog does."""
    scene = slicer.mrmlScene
    cache = slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(str(path.parent / "cache"))
    manager = slicer.vtkDataIOManager()
    manager.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(manager)
    assert scene.ReadFromMRB(str(path), True)
    scene.SetDataIOManager(None)
    scene.SetCacheManager(None)
