"""The short trainer: nnU-Net's own training loop with a schedule that learns in minutes on a CPU.

nnU-Net finds it by name through `nnUNet_extTrainer`, which names this folder; it imports every module here.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from batchgeneratorsv2.transforms.utils.nnunet_masking import MaskImageTransform
from batchgeneratorsv2.transforms.utils.random import RandomTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class ShortTrainer(nnUNetTrainer):
    """AdamW, few epochs, cheap augmentation, seeded.

    The schedule is read from the plans under "short_trainer": `epochs`, `iterations` (per epoch), `learning_rate`,
    `bfloat16` and `seed`. Every epoch draws from its own seed, so that a resumed run sees the batches of an
    uninterrupted one.
    """

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int | str,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008 - nnU-Net's signature
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        schedule = self.plans_manager.plans["short_trainer"]
        self.seed: int = schedule["seed"]
        self.num_epochs: int = schedule["epochs"]
        self.num_iterations_per_epoch: int = schedule["iterations"]
        self.num_val_iterations_per_epoch = max(1, self.num_iterations_per_epoch // 10)
        self.initial_lr: float = schedule["learning_rate"]
        self.bfloat16: bool = schedule["bfloat16"]
        self.weight_decay = 1e-2
        self.oversample_foreground_percent = 0.5
        self.save_every = 1

    def initialize(self) -> None:
        self._draw_from(self.seed)
        super().initialize()

    def on_train_epoch_start(self) -> None:
        self._draw_from(self.seed + 1 + self.current_epoch)
        super().on_train_epoch_start()

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """As nnU-Net's, but on a CPU the network may compute in bfloat16; nnU-Net lowers precision on CUDA alone."""
        if not self.bfloat16 or self.device.type != "cpu":
            step: dict[str, Any] = super().train_step(batch)
            return step
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = self.network(batch["data"])
        loss = self.loss([output.float() for output in outputs], batch["target"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12)
        self.optimizer.step()
        return {"loss": loss.detach().numpy()}

    def configure_optimizers(self) -> tuple[torch.optim.Optimizer, PolyLRScheduler]:
        optimizer = torch.optim.AdamW(self.network.parameters(), self.initial_lr, weight_decay=self.weight_decay)
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.num_epochs)

    def configure_rotation_dummyDA_mirroring_and_inital_patch_size(  # noqa: N802 - nnU-Net's name
        self,
    ) -> tuple[tuple[float, float], bool, tuple[int, ...], tuple[int, ...]]:
        """No rotation, hence no margin around the patch."""
        patch = tuple(self.configuration_manager.patch_size)
        self.inference_allowed_mirroring_axes = tuple(range(len(patch)))
        return (0.0, 0.0), False, patch, self.inference_allowed_mirroring_axes

    @staticmethod
    def get_training_transforms(
        patch_size: tuple[int, ...],
        rotation_for_DA: tuple[float, float],  # noqa: N803
        deep_supervision_scales: list[list[float]] | None,
        mirror_axes: tuple[int, ...],
        do_dummy_2d_data_aug: bool,
        use_mask_for_norm: list[bool],
        **_unused: Any,
    ) -> BasicTransform:
        """Mirroring and intensity changes; nnU-Net's spatial transforms cost more time on a CPU than the network."""
        intensity: list[BasicTransform] = [
            GaussianNoiseTransform(noise_variance=(0, 0.05), p_per_channel=1, synchronize_channels=True),
            MultiplicativeBrightnessTransform(
                multiplier_range=BGContrast((0.8, 1.2)), synchronize_channels=False, p_per_channel=1
            ),
            ContrastTransform(
                contrast_range=BGContrast((0.8, 1.2)), preserve_range=True, synchronize_channels=False, p_per_channel=1
            ),
            GammaTransform(
                gamma=BGContrast((0.7, 1.4)),
                p_invert_image=0,
                synchronize_channels=False,
                p_per_channel=1,
                p_retain_stats=1,
            ),
        ]
        transforms = [RandomTransform(transform, apply_probability=0.15) for transform in intensity]
        transforms.append(MirrorTransform(allowed_axes=mirror_axes))
        masked = [channel for channel, mask in enumerate(use_mask_for_norm) if mask]
        if masked:
            transforms.append(MaskImageTransform(apply_to_channels=masked, channel_idx_in_seg=0, set_outside_to=0))
        transforms.append(RemoveLabelTansform(-1, 0))
        if deep_supervision_scales is not None:
            transforms.append(DownsampleSegForDSTransform(ds_scales=deep_supervision_scales))
        return ComposeTransforms(transforms)

    @staticmethod
    def _draw_from(seed: int) -> None:
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002 - nnU-Net's loader draws from the global generator
