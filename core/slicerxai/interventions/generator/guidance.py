"""Classifier-free guidance from one condition towards another."""

from __future__ import annotations

import torch
from torch import Tensor

from slicerxai.interventions.generator.network import ConditionalUNet


def guided_velocity(
    network: ConditionalUNet,
    noisy: Tensor,
    time: Tensor,
    source: Tensor,
    target: Tensor,
    scale: float,
    position: Tensor,
) -> Tensor:
    """v(source) + scale · (v(target) − v(source)), shape (B, C, H, W).

    With the unconditional case as source this is the guidance of Ho and Salimans (arXiv:2207.12598). With an image's
    own condition as source nothing changes as long as the target is the own condition too, whatever the scale, so that
    a sequence starts from the image as it is. 0 and 1 cost one evaluation of the network, other scales two.

    Args:
        noisy: (B, C, H, W).
        time: scalar, the same for the batch.
        source, target: encoded conditions, (B, F).
        scale: 0 follows the source, 1 the target; above 1 exaggerates, below 0 goes the other way.
        position: (B, P).
    """
    if scale in (0, 1):
        return network(noisy, time, target if scale else source, position)
    both: Tensor = network(
        torch.cat([noisy, noisy]), time, torch.cat([source, target]), torch.cat([position, position])
    )
    own, other = both.chunk(2)
    return own + scale * (other - own)
