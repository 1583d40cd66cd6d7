"""The noise predictor: the U-Net of diffusers on pixel-unshuffled slices, with a continuous condition.

A slice of `shape` pixels becomes `unshuffle`² times as many channels on a grid that much coarser (Shi et al., CVPR
2016), so that a CPU trains it in minutes. The condition is a vector of features with a last one that says whether it is
known; all zeros are the unconditional case of classifier-free guidance (Ho and Salimans, arXiv:2207.12598). Features of
the slice's position are never guided: they keep what goes with the position, such as the width of the ventricles, out
of the condition.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from slicerxai.interventions.generator.conditions import POSITION_FEATURES
from slicerxai.interventions.generator.parameters import GeneratorConfig

TRAINING_TIMES = 1000

_SCHEDULE = {
    "num_train_timesteps": TRAINING_TIMES,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "v_prediction",
    "clip_sample": False,
    "set_alpha_to_one": True,
    "timestep_spacing": "leading",
}
"""Cosine schedule (Nichol and Dhariwal, ICML 2021), v-prediction (Salimans and Ho, ICLR 2022)."""


class ConditionalUNet(nn.Module):
    """Velocity v of a noisy slice; v = √ᾱ·noise − √(1 − ᾱ)·slice.

    Args:
        config: grid and size.
        features: length of a condition, its flag "known" included.
    """

    def __init__(self, config: GeneratorConfig, features: int) -> None:
        super().__init__()
        from diffusers import UNet2DModel

        levels, edge = len(config.multipliers), config.unshuffle
        channels = len(config.channels) * edge**2
        self.edge = edge
        make: Any = UNet2DModel  # its decorators hide from type checkers that it can be called
        self.unet: nn.Module = make(
            sample_size=(config.shape[0] // edge, config.shape[1] // edge),
            in_channels=channels,
            out_channels=channels,
            block_out_channels=tuple(config.width * multiplier for multiplier in config.multipliers),
            down_block_types=("DownBlock2D",) * levels,
            up_block_types=("UpBlock2D",) * levels,
            layers_per_block=config.blocks,
            norm_num_groups=8,
            attention_head_dim=min(32, config.width),
            class_embed_type="identity",
        )
        size = 4 * config.width * config.multipliers[0]
        self.embedding = nn.Sequential(nn.Linear(features + POSITION_FEATURES, size), nn.SiLU(), nn.Linear(size, size))

    def forward(self, noisy: Tensor, time: Tensor, condition: Tensor, position: Tensor) -> Tensor:
        """v, shape (B, C, H, W).

        Args:
            noisy: (B, C, H, W).
            time: scalar or (B,), integers in [0, TRAINING_TIMES).
            condition: (B, features); zeros where it is unknown.
            position: (B, POSITION_FEATURES); zeros where it is unknown.
        """
        embedded = self.embedding(torch.cat([condition, position], dim=1))
        coarse = functional.pixel_unshuffle(noisy, self.edge)
        return functional.pixel_shuffle(self.unet(coarse, time, class_labels=embedded).sample, self.edge)


def forward_process() -> Any:
    """The schedule of training and of drawing images by DDIM (Song et al., ICLR 2021): a `DDIMScheduler`, whose
    decorators hide its methods from type checkers."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(**_SCHEDULE)


def inverse_process() -> Any:
    """The same schedule, from an image to its noise: a `DDIMInverseScheduler`."""
    from diffusers import DDIMInverseScheduler

    return DDIMInverseScheduler(**_SCHEDULE)
