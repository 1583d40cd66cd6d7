"""What was drawn on one patient is not seen over another one, whichever panel shows the other image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import slicer
from saliency_scenes import GRIDS, add_volume, explanation, prepared, scan
from XAICohortLib import prepared as cohort_case
from XAICohortLib.logic import CohortLogic
from XAICohortLib.parameters import Drawing
from XAILib.nrrd import Volume
from XAIReviewLib.logic import ReviewLogic
from XAIReviewLib.opened import Origin
from XAIReviewLib.prepared import image_of
from XAISaliencyLib.logic import SaliencyLogic
from XAIShiftLib.logic import ShiftLogic
from XAIShiftLib.prepared import PreparedCase

AFFINE, SHAPE = GRIDS["RAS"]
MASK = Volume((scan(AFFINE, SHAPE) > 0).astype(np.uint8), AFFINE)


@pytest.fixture
def logics(slicer_app: Any) -> Iterator[Any]:
    """Of MSSEG Cohort, with a case and its map of agreement, and of Saliency, with a result of its FLAIR."""
    cohort, saliency = CohortLogic(), SaliencyLogic()
    image = Volume(scan(AFFINE, SHAPE), AFFINE)
    origin = cohort_case.Origin("folder", "mine", "01_02")
    node = cohort.load_case(cohort_case.prepared(origin, {"FLAIR": image, "T1": image}, {"1": MASK}, {}))
    cohort.agreement_map(node)
    cohort.parameters().drawing = Drawing(side=False, agreement=True)
    flair = cohort.case(node).images["FLAIR"]
    saliency.show(saliency.load(prepared(explanation(image.array, AFFINE)), flair))
    cohort.draw()
    yield cohort, saliency
    cohort.close()
    saliency.close()


def drawn(logics: Any) -> list[bool]:
    """Whether the rater's and the lesions' outlines, the saliency map and the map of agreement are in the views."""
    cohort, saliency = logics
    case, result = cohort.case(cohort.results()[0]), saliency.result(saliency.results()[0])
    views = list(slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"))
    maps = [view.GetForegroundVolumeID() == result.saliency.GetID() for view in views]
    votes = [view.GetLabelVolumeID() == case.votes.GetID() for view in views]
    outlines = [bool(node.GetDisplayVisibility()) for node in (case.masks, result.outlines)]
    return [*outlines, any(maps), any(votes)]


def by_worklist() -> Any:
    logic = ReviewLogic()
    logic.open(Origin("http://here", "p02", "d"), image_of(Volume(np.full(SHAPE, 100, np.int16), AFFINE)))
    return logic


def by_shift() -> Any:
    from made_by_hand import document

    logic = ShiftLogic()
    case = PreparedCase("03_01", "FLAIR", Volume(scan(AFFINE, SHAPE), AFFINE), {"3": MASK, "5": MASK}, None)
    logic.open(logic.add(document()), case)
    return logic


def by_loading() -> Any:
    other = add_volume(slicer.mrmlScene, scan(AFFINE, SHAPE), AFFINE, "another patient")
    slicer.util.setSliceViewerLayers(background=other)


@pytest.mark.parametrize("other", [by_worklist, by_shift, by_loading])
def test_another_patient(logics: Any, other: Any) -> None:
    assert drawn(logics) == [True] * 4
    logic = other()
    assert drawn(logics) == [False] * 4
    flair = logics[1].result(logics[1].results()[0]).source
    slicer.util.setSliceViewerLayers(background=flair)
    assert drawn(logics) == [True] * 4
    if logic is not None:
        theirs = [node for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if "03_01" in node.GetName()]
        assert not any(node.GetDisplayVisibility() for node in theirs)
        logic.close()


def test_another_modality_of_the_same_patient(logics: Any) -> None:
    cohort, _saliency = logics
    slicer.util.setSliceViewerLayers(background=cohort.case(cohort.results()[0]).images["T1"])
    assert drawn(logics) == [True] * 4


def test_one_view_with_another_patient_is_enough(logics: Any) -> None:
    other = add_volume(slicer.mrmlScene, scan(AFFINE, SHAPE), AFFINE, "another patient")
    view = next(iter(slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")))
    view.SetBackgroundVolumeID(other.GetID())
    assert drawn(logics)[:2] == [False, False]


def test_views_beside_each_other_are_of_this_module_only(logics: Any) -> None:
    cohort, _saliency = logics
    manager = slicer.app.layoutManager()
    before = manager.layout
    cohort.parameters().drawing = Drawing(side=True)
    cohort.draw()
    beside = manager.layout
    assert beside != before
    cohort.look_away()
    assert manager.layout == before
    cohort.draw()  # a case has come meanwhile, or a scene
    assert manager.layout == before
    by_loading()
    cohort.look_back()
    assert manager.layout == beside
    images = [image.GetID() for image in cohort.case(cohort.results()[0]).images.values()]
    views = [manager.sliceWidget(f"Cohort{number}").mrmlSliceCompositeNode() for number in (1, 2)]
    assert [view.GetBackgroundVolumeID() for view in views] == images


@pytest.mark.parametrize("side", [False, True])
def test_the_slice_stays_when_a_scene_was_loaded(logics: Any, side: bool) -> None:
    cohort, _saliency = logics
    cohort.parameters().drawing = Drawing(side=side)
    cohort.draw()
    view = slicer.app.layoutManager().sliceWidget("Cohort1" if side else "Red").mrmlSliceNode()
    cohort.jump_to((1.0, 2.0, 7.0))
    fields = [*view.GetFieldOfView()]
    again = CohortLogic()  # who knows nothing of what was drawn before
    again.draw()
    assert view.GetSliceToRAS().GetElement(2, 3) == pytest.approx(7.0, abs=1.0)
    assert [*view.GetFieldOfView()] == pytest.approx(fields)
    again.hide()
    assert slicer.app.layoutManager().layout < 100  # one of Slicer's own
    again.close()
