"""The overlay lies on the lesion: in the nodes' own coordinates and in what slice views show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saliency_scenes import (
    GRIDS,
    LANDMARK,
    add_transform,
    add_volume,
    blob,
    centres,
    centroid,
    explanation,
    export,
    half_voxel,
    parse,
    prepared,
    rotation,
    scan,
    segment,
)

from slicerxai.data.io import read_volume
from slicerxai.explain.multipart import encode_folder

NO_TRANSFORM = np.eye(4)
RIGID = np.eye(4)
RIGID[:3, :3] = rotation(1, 25) @ rotation(0, -10)
RIGID[:3, 3] = [4.3, -9.1, 7.7]
STRETCHED = np.diag([1.2, 1.0, 0.9, 1.0])
STRETCHED[:3, 3] = [1.0, 2.0, 3.0]
SHEARED = np.eye(4)
SHEARED[0, 1], SHEARED[1, 2] = 0.2, -0.15
TRANSFORMS = {"none": NO_TRANSFORM, "rigid": RIGID, "stretched": STRETCHED, "sheared": SHEARED}


@pytest.fixture
def logic(slicer_app: Any) -> Any:
    from XAISaliencyLib.logic import SaliencyLogic

    made = SaliencyLogic()
    yield made
    made.close()


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", GRIDS)
def test_landmark(name: str, transform: str, slicer_app: Any, logic: Any, tmp_path: Path) -> None:
    import slicer

    world, shape = GRIDS[name]
    to_world = TRANSFORMS[transform]
    volume = add_volume(slicer.mrmlScene, scan(world, shape), np.linalg.inv(to_world) @ world)
    if transform != "none":
        volume.SetAndObserveTransformNodeID(add_transform(slicer.mrmlScene, to_world).GetID())

    sent = read_volume(export(logic, volume, tmp_path))
    node = logic.load(prepared(explanation(sent.array, sent.affine)), volume)
    logic.show(node)

    result = logic.result(node)
    limit = half_voxel(world)
    from XAIPanels.volumes import affine_of, array_of

    saliency = array_of(result.saliency)
    assert result.saliency.GetParentTransformNode() is None
    assert centroid(np.clip(saliency, 0, None), affine_of(result.saliency)) == pytest.approx(LANDMARK, abs=limit)
    assert centroid(*segment(result.outlines, "lesions")) == pytest.approx(LANDMARK, abs=limit)
    assert logic.lesions(node)[0].centre == pytest.approx(LANDMARK, abs=limit + 0.05)
    for view in slicer_app.layoutManager().sliceViewNames():
        assert shown_at(slicer_app, logic, node, view) == pytest.approx(LANDMARK, abs=limit)


def shown_at(application: Any, logic: Any, node: Any, view: str) -> np.ndarray:
    """RAS of the middle of what the positive part of the map colours in a slice view."""
    from XAIPanels.colours import rgb
    from XAIPanels.map_colours import FOR

    logic.set_threshold(node, 0.5)
    logic.set_opacity(node, 1.0)
    logic.jump_to(tuple(LANDMARK))
    widget = application.layoutManager().sliceWidget(view)
    logic_of_view = widget.sliceLogic()
    pixels = blended(logic_of_view)
    logic.set_opacity(node, 0.0)
    changed = (pixels != blended(logic_of_view)).any(-1)
    warm = changed & (pixels[..., 0].astype(int) > pixels[..., 2])
    assert rgb(FOR[0])[0] > rgb(FOR[0])[2]
    assert warm.sum() > 20
    x, y = np.argwhere(warm).mean(0)
    matrix = widget.mrmlSliceNode().GetXYToRAS()
    return np.array(matrix.MultiplyPoint((x, y, 0, 1))[:3])


def blended(slice_logic: Any) -> np.ndarray:
    """What a slice logic shows, (x, y, RGB)."""
    from vtk.util.numpy_support import vtk_to_numpy

    slice_logic.GetBlend().Update()
    image = slice_logic.GetBlend().GetOutput()
    width, height, _ = image.GetDimensions()
    scalars = vtk_to_numpy(image.GetPointData().GetScalars())
    return scalars.reshape(height, width, -1).transpose(1, 0, 2)[..., :3].copy()


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", GRIDS)
def test_export_places_every_voxel(name: str, transform: str, slicer_app: Any, logic: Any, tmp_path: Path) -> None:
    """A smooth function of the world's coordinates comes out as the same function."""
    import slicer

    world, shape = GRIDS[name]
    to_world = TRANSFORMS[transform]
    volume = add_volume(slicer.mrmlScene, blob(world, shape), np.linalg.inv(to_world) @ world)
    volume.SetAndObserveTransformNodeID(add_transform(slicer.mrmlScene, to_world).GetID())
    sent = read_volume(export(logic, volume, tmp_path))
    axes = sent.affine[:3, :3] / np.linalg.norm(sent.affine[:3, :3], axis=0)
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-4)
    if transform in ("none", "rigid"):  # nothing to resample
        assert np.array_equal(sent.array, blob(world, shape))
        assert sent.affine == pytest.approx(world, abs=1e-9)
    else:
        inner = (slice(2, -2),) * 3
        expected = blob(sent.affine, sent.array.shape)[inner]
        assert np.abs(sent.array[inner] - expected).max() < 0.25  # linear interpolation of a cone of half-width 10 mm
        assert np.abs(sent.array[inner] - expected).mean() < 0.01


@pytest.mark.parametrize("name", GRIDS)
def test_straightened_grid_covers_the_volume(name: str, slicer_app: Any, logic: Any, tmp_path: Path) -> None:
    import slicer

    world, shape = GRIDS[name]
    volume = add_volume(slicer.mrmlScene, np.ones(shape, np.float32), world)
    volume.SetAndObserveTransformNodeID(add_transform(slicer.mrmlScene, SHEARED).GetID())
    sent = read_volume(export(logic, volume, tmp_path))
    corners = centres(SHEARED @ world, shape)[:, :: shape[0] - 1, :: shape[1] - 1, :: shape[2] - 1].reshape(3, -1)
    inverse = np.linalg.inv(sent.affine)
    index = inverse[:3, :3] @ corners + inverse[:3, 3:]
    assert index.min() >= -0.5
    assert (index.max(1) <= np.array(sent.array.shape) - 0.5).all()
    assert np.sign(np.linalg.det(sent.affine)) == np.sign(np.linalg.det(world))
    volumes = [abs(np.linalg.det(affine[:3, :3])) for affine in (sent.affine, SHEARED @ world)]
    assert volumes[0] == pytest.approx(volumes[1], rel=0.15)


def test_same_as_the_command_line(
    slicer_app: Any, logic: Any, tiny_home: Path, oblique_scan: Path, tmp_path: Path
) -> None:
    """A real result in the scene equals the command line's folder: bit for bit on its grid, and on another one."""
    import slicer
    from XAILib.geometry import resample
    from XAIPanels.volumes import affine_of, array_of
    from XAISaliencyLib.prepared import prepare

    given = read_volume(oblique_scan)
    volume = add_volume(slicer.mrmlScene, given.array, given.affine)
    volume.SetAndObserveTransformNodeID(add_transform(slicer.mrmlScene, RIGID).GetID())
    sent = export(logic, volume, tmp_path, "FLAIR")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "slicerxai.cli.main", "explain", "saliency", "--image", str(sent)]
    environment = {**os.environ, "SLICERXAI_HOME": str(tiny_home), "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--out", str(out)], check=True, env=environment, capture_output=True)

    node = logic.load(prepare(parse(*encode_folder(out))), volume)
    result = logic.result(node)
    saliency, lesions = (read_volume(out / "overlays" / f"{name}.nrrd") for name in ("saliency", "lesions"))
    assert lesions.array.sum() > 20
    found, affine = array_of(result.saliency), affine_of(result.saliency)
    assert np.array_equal(found, saliency.array)
    assert affine == pytest.approx(saliency.affine, abs=1e-9)
    assert affine == pytest.approx(RIGID @ given.affine, abs=1e-6)
    target, shape = GRIDS["anisotropic"]
    ours, theirs = (
        resample(array, place, shape, target) for array, place in ((found, affine), (saliency.array, saliency.affine))
    )
    assert np.abs(theirs).max() > 0
    assert ours == pytest.approx(theirs, abs=1e-6 * np.abs(theirs).max())

    voxels, place = segment(result.outlines, "lesions")
    index = np.argwhere(voxels)
    world = index @ place[:3, :3].T + place[:3, 3]
    expected = np.argwhere(lesions.array) @ lesions.affine[:3, :3].T + lesions.affine[:3, 3]
    assert np.sort(world, axis=0) == pytest.approx(np.sort(expected, axis=0), abs=1e-6)
    assert [lesion.number for lesion in logic.lesions(node)] == list(range(1, len(logic.lesions(node)) + 1))
    for lesion in logic.lesions(node):
        assert np.linalg.norm(world - lesion.centre, axis=1).min() < 5
