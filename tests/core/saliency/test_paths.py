"""Integrated gradients and occlusion against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slicerxai.saliency import checks
from slicerxai.saliency.baseline import blurred
from slicerxai.saliency.integrated_gradients import integrated_gradients
from slicerxai.saliency.occlusion import boxes_around, occlusion

SPACING = (2.0, 2.0, 2.0)


def test_integrated_gradients_equal_a_plain_loop(tiny_unet, image, make_target):
    target = make_target(tiny_unet())
    baseline = blurred(image, SPACING)
    nodes, weights = np.polynomial.legendre.leggauss(6)
    mean = torch.zeros_like(image)
    for node, weight in zip(nodes, weights, strict=True):
        x = (baseline + (node + 1) / 2 * (image - baseline)).requires_grad_()
        for index in range(len(target.windows)):
            logits = target.network(target.crop(x, [index]))
            (gradient,) = torch.autograd.grad(target.contributions([index], logits).sum(), x)
            mean += weight / 2 * gradient
    result = integrated_gradients(target, baseline, 6)
    torch.testing.assert_close(result.relevance, mean * (image - baseline), rtol=1e-3, atol=1e-6)


def test_more_steps_close_the_gap(tiny_unet, image, make_target):
    target = make_target(tiny_unet(slope=0.1))
    baseline = blurred(image, SPACING)
    gaps = [checks.gap(integrated_gradients(target, baseline, steps)) for steps in (2, 48)]
    assert gaps[1] < min(0.02, gaps[0])


def test_occlusion_equals_a_plain_loop(tiny_unet, image, region, make_target):
    target = make_target(tiny_unet())
    baseline = blurred(image, SPACING)
    boxes = boxes_around(region.numpy(), 8.0, SPACING)
    result = occlusion(target, baseline, boxes)
    before = sum(target.evaluate(image))
    assert boxes.count > 8
    for box in range(boxes.count + 1):
        inside = boxes.ids == box
        effect = before - sum(target.evaluate(torch.where(inside, baseline, image)))
        found = result.attribution.relevance[:, inside].sum() if box else result.attribution.elsewhere
        assert float(found) == pytest.approx(effect, abs=2e-5)
    assert result.attribution.total == pytest.approx(sum(result.effects), abs=1e-5)


def test_boxes_cover_the_region_and_stay_near_it():
    region = np.zeros((60, 50, 40), dtype=bool)
    region[30:34, 20:26, 1:4] = True
    boxes = boxes_around(region, 10.0, (2.0, 1.0, 1.0))
    ids = boxes.ids.numpy()
    assert (ids[region] > 0).all()
    assert set(np.unique(ids)) == set(range(boxes.count + 1))
    extent = [np.flatnonzero((ids > 0).any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    assert all(e[-1] - e[0] + 1 <= n for e, n in zip(extent, (15, 30, 30), strict=True))
    largest = np.bincount(ids.ravel())[1:].max()
    assert largest == 5 * 10 * 10


def test_boxes_of_a_full_region_leave_nothing_outside():
    boxes = boxes_around(np.ones((9, 8), dtype=bool), 3.0, (1.0, 1.0))
    assert boxes.ids.min() == 1
    assert boxes.count == len(boxes.ids.unique())


def test_blur_keeps_a_constant_brain_and_its_background():
    image = torch.zeros(1, 20, 20, 20)
    image[:, 4:16, 4:16, 4:16] = 3
    torch.testing.assert_close(blurred(image, (1, 1, 1)), image, rtol=1e-4, atol=1e-5)
