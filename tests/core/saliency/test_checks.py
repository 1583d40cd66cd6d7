from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from slicerxai.data.volume import Volume
from slicerxai.errors import Cancelled
from slicerxai.saliency import checks, domain
from slicerxai.saliency.attribution import Attribution
from slicerxai.saliency.compute import compute
from slicerxai.saliency.gradient_check import gradient_check

GRADIENT_METHODS = ("lrp", "input_x_gradient", "integrated_gradients")
METHODS = (*GRADIENT_METHODS, "occlusion")
SPACING = (2.0, 2.0, 2.0)


class DetachedBranch(nn.Module):
    """One of two paths is cut off from the gradient."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.side = network, nn.Conv3d(2, 2, 3, padding=1)
        self.side.weight.data.fill_(0.05)
        self.side.bias.data.zero_()

    def forward(self, x):
        return self.network(x) + torch.tensor([-1.0, 1.0]).to(x).reshape(1, 2, 1, 1, 1) * self.side(x).detach()


class _Tripled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return 3 * gradient


class WrongBackward(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(_Tripled.apply(x))


class Noise(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x):
        logits = self.network(x)
        return logits + 0.5 * torch.randn(logits.shape).to(logits)


def run(method, network, make_target, region):
    return compute(method, make_target(network), SPACING, 24, 8.0, 0, region.numpy())


def verdicts(checked):
    return {finding.verdict for finding in checked.findings}


@pytest.mark.parametrize("method", METHODS)
def test_a_sound_network_is_not_unreliable(tiny_unet, make_target, region, method):
    checked = run(method, tiny_unet(), make_target, region)
    found = {finding.name: finding for finding in checked.findings}
    assert [finding for finding in checked.findings if finding.verdict == "unreliable"] == []
    assert {"repeatability", "finite map"} < set(found)
    assert ("conservation" if method == "lrp" else "completeness") in found
    assert all(finding.reason.endswith(".") and finding.value is not None for finding in checked.findings)
    if method in GRADIENT_METHODS:
        assert found["gradient"].value < 1e-3


@pytest.mark.parametrize("broken", [DetachedBranch, WrongBackward, Noise])
@pytest.mark.parametrize("method", GRADIENT_METHODS)
def test_a_broken_network_is_unreliable(tiny_unet, make_target, region, method, broken):
    assert "unreliable" in verdicts(run(method, broken(tiny_unet()).eval(), make_target, region))


def test_occlusion_of_a_noisy_network_is_unreliable(tiny_unet, make_target, region):
    checked = run("occlusion", Noise(tiny_unet()).eval(), make_target, region)
    assert {f.name for f in checked.findings if f.verdict == "unreliable"} >= {"repeatability", "box effects repeated"}


def test_a_wrong_box_effect_is_found(tiny_unet, make_target, region, image):
    from dataclasses import replace

    from slicerxai.saliency.occlusion import boxes_around, occlusion

    target, baseline = make_target(tiny_unet()), torch.zeros_like(image)
    result = occlusion(target, baseline, boxes_around(region.numpy(), 8.0, SPACING))
    assert checks.box_consistency(target, baseline, result, 0).verdict == "reliable"
    wrong = replace(result, effects=tuple(1.1 * effect for effect in result.effects))
    assert checks.box_consistency(target, baseline, wrong, 0).verdict == "unreliable"


def test_gradient_check_judges_a_given_gradient(tiny_unet, make_target):
    target = make_target(tiny_unet())
    given = {target.heaviest(1)[0]: torch.zeros(2, 12, 12, 12)}
    assert gradient_check(target, 0).verdict == "reliable"
    assert gradient_check(target, 0, given).verdict == "unreliable"


def attribution(total, expected):
    return Attribution(torch.tensor([[total, 0.0]]), torch.zeros(2), (1.0,), expected, "what was expected")


@pytest.mark.parametrize(
    ("method", "total", "expected", "verdict"),
    [
        ("lrp", 1.0, 1.01, "reliable"),
        ("lrp", 1.0, 1.1, "caution"),
        ("lrp", 1.0, 2.0, "unreliable"),
        ("lrp", 1.0, 0.0, "unreliable"),
        ("lrp", float("nan"), 1.0, "unreliable"),
        ("integrated_gradients", 0.0, 1.0, "unreliable"),
        ("input_x_gradient", 1.0, 1.01, "reliable"),
        ("input_x_gradient", -5.0, 1.0, "caution"),
        ("occlusion", -5.0, 1.0, "caution"),
        ("occlusion", 1.0, 0.0, "caution"),
    ],
)
def test_completeness_limits(method, total, expected, verdict):
    assert checks.completeness(method, attribution(total, expected)).verdict == verdict


def test_empty_or_broken_maps_are_unreliable():
    assert checks.informative(attribution(1.0, 1.0)).verdict == "reliable"
    assert checks.informative(attribution(0.0, 1.0)).verdict == "unreliable"
    assert checks.informative(attribution(float("inf"), 1.0)).verdict == "unreliable"


def test_agreement_counts_voxels_for_the_label():
    decision = Attribution(torch.zeros(1, 4), torch.tensor([1.0, 1.0, -1.0, 5.0]), (1.0,), 1.0, "")
    region = torch.tensor([True, True, True, False])
    finding = checks.agreement(decision, region)
    assert finding.value == pytest.approx(2 / 3)
    assert finding.verdict == "caution"
    assert checks.agreement(decision, region, threshold=0.25).value == pytest.approx(1)  # log-odds above -1.1
    assert checks.agreement(decision, region, threshold=0.75).value == pytest.approx(0)  # above 1.1


def state(network: nn.Module) -> list[object]:
    hooks = [len(h) for m in network.modules() for h in (m._forward_hooks, m._forward_pre_hooks, m._backward_hooks)]
    parameters = [(p.requires_grad, p.grad, id(p), p.detach().clone().flatten().tolist()) for p in network.parameters()]
    return [hooks, parameters, [m.training for m in network.modules()], [id(m) for m in network.modules()]]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("frozen", [True, False])
def test_the_network_is_left_as_it_was(tiny_unet, make_target, region, method, frozen):
    network = tiny_unet().requires_grad_(not frozen)
    before = state(network)
    run(method, network, make_target, region)
    assert state(network) == before


@pytest.mark.parametrize("method", METHODS)
def test_the_network_is_left_as_it_was_after_cancelling(tiny_unet, make_target, region, method):
    network, calls = tiny_unet(), []
    before = state(network)

    def progress(_fraction: float, _message: str) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        compute(method, make_target(network), SPACING, 8, 8.0, 0, region.numpy(), progress)
    assert state(network) == before


@pytest.mark.parametrize("method", METHODS)
def test_the_same_bits_again(tiny_unet, make_target, region, method):
    first, second = (run(method, tiny_unet(), make_target, region) for _ in range(2))
    assert torch.equal(first.attribution.relevance, second.attribution.relevance)
    assert first.findings == second.findings


def brain(background: int, size: int = 50, value: float = 100) -> Volume:
    array = np.zeros((size, size, size), dtype=np.float32)
    inner = slice(background, size - background)
    array[inner, inner, inner] = value
    return Volume(array, np.diag([3.0, 3.0, 3.0, 1.0]))


def test_domain_measures():
    assert domain.background_share(brain(5)).verdict == "reliable"
    assert domain.background_share(brain(0)).verdict == "caution"
    assert domain.brain_extent(brain(5)).verdict == "reliable"
    assert domain.brain_extent(brain(15)).verdict == "caution"
    assert domain.brain_extent(brain(0, size=90)).verdict == "caution"
    values = np.random.default_rng(0).standard_normal((1, 30, 30, 30)).astype(np.float32)
    assert domain.intensity_range(values, ("FLAIR",)).verdict == "reliable"
    outlying = domain.intensity_range(40 * values, ("FLAIR",))
    assert outlying.verdict == "caution"
    assert "FLAIR" in outlying.reason
