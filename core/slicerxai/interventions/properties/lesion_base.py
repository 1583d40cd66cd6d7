"""What edits of lesions have in common."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from slicerxai.data.resample import same_grid
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.interventions.acquisition import Array
from slicerxai.interventions.lesion_scene import LesionScene, lesion_scene, placed, with_change
from slicerxai.interventions.properties.base import ScanProperty, single_image
from slicerxai.interventions.property import Scan
from slicerxai.interventions.white_matter import Mask


class LesionProperty(ScanProperty[LesionScene]):
    """A property of the lesions: whatever it changes is added to the images."""

    needs_lesions = True

    def unusable(self, scan: Scan) -> str | None:
        reason = self._without_mask(scan) or super().unusable(scan)
        if reason is not None:
            return reason
        try:
            lesion_scene(scan)
        except InputError as error:
            return str(error)
        return None

    def _without_mask(self, scan: Scan) -> str | None:
        if single_image(scan.images):
            return "it is a single image; lesions are edited in brain volumes"
        if scan.lesions is None:
            return "where its lesions are is not known"
        if not same_grid(scan.lesions, scan.reference.affine, scan.reference.shape):
            return "the mask of lesions is not on the grid of the first image"
        if self.needs_lesions and not (scan.lesions.array[scan.reference.array != 0] != 0).any():
            return "it has no lesion"
        return None

    def prepare(self, scan: Scan) -> LesionScene:
        return lesion_scene(scan)

    def changed(self, scan: Scan, state: LesionScene, value: float) -> dict[str, Volume]:
        return with_change(scan, state, self.change(scan, state, value))

    def lesions_at(self, scan: Scan, value: float) -> Volume:
        """Mask of the lesions of the realised image, uint8 0/1, on the grid of the first image."""
        self.check(scan, value)
        scene = self.prepared(scan)
        return placed(scan, scene, self.mask(scan, scene, value))

    @abstractmethod
    def change(self, scan: Scan, scene: LesionScene, value: float) -> Array:
        """What is added to the images, (C, I, J, K) on the scene's grid."""

    @abstractmethod
    def mask(self, scan: Scan, scene: LesionScene, value: float) -> Mask:
        """Where lesions are afterwards, on the scene's grid."""


def edge_mm(scene: LesionScene) -> float:
    """Width of a soft edge: what the voxels can show."""
    return 0.25 + 0.2 * max(scene.spacing)


def kept_share(scene: LesionScene, distance: Array | float) -> Array:
    """Share of the excess that is left when the edge of every lesion moves inwards, (I, J, K): 1 where `distance` is 0.

    Args:
        distance: mm, not negative; a number or one for every voxel.
    """
    width = np.float32(edge_mm(scene))
    before = np.clip(scene.depth / width, -20, 20)
    after = np.clip((scene.depth - distance) / width, -20, 20)
    # ratio of two logistic functions: the soft edge moves along
    return np.asarray((1 + np.exp(-before)) / (1 + np.exp(-after)), dtype=np.float32)
