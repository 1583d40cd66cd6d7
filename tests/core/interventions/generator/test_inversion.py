from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from slicerxai.interventions.generator.conditions import POSITION_FEATURES, LoadCondition
from slicerxai.interventions.generator.guidance import guided_velocity
from slicerxai.interventions.generator.inversion import draw, invert
from slicerxai.interventions.generator.network import TRAINING_TIMES, ConditionalUNet
from slicerxai.interventions.generator.parameters import GeneratorConfig
from slicerxai.interventions.generator.store import TrainedGenerator

CONFIG = GeneratorConfig(spacing=4.0, shape=(8, 8), unshuffle=2, width=16, multipliers=(1,))
LOAD = LoadCondition(typical=1.0, most=4.0, profile=(1.0,))
STEPS = 10


@pytest.fixture(scope="module")
def generator() -> TrainedGenerator:
    """Random weights, with an output that depends on the condition."""
    torch.manual_seed(0)
    network = ConditionalUNet(CONFIG, LOAD.features).eval().requires_grad_(requires_grad=False)
    return TrainedGenerator("random", "", CONFIG, LOAD, network, torch.device("cpu"), {})


@pytest.fixture(scope="module")
def slices() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    source = LOAD.encoded(np.array([0.5, 1.0]))
    return 0.5 * torch.randn(2, 1, 8, 8), source, torch.rand(2, POSITION_FEATURES)


def kept_signal(time: int) -> float:
    """ᾱ of the cosine schedule, from its definition (Nichol and Dhariwal, 2021, equation 17, betas cut at 0.999)."""

    def level(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2

    product = 1.0
    for n in range(time + 1):
        product *= 1 - min(1 - level((n + 1) / TRAINING_TIMES) / level(n / TRAINING_TIMES), 0.999)
    return product


def drawn_slowly(
    generator: TrainedGenerator, noise: Tensor, source: Tensor, target: Tensor, scale: float, position: Tensor
) -> Tensor:
    """DDIM in terms of slice and noise, step by step."""
    noisy = noise
    times = [TRAINING_TIMES // STEPS * n for n in range(STEPS)]
    for n in reversed(range(STEPS)):
        now, then = kept_signal(times[n]), kept_signal(times[n - 1]) if n else 1.0
        time = torch.tensor(times[n])
        own = generator.network(noisy, time, source, position)
        other = generator.network(noisy, time, target, position)
        velocity = (1 - scale) * own + scale * other
        clean = math.sqrt(now) * noisy - math.sqrt(1 - now) * velocity
        error = (noisy - math.sqrt(now) * clean) / math.sqrt(1 - now)
        noisy = math.sqrt(then) * clean + math.sqrt(1 - then) * error
    return noisy


@pytest.mark.parametrize("scale", [-1.0, 0.0, 1.0, 2.5])
def test_guidance_and_drawing_agree_with_a_plain_version(generator, slices, scale: float) -> None:
    pixels, source, position = slices
    inverted = invert(generator, pixels, source, position, STEPS)
    target = LOAD.encoded(np.array([3.0, 0.0]))
    found = draw(generator, inverted, target, scale)
    expected = drawn_slowly(generator, inverted.trajectory[-1], source, target, scale, position)
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=1e-3)


def test_the_target_matters_and_the_own_condition_as_target_does_not(generator, slices) -> None:
    pixels, source, position = slices
    time, other = torch.tensor(500), LOAD.encoded(np.array([4.0, 0.0]))
    own = guided_velocity(generator.network, pixels, time, source, source, 0.0, position)
    same = guided_velocity(generator.network, pixels, time, source, source, 7.0, position)
    changed = guided_velocity(generator.network, pixels, time, source, other, 7.0, position)
    torch.testing.assert_close(own, same, atol=1e-5, rtol=0)
    assert (changed - own).abs().max() > 1e-3


def test_iterations_make_the_inversion_exact(generator, slices) -> None:
    pixels, source, position = slices
    errors = []
    for iterations in (0, 8):
        inverted = invert(generator, pixels, source, position, STEPS, iterations)
        errors.append(float((draw(generator, inverted, source, 0.0) - pixels).abs().max()))
    usual, iterated = errors
    assert iterated < 1e-3
    assert iterated < 0.1 * usual


def test_outside_the_region_the_slice_stays(generator, slices) -> None:
    pixels, source, position = slices
    inverted = invert(generator, pixels, source, position, STEPS)
    region = torch.zeros(2, 1, 8, 8)
    region[:, :, :4] = 1
    target = LOAD.encoded(np.array([4.0, 4.0]))
    found = draw(generator, inverted, target, 5.0, region)
    torch.testing.assert_close(found[:, :, 4:], pixels[:, :, 4:])
    assert (found[:, :, :4] - pixels[:, :, :4]).abs().max() > 1e-3
