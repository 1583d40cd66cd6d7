"""From a slice to the noise that draws it, and back under another condition.

DDIM inversion (Song et al., ICLR 2021, section 4.3; Dhariwal and Nichol, NeurIPS 2021, appendix F): the deterministic
steps of DDIM, backwards. A step back needs the velocity at the noisier end, which is not known yet; the usual
approximation takes that of the cleaner end, and fixed-point iterations make it exact (Pan et al., ICCV 2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from slicerxai.interventions.generator.guidance import guided_velocity
from slicerxai.interventions.generator.network import forward_process, inverse_process
from slicerxai.interventions.generator.store import TrainedGenerator


@dataclass(frozen=True)
class Inverted:
    """A batch of slices and the noise that draws them under their own condition.

    Attributes:
        trajectory: noisy slices (T + 1, B, C, H, W), from the slices themselves to the noise.
        source: their own condition (B, F).
        position: (B, P).
    """

    trajectory: Tensor
    source: Tensor
    position: Tensor


@torch.no_grad()
def invert(
    generator: TrainedGenerator, pixels: Tensor, source: Tensor, position: Tensor, steps: int, iterations: int = 2
) -> Inverted:
    """The noise of slices.

    Args:
        pixels: (B, C, H, W), as `Slices.pixels`.
        source: own condition (B, F).
        position: (B, P).
        steps: DDIM steps.
        iterations: fixed-point iterations of each step after the usual approximation; 0 leaves it at that.
    """
    process, network, device = inverse_process(), generator.network, generator.device
    process.set_timesteps(steps)
    source, position = source.to(device), position.to(device)
    trajectory = [pixels.to(device)]
    for number, time in enumerate(process.timesteps):
        noisy, place = trajectory[-1], time.to(device)
        further = process.step(network(noisy, place, source, position), int(time), noisy).prev_sample
        angle = _angle(process.alphas_cumprod, process.timesteps, number)
        for _ in range(iterations):
            further = (noisy + math.sin(angle) * network(further, place, source, position)) / math.cos(angle)
        trajectory.append(further)
    return Inverted(torch.stack(trajectory), source, position)


@torch.no_grad()
def draw(
    generator: TrainedGenerator, inverted: Inverted, target: Tensor, scale: float, region: Tensor | None = None
) -> Tensor:
    """Slices (B, C, H, W) drawn from the noise of other slices under a target condition.

    Args:
        target: (B, F).
        scale: of the guidance from the slices' own condition to the target; see `guided_velocity`.
        region: (B, 1, H, W) in [0, 1], where slices may change; elsewhere every step goes back to the own noisy slice.
    """
    process, device = forward_process(), generator.device
    steps = len(inverted.trajectory) - 1
    process.set_timesteps(steps)
    target, noisy = target.to(device), inverted.trajectory[-1]
    for number, time in enumerate(process.timesteps):
        velocity = guided_velocity(
            generator.network, noisy, time.to(device), inverted.source, target, scale, inverted.position
        )
        noisy = process.step(velocity, int(time), noisy).prev_sample
        if region is not None:
            noisy = torch.lerp(inverted.trajectory[steps - 1 - number], noisy, region)
    return noisy


def _angle(kept: Tensor, times: Tensor, number: int) -> float:
    """Angle of a step: with v-prediction DDIM turns (slice, noise) by arccos √ᾱ, and v points along the turn."""
    before = math.acos(math.sqrt(float(kept[times[number - 1]]))) if number else 0.0
    return math.acos(math.sqrt(float(kept[times[number]]))) - before
