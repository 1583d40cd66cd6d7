"""nnU-Net's own planner, held to a small patch and a small network."""

from __future__ import annotations

from typing import Any

import numpy as np
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
from numpy.typing import ArrayLike

MOST_STAGES = 14
"""As in nnU-Net's planner."""


class SmallPlanner(ExperimentPlanner):
    """Plans as nnU-Net does – spacing, transpose, normalisation, topology – for a patch of at most `patch` voxels."""

    patch: int
    features: int
    convolutions: int
    batch_size: int

    def plan_small(self, *, patch: int, features: int, convolutions: int, batch_size: int) -> None:
        """Write the plans where nnU-Net's trainer reads them.

        Args:
            patch: longest edge of the patch, voxels.
            features: channels of the first stage; doubled at each further one, at most eightfold.
            convolutions: convolutions of each stage of the encoder and of the decoder.
            batch_size: patches of one step.
        """
        self.patch, self.features, self.convolutions, self.batch_size = patch, features, convolutions, batch_size
        self.UNet_base_num_features = features
        self.UNet_max_features_2d = self.UNet_max_features_3d = 8 * features
        self.UNet_blocks_per_stage_encoder = self.UNet_blocks_per_stage_decoder = (convolutions,) * MOST_STAGES
        self.lowres_creation_threshold = 0.0  # a small patch is intended: no cascade
        plans: dict[str, Any] = self.plan_experiment()
        for configuration in plans["configurations"].values():
            configuration["batch_dice"] = True  # Dice of a patch without lesions is blind to false positives
        self.save_plans(plans)

    def get_plans_for_configuration(
        self,
        spacing: ArrayLike,
        median_shape: ArrayLike,
        data_identifier: str,
        approximate_n_voxels_dataset: float,
        _cache: dict[str, float],
    ) -> dict[str, Any]:
        shape = np.asarray(median_shape)
        plan: dict[str, Any] = super().get_plans_for_configuration(
            spacing, np.minimum(shape, self.patch), data_identifier, approximate_n_voxels_dataset, _cache
        )
        plan["median_image_size_in_voxels"] = shape
        plan["batch_size"] = self.batch_size
        return plan
