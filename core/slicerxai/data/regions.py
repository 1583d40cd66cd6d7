"""McDonald region of each lesion of a patient, from its mask and images.

The template that nilearn ships (see `slicerxai.data.phantom.atlas`) is brought onto the patient by an affine
registration. It says what lies below the tentorium, and roughly where ventricles and cortex are; where exactly they
are in this patient, the fluid and, on T1, the grey matter of the images say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from scipy import ndimage

from slicerxai.data.lesions import label_lesions
from slicerxai.data.phantom.anatomy import infratentorial
from slicerxai.data.phantom.atlas import Atlas, load_atlas
from slicerxai.data.phantom.lesions import REGIONS, region_of
from slicerxai.data.resample import resample
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError

WORKING_MM = 2.0
"""Voxel edge of the grid on which regions are found; that of the template used."""
ISLAND_MM3 = 300.0
"""Grey matter in one piece up to this size is no cortex."""
FLIP_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""SimpleITK's world runs to the left and to the back."""


@dataclass(frozen=True)
class LesionRegion:
    """One lesion: its number as in `label_lesions`, region label (see `REGIONS`) and volume in ml."""

    number: int
    region: int
    volume_ml: float


@dataclass(frozen=True)
class PatientRegions:
    """Regions of a patient's lesions.

    Attributes:
        labels: uint8 on the grid of the mask, region label inside lesions (see `REGIONS`), else 0.
        lesions: one record per lesion.
    """

    labels: Volume
    lesions: tuple[LesionRegion, ...]

    def volumes_ml(self) -> dict[str, float]:
        """Lesion volume of each region by the name of its metadata column, such as "juxtacortical_ml"."""
        return {
            column(label): round(sum(one.volume_ml for one in self.lesions if one.region == label), 3)
            for label in REGIONS
        }


def column(label: int) -> str:
    """Name of the metadata column with a region's lesion volume, ml."""
    return f"{REGIONS[label].replace(' ', '_')}_ml"


def patient_regions(mask: Volume, images: Mapping[str, Volume]) -> PatientRegions:
    """Find the region of every lesion.

    Args:
        mask: not zero in lesions.
        images: skull-stripped, zero outside the brain; T1 is used where there is one, else FLAIR.

    Raises:
        InputError: neither T1 nor FLAIR, or an image without contrast.
    """
    name = next((key for key in ("T1", "FLAIR") if key in images), None)
    if name is None:
        msg = f"regions need T1 or FLAIR, got {', '.join(sorted(images)) or 'no image'}"
        raise InputError(msg)
    atlas = load_atlas(WORKING_MM)
    affine, shape = _grid(images[name])
    image = np.asarray(resample(_float(images[name]), affine, shape).array, dtype=np.float32)
    if not np.ptp(image) > 0:
        msg = f"{name} has no contrast, so the template cannot be brought onto it"
        raise InputError(msg)
    to_template = _registered(image, affine, atlas)
    numbered = label_lesions(mask, None, minimum_mm3=0)
    maps = _Maps(image, affine, atlas, to_template, grey=name == "T1", lesions=_on_grid(mask, affine, shape))
    count = int(np.asarray(numbered.array, dtype=np.int64).max(initial=0))
    lesions = tuple(_lesion(n, numbered, maps) for n in range(1, count + 1))
    table = np.array([0, *[one.region for one in lesions]], dtype=np.uint8)
    return PatientRegions(numbered.with_array(table[numbered.array]), lesions)


def _float(volume: Volume) -> Volume:
    return volume.with_array(volume.array.astype(np.float32))


def _grid(image: Volume) -> tuple[NDArray[np.float64], tuple[int, int, int]]:
    """Affine and shape of a grid along the world's axes around the image's corners."""
    corners = np.stack(np.meshgrid(*([0, n - 1] for n in image.shape), [1], indexing="ij")).reshape(4, -1)
    world = (image.affine @ corners)[:3]
    low, high = world.min(axis=1), world.max(axis=1)
    i, j, k = (int(n) for n in np.ceil((high - low) / WORKING_MM) + 1)
    affine = np.diag([WORKING_MM, WORKING_MM, WORKING_MM, 1.0])
    affine[:3, 3] = low
    return affine, (i, j, k)


def _on_grid(mask: Volume, affine: NDArray[np.float64], shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    share = resample(mask.with_array((mask.array != 0).astype(np.float32)), affine, shape).array
    return np.greater(share, 0.25)


def _itk(array: NDArray[np.generic], affine: NDArray[np.float64]) -> sitk.Image:
    """An array on an unrotated grid as SimpleITK has it."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)).astype(np.float32))
    world = FLIP_LPS @ affine
    step = np.linalg.norm(world[:3, :3], axis=0)
    image.SetSpacing(step.tolist())
    image.SetDirection((world[:3, :3] / step).ravel().tolist())
    image.SetOrigin(world[:3, 3].tolist())
    return image


def _registered(image: NDArray[np.float32], affine: NDArray[np.float64], atlas: Atlas) -> NDArray[np.float64]:
    """Affine map (4, 4) from the patient's world to the template's, both RAS mm.

    Mattes' mutual information at 8, 4 and 2 mm, started where the centres of mass meet; the same images give the same
    map.
    """
    fixed, moving = _itk(image, affine), _itk(atlas.maps["t1"], atlas.affine)
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.25)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-3, numberOfIterations=100, relaxationFactor=0.6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4.0, 2.0, 0.0])
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
    method.SetNumberOfThreads(1)
    method.SetInitialTransform(start, inPlace=True)
    method.Execute(fixed, moving)
    found = np.eye(4)
    for axis in range(3):
        unit = np.eye(3)[axis].tolist()
        found[:3, axis] = np.subtract(start.TransformPoint(unit), start.TransformPoint([0.0, 0.0, 0.0]))
    found[:3, 3] = start.TransformPoint([0.0, 0.0, 0.0])
    return FLIP_LPS @ found @ FLIP_LPS


class _Maps:
    """Where ventricles, cortex and the posterior fossa of a patient are, on the working grid."""

    def __init__(
        self,
        image: NDArray[np.float32],
        affine: NDArray[np.float64],
        atlas: Atlas,
        to_template: NDArray[np.float64],
        *,
        grey: bool,
        lesions: NDArray[np.bool_],
    ) -> None:
        self.affine = affine
        i, j, k = image.shape
        index = np.stack(np.meshgrid(np.arange(i), np.arange(j), np.arange(k), indexing="ij"))
        world = np.tensordot(to_template @ affine, np.concatenate([index, np.ones((1, i, j, k))]), axes=1)
        position = world[:3].astype(np.float32)
        places = np.tensordot(np.linalg.inv(atlas.affine)[:3], world, axes=1)

        def sampled(name: str, fill: float) -> NDArray[np.float32]:
            return ndimage.map_coordinates(atlas.maps[name], places, order=1, cval=fill)

        brain = image > 0
        self.infratentorial = brain & infratentorial(position)
        scale = abs(np.linalg.det(to_template[:3, :3])) ** (1 / 3)
        template_ventricle, template_cortical = sampled("ventricle", 99.0), sampled("cortical", 0.0)
        nuclei = sampled("nuclei", 0.0) > 0.02
        fluid_below, grey_below = _tissue_limits(image[brain & ~lesions])
        fluid = brain & (image < fluid_below) & ~lesions
        ventricles = (template_ventricle < 0) & (fluid | (template_ventricle < -3))
        near = fluid & (template_ventricle < 10) & (template_cortical > 4)
        ventricles = ndimage.binary_propagation(ventricles, mask=near | ventricles)
        self.ventricle = _distance(ventricles, template_ventricle / scale)
        if grey:
            cortex = (
                brain & (image >= fluid_below) & (image < grey_below) & ~lesions & ~nuclei & (template_cortical < 6)
            )
            cortex &= template_ventricle > 5
            self.cortical = _distance(_large(cortex), template_cortical / scale)
        else:
            self.cortical = template_cortical / scale


def _large(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask without its islands, which in white matter are noise."""
    numbered, _ = ndimage.label(mask)
    sizes = np.bincount(numbered.ravel())
    sizes[0] = 0
    return np.asarray((sizes * WORKING_MM**3 > ISLAND_MM3)[numbered])


def _distance(mask: NDArray[np.bool_], otherwise: NDArray[np.floating]) -> NDArray[np.floating]:
    """Distance to a mask, mm; another map where the mask is empty."""
    if not mask.any():
        return otherwise
    found: NDArray[np.float64] = ndimage.distance_transform_edt(~mask, sampling=WORKING_MM)
    return found


def _tissue_limits(values: NDArray[np.float32]) -> tuple[float, float]:
    """Intensities between fluid and grey matter, and between grey and white matter (T1): Otsu's for three classes."""
    counts, edges = np.histogram(values, bins=128, range=tuple(np.percentile(values, (0.5, 99.5))))
    middle = (edges[1:] + edges[:-1]) / 2
    weight = np.concatenate([[0], np.cumsum(counts)])
    moment = np.concatenate([[0], np.cumsum(counts * middle)])

    def spread(start: NDArray[np.int_] | int, stop: NDArray[np.int_] | int) -> NDArray[np.floating]:
        mass = weight[stop] - weight[start]
        return np.where(mass > 0, (moment[stop] - moment[start]) ** 2 / np.maximum(mass, 1), 0)

    first, second = np.meshgrid(np.arange(1, 127), np.arange(2, 128), indexing="ij")
    score = spread(0, first) + spread(first, second) + spread(second, np.full_like(second, 128))
    score[second <= first] = -np.inf
    best = np.unravel_index(np.argmax(score), score.shape)
    return float(edges[first[best]]), float(edges[second[best]])


def _lesion(number: int, numbered: Volume, maps: _Maps) -> LesionRegion:
    voxels = np.argwhere(numbered.array == number)
    world = np.c_[voxels, np.ones(len(voxels))] @ numbered.affine.T
    index = np.rint((world @ np.linalg.inv(maps.affine).T)[:, :3]).astype(int)
    i, j, k = np.clip(index, 0, np.array(maps.ventricle.shape) - 1).T
    region = region_of(
        float(maps.infratentorial[i, j, k].mean()),
        float(maps.ventricle[i, j, k].min()),
        float(maps.cortical[i, j, k].min()),
        WORKING_MM,
    )
    return LesionRegion(number, region, len(voxels) * numbered.voxel_volume / 1000)
