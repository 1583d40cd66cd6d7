"""Colours, threshold and opacity of a map, in what slice views really show."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from saliency_scenes import GRIDS, LANDMARK, add_volume, explanation, prepared, scan

COLOUR_VISION = {  # Machado, Oliveira and Fernandes 2009, severity 1, for linear RGB
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
GREYS = ("#707070", "#999999", "#c8c8c8", "#f2f2f2")
"""From white matter to a bright lesion."""


@pytest.fixture
def shown(slicer_app: Any) -> Any:
    """Logic, result node, application."""
    import slicer
    from XAISaliencyLib.logic import SaliencyLogic

    affine, shape = GRIDS["oblique"]
    volume = add_volume(slicer.mrmlScene, scan(affine, shape), affine)
    logic = SaliencyLogic()
    node = logic.load(prepared(explanation(volume_array(volume), affine)), volume)
    logic.show(node)
    slicer_app.layoutManager().resetSliceViews()
    logic.jump_to(tuple(LANDMARK))
    yield logic, node, slicer_app
    logic.close()


def volume_array(volume: Any) -> np.ndarray:
    from XAIPanels.volumes import array_of

    return array_of(volume)


def pixels(application: Any) -> np.ndarray:
    """The three slice views, (3, height, width, RGB)."""
    views = [application.layoutManager().sliceWidget(name).sliceView() for name in ("Red", "Green", "Yellow")]
    return np.stack([view.pixels() for view in views]).astype(int)


def without_outlines(logic: Any, node: Any) -> None:
    logic.result(node).outlines.SetDisplayVisibility(False)


@pytest.mark.parametrize("threshold", [0.0, 0.15, 0.5, 0.9])
@pytest.mark.parametrize("opacity", [0.3, 1.0])
def test_anatomy_is_unchanged_below_the_threshold(shown: Any, threshold: float, opacity: float) -> None:
    """Pixel by pixel: coloured where |value| is above the threshold, the very same grey where it is below."""
    from XAIPanels.map_display import scale_of

    logic, node, application = shown
    without_outlines(logic, node)
    logic.set_opacity(node, 0.0)
    anatomy = pixels(application)
    logic.set_threshold(node, threshold)
    logic.set_opacity(node, opacity)
    seen = pixels(application)
    fraction = np.abs(shown_values(application)) / scale_of(logic.result(node).saliency)
    below, above = fraction < max(threshold, 0.004) - 0.006, fraction > max(threshold, 0.01) + 0.006
    assert below.sum() > 50_000 or threshold == 0.0
    assert above.sum() > 100
    assert np.array_equal(seen[below], anatomy[below])
    assert np.array_equal(seen[fraction == 0], anatomy[fraction == 0])
    changed = (seen != anatomy).any(-1)
    assert changed[above].mean() > 0.99
    colourful = np.ptp(seen, axis=-1)[above]
    assert colourful.min() > 15


def shown_values(application: Any) -> np.ndarray:
    """The map's values in the three slice views, top row first, from the volume by its affine: an own calculation."""
    import slicer
    from scipy.ndimage import map_coordinates
    from XAIPanels.volumes import affine_of, array_of, from_matrix

    (volume,) = [
        node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if "saliency" in node.GetName()
    ]
    values = []
    for name in ("Red", "Green", "Yellow"):
        node = application.layoutManager().sliceWidget(name).mrmlSliceNode()
        width, height, _ = node.GetDimensions()
        to_index = np.linalg.inv(affine_of(volume)) @ from_matrix(node.GetXYToRAS())
        x, y = np.meshgrid(np.arange(width), np.arange(height)[::-1])
        index = np.einsum("rc,chw->rhw", to_index[:3, :2], np.stack([x, y])) + to_index[:3, 3, None, None]
        values.append(map_coordinates(array_of(volume), index, order=1, mode="constant"))
    return np.stack(values)


def test_signs_have_their_hues(shown: Any) -> None:
    logic, node, application = shown
    without_outlines(logic, node)
    logic.set_threshold(node, 0.3)
    logic.set_opacity(node, 1.0)
    seen, values = pixels(application), shown_values(application)
    strong = np.abs(values) > 0.4 * values.max()
    positive, negative = strong & (values > 0), strong & (values < 0)
    assert (seen[positive][:, 0] > seen[positive][:, 2] + 40).all()
    assert (seen[negative][:, 2] > seen[negative][:, 0] + 40).all()


def test_opacity_mixes_with_the_anatomy(shown: Any) -> None:
    logic, node, application = shown
    without_outlines(logic, node)
    logic.set_threshold(node, 0.3)
    shots = {}
    for opacity in (0.0, 0.5, 1.0):
        logic.set_opacity(node, opacity)
        shots[opacity] = pixels(application)
    assert np.abs(shots[0.5] - (shots[0.0] + shots[1.0]) / 2).max() <= 2


def test_hide_gives_back_the_views(shown: Any) -> None:
    import slicer

    logic, node, application = shown
    other = add_volume(slicer.mrmlScene, scan(*GRIDS["RAS"]), GRIDS["RAS"][0], "T1")
    logic.hide()
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    assert [composite.GetForegroundVolumeID() for composite in composites] == [None] * 3
    for composite in composites:
        composite.SetForegroundVolumeID(other.GetID())
        composite.SetForegroundOpacity(0.25)
        composite.SetCompositing(slicer.vtkMRMLSliceCompositeNode.Add)
    before = pixels(application)
    logic.show(node)
    assert {composite.GetCompositing() for composite in composites} == {slicer.vtkMRMLSliceCompositeNode.Alpha}
    assert (pixels(application) != before).any()
    logic.show(node)
    logic.hide()
    assert np.array_equal(pixels(application), before)
    assert {composite.GetForegroundVolumeID() for composite in composites} == {other.GetID()}
    assert logic.parameters().shown is None


def test_outline_is_around_the_lesion(shown: Any) -> None:
    from XAIPanels.colours import LESIONS, rgb

    logic, node, application = shown
    logic.set_opacity(node, 0.0)
    colour = np.array(rgb(LESIONS)) * 255
    for view, name in zip(pixels(application), ("Red", "Green", "Yellow"), strict=True):
        rows, columns = np.nonzero(np.abs(view - colour).max(-1) < 40)
        assert rows.size > 10
        matrix = application.layoutManager().sliceWidget(name).mrmlSliceNode().GetXYToRAS()
        middle = matrix.MultiplyPoint((columns.mean(), view.shape[0] - 1 - rows.mean(), 0, 1))[:3]
        assert middle == pytest.approx(LANDMARK, abs=1.0)


def test_strong_values_saturate_as_in_the_report() -> None:
    from XAIPanels.map_colours import saturation

    from slicerxai.explain import colours

    rng = np.random.default_rng(0)
    for array in (rng.normal(size=(9, 8, 7)) ** 3, np.zeros((3, 3, 3)), -np.ones((2, 2, 2))):
        assert saturation(array) == colours.saturation(array)


def test_table_is_symmetric_and_never_draws_zero() -> None:
    from XAIPanels.map_colours import table

    for threshold in (0.0, 0.2, 1.0):
        alpha = table(threshold)[:, 3]
        assert np.array_equal(alpha, alpha[::-1])
        assert set(alpha) == {0.0, 1.0}
        assert not alpha[127:129].any()
    assert table(0.0)[:, 3].sum() == 254


@pytest.mark.parametrize("vision", COLOUR_VISION)
def test_colours_differ_for_colour_blind_readers(vision: str) -> None:
    """CIE76 distances after simulated colour blindness; 2.3 is just noticeable, 20 is plain at a glance."""
    from XAIPanels.colours import EXPLAINED, LESIONS
    from XAIPanels.map_colours import AGAINST, FOR

    def distance(first: str, second: str) -> float:
        return float(np.linalg.norm(lab(first, vision) - lab(second, vision)))

    assert min(distance(a, b) for a in FOR for b in AGAINST) > 60
    assert min(distance(colour, grey) for colour in FOR + AGAINST for grey in GREYS) > 20
    for colour in (LESIONS, EXPLAINED):
        assert min(distance(colour, other) for other in FOR + AGAINST + GREYS) > 20
    assert distance(LESIONS, EXPLAINED) > 20
    for side in (FOR, AGAINST):
        assert min(distance(a, b) for a, b in combinations(side, 2)) > 10
        light = [lab(colour, vision)[0] for colour in side]
        assert light == sorted(light)


def lab(colour: str, vision: str) -> np.ndarray:
    """CIELAB (D65) of a colour as somebody sees it."""
    from XAIPanels.colours import rgb

    srgb = np.array(rgb(colour))
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(COLOUR_VISION[vision]) @ linear, 0, 1)
    to_xyz = np.array([[0.41246, 0.35758, 0.18044], [0.21267, 0.71515, 0.07218], [0.01933, 0.11919, 0.95030]])
    ratio = to_xyz @ linear / [0.95047, 1, 1.08883]
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
