from __future__ import annotations

import pytest
import torch

from slicerxai.errors import InputError
from slicerxai.models.sliding_window import blended_logits, importance_map, patch_grid
from slicerxai.saliency.input_x_gradient import input_x_gradient
from slicerxai.saliency.target import classification_target, segmentation_target

CPU = torch.device("cpu")


def test_target_is_the_mean_blended_margin_of_the_prediction(tiny_unet, image, region, make_target):
    network = tiny_unet()
    logits, _ = blended_logits(network, image, (12, 12, 12), 0.25, CPU)
    expected = float((logits[1] - logits[0])[region].mean())
    assert sum(make_target(network).evaluate(image)) == pytest.approx(expected, rel=1e-4)


def test_patchwise_gradient_is_that_of_the_whole_blended_volume(tiny_unet, image, region, make_target):
    network = tiny_unet(norm="instance", slope=0.1)
    x = image.clone().requires_grad_()
    weight, total, norm = importance_map((12, 12, 12)), 0.0, torch.zeros(region.shape)
    for patch in patch_grid(region.shape, (12, 12, 12), 0.25):
        placed = torch.zeros(2, *region.shape)
        placed[(slice(None), *patch)] = weight
        full = torch.zeros(2, *region.shape)
        full[(slice(None), *patch)] = network(x[(slice(None), *patch)][None])[0]
        total, norm = total + full * placed, norm + placed[0]
    margin = ((total[1] - total[0]) / norm)[region].mean()
    (gradient,) = torch.autograd.grad(margin, x)
    result = input_x_gradient(make_target(network))
    assert result.value == pytest.approx(float(margin), rel=1e-4)
    torch.testing.assert_close(result.relevance, image * gradient, rtol=1e-3, atol=1e-7)


def test_one_patch_over_everything_needs_no_blending(tiny_unet, image, region):
    network = tiny_unet()
    x = image[:, :16, :16, :16].clone().requires_grad_()
    inside = region[:16, :16, :16]
    target = segmentation_target(network, x.detach(), inside, 1, 2, (16, 16, 16), 0.5, CPU)
    logits = network(x[None])[0]
    (gradient,) = torch.autograd.grad((logits[1] - logits[0])[inside].mean(), x)
    result = input_x_gradient(target)
    torch.testing.assert_close(result.relevance, x.detach() * gradient, rtol=1e-4, atol=1e-7)
    margin = (logits[1] - logits[0])[inside].detach() / inside.sum()
    torch.testing.assert_close(result.decision[inside], margin)


def test_only_patches_that_touch_the_region_run_and_each_once(tiny_unet, image, make_target):
    network, seen = tiny_unet(), []
    target = make_target(network, patch=8, overlap=0.0)
    network.register_forward_hook(lambda _m, args, _o: seen.append(len(args[0])))
    input_x_gradient(target)
    assert 0 < len(target.windows) < len(patch_grid(image.shape[1:], (8, 8, 8), 0.0))
    assert sum(seen) == len(target.windows) + 1  # and one empty patch for T(0)


def test_value_at_zero(tiny_unet, image, make_target):
    target = make_target(tiny_unet())
    assert target.evaluate_zero() == pytest.approx(sum(target.evaluate(torch.zeros_like(image))), rel=1e-4)


def test_a_classifier_has_one_window_and_its_logit():
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3)).eval()
    x = torch.randn(1, 3, 4)
    target = classification_target(network, x, 2, 3, CPU)
    assert sum(target.evaluate(x)) == pytest.approx(float(network(x[None])[0, 2]), rel=1e-6)


def test_training_mode_is_refused(tiny_unet, make_target):
    with pytest.raises(ValueError, match="training mode"):
        make_target(tiny_unet().train())


def test_wrong_number_of_labels_is_refused(tiny_unet, image, region):
    target = segmentation_target(tiny_unet(), image, region, 1, 3, (12, 12, 12), 0.25, CPU)
    with pytest.raises(ValueError, match="for 3 labels"):
        target.evaluate(image)


def test_a_region_in_empty_background_is_refused(tiny_unet, image, region):
    with pytest.raises(InputError, match="zero everywhere"):
        segmentation_target(tiny_unet(), torch.zeros_like(image), region, 1, 2, (12, 12, 12), 0.25, CPU)
    with pytest.raises(ValueError, match="no voxel"):
        segmentation_target(tiny_unet(), image, torch.zeros_like(region), 1, 2, (12, 12, 12), 0.25, CPU)
