"""Every property on a real scan: what must stay stays, and removed lesions are gone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from slicerxai.data.io import read_volume
from slicerxai.data.volume import Volume
from slicerxai.interventions.acquisition import head_median
from slicerxai.interventions.catalogue import find_property, usable_properties
from slicerxai.interventions.lesion_scene import lesion_scene
from slicerxai.interventions.path import gradual_path
from slicerxai.interventions.property import Scan

FOLDER = Path(os.environ.get("SLICERXAI_REAL_DATA", Path(__file__).parents[5] / "shared" / "data")) / "open_ms"
pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def real() -> Scan:
    patient = FOLDER / "patient07"
    if not (patient / "FLAIR.nii.gz").is_file():
        pytest.skip(f"no real scan in {patient}")
    return Scan({"FLAIR": slab(patient / "FLAIR.nii.gz")}, slab(patient / "lesions.nii.gz"))


def slab(path: Path) -> Volume:
    """Forty slices through the ventricles."""
    volume = read_volume(path)
    affine = volume.affine.copy()
    affine[:3, 3] += volume.affine[:3, 2] * 80
    return Volume(volume.array[:, :, 80:120], affine)


def test_every_property_changes_the_head_alone(real: Scan) -> None:
    usable, reasons = usable_properties(real)
    assert set(reasons) == {"colour_patch", "recorded"}
    source = real.reference.array
    median = head_median(source)
    for one in usable:
        path = gradual_path(one, real, steps=2)
        realised = path[len(path) - 1]["FLAIR"].array
        np.testing.assert_array_equal(realised != 0, source != 0, err_msg=one.info.name)
        assert np.isfinite(realised).all()
        assert not np.array_equal(realised, source)
        if one.info.kind != "control":
            assert head_median(realised) == pytest.approx(median, rel=0.05), one.info.name


def test_removed_lesions_are_as_bright_as_the_white_matter_about_them(real: Scan) -> None:
    scene = lesion_scene(real)
    realised = find_property("lesion_load").realise(real, 0.0)["FLAIR"].array[scene.box]
    before, inside = scene.images[0], scene.depth > 0
    ring = (scene.depth < -3) & (scene.depth > -6) & scene.white.mask
    texture = before[ring].std()
    assert before[inside].mean() - before[ring].mean() > 2 * texture
    assert abs(realised[inside].mean() - realised[ring].mean()) < 0.5 * texture
    assert realised[inside].std() == pytest.approx(texture, rel=0.6)
    far = ndimage.binary_dilation(inside, iterations=6)
    np.testing.assert_array_equal(realised[~far], before[~far])
