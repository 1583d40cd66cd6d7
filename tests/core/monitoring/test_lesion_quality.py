"""Measures of predicted lesions against plain loops, on a small volume with a tiny network."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from slicerxai.data.metrics import lesion_scores
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.protocols import Prepared, Segmentation
from slicerxai.models.sliding_window import importance_map, patch_grid
from slicerxai.monitoring import lesion_maps
from slicerxai.monitoring.lesion_quality import false_lesions, lesion_readings
from slicerxai.monitoring.lesion_readings import LesionReadings, names
from slicerxai.saliency.region_maps import region_maps

CPU = torch.device("cpu")
AFFINE = np.diag([2.0, 1.5, 2.0, 1.0])
SHAPE = (14, 16, 12)
BOXES = [
    (slice(3, 6), slice(3, 6), slice(3, 6)),
    (slice(3, 5), slice(8, 10), slice(4, 6)),
    (slice(9, 10), slice(11, 13), slice(6, 7)),
]


@pytest.fixture
def image() -> Volume:
    array = np.random.default_rng(0).normal(100, 10, SHAPE).astype(np.float32)
    array[:2] = array[-2:] = 0
    array[:, :2] = array[:, -2:] = 0
    return Volume(array, AFFINE)


@pytest.fixture
def segmentation() -> Segmentation:
    rng = np.random.default_rng(1)
    labels, chance = np.zeros(SHAPE, np.uint8), rng.uniform(0, 0.2, SHAPE)
    for box in BOXES:
        labels[box] = 1
        chance[box] = rng.uniform(0.3, 1, chance[box].shape)
    chance[BOXES[0]][0, 0, 0] = 1.0
    return Segmentation(Volume(labels, AFFINE), Volume(chance.astype(np.float32), AFFINE))


@pytest.fixture
def segmenter(image: Volume):
    """Works on the image's own grid, patches of 8, three channels of features."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.Conv3d(4, 2, 3, padding=1)
        )
        network[1].running_mean.normal_(0, 0.2)
    tensor = torch.from_numpy(image.array / 100)[None]
    return SimpleNamespace(
        info=SimpleNamespace(channels=("FLAIR",), labels=("background", "lesion")),
        network=network.eval(),
        patch_size=(8, 8, 8),
        overlap=0.5,
        device=CPU,
        prepare=lambda images: Prepared(tensor, AFFINE, images["FLAIR"]),
    )


def test_plain_measures_by_loops(segmenter, image, segmentation):
    readings = lesion_readings(segmenter, {"FLAIR": image}, segmentation)
    assert len(readings.lesions) == 3
    values, chance = image.array.astype(float), segmentation.probability.array.astype(float)
    spacing = np.array([2.0, 1.5, 2.0])
    everywhere = list(itertools.product(*map(range, SHAPE)))
    outside = np.array([p for p in itertools.product(*(range(-1, n + 1) for n in SHAPE)) if not _foreground(values, p)])
    spread = np.std([values[p] for p in everywhere if values[p] != 0])
    for number, row in enumerate(readings.features, start=1):
        own = [p for p in everywhere if readings.numbered.array[p] == number]
        ring = [
            p
            for p in everywhere
            if segmentation.labelmap.array[p] == 0
            and values[p] != 0
            and min(np.linalg.norm((np.array(p) - q) * spacing) for q in own) <= 3
        ]
        inside = [chance[p] for p in own]
        bits = [0.0 if c in (0, 1) else -c * np.log2(c) - (1 - c) * np.log2(1 - c) for c in inside]
        depth = [np.linalg.norm((outside - np.array(p)) * spacing, axis=1).min() for p in own]
        plain = [
            np.log(len(own) * 6.0),
            np.mean(inside),
            max(inside),
            min(inside),
            np.mean(bits),
            np.mean([chance[p] for p in ring]),
            (np.mean([values[p] for p in own]) - np.mean([values[p] for p in ring])) / spread,
            np.mean(depth),
        ]
        np.testing.assert_allclose(row, plain, rtol=1e-6)
    assert readings.column("mean probability")[0] == readings.features[0, 1]


def _foreground(values: np.ndarray, place: tuple[int, ...]) -> bool:
    return all(0 <= p < n for p, n in zip(place, SHAPE, strict=True)) and values[place] != 0


def test_false_lesions_are_those_of_the_lesion_wise_scores(segmenter, image, segmentation):
    readings = lesion_readings(segmenter, {"FLAIR": image}, segmentation)
    reference = np.zeros(SHAPE, bool)
    reference[5:8, 5:8, 5:8] = True
    volume = Volume(reference, AFFINE)
    assert false_lesions(readings, volume).tolist() == [False, True, True]
    scores = lesion_scores(segmentation.labelmap.array > 0, reference, 6.0)
    assert scores.true_predicted == np.count_nonzero(~false_lesions(readings, volume))
    assert false_lesions(readings, volume, overlap_voxels=2).all()
    reference[:] = False
    reference[9, 11, 6] = True
    speck = Volume(reference, AFFINE)
    assert false_lesions(readings, speck).tolist() == [True, True, False]
    assert false_lesions(readings, speck, minimum_mm3=7.0).all()
    with pytest.raises(InputError, match="different grids"):
        false_lesions(readings, Volume(reference, np.eye(4)))


def test_shares_of_each_lesions_own_map(segmenter, image, segmentation):
    readings = lesion_readings(segmenter, {"FLAIR": image}, segmentation, saliency="input_x_gradient")
    assert names("input_x_gradient")[8:] == ("relevance inside", "relevance near", "distance from nearest lesion")
    tensor = segmenter.prepare({"FLAIR": image}).tensor
    importance = importance_map((8, 8, 8))
    whole = []
    for number in (1, 2, 3):
        patches = patch_grid(SHAPE, (8, 8, 8), 0.5)
        best = max(
            patches, key=lambda p: float((importance * (torch.from_numpy(readings.numbered.array[p]) == number)).sum())
        )
        inside = torch.from_numpy(readings.numbered.array[best] == number)
        x = tensor[(slice(None), *best)][None].clone().requires_grad_()
        logits = segmenter.network(x)[0]
        weight = importance * inside / (importance * inside).sum()
        (gradient,) = torch.autograd.grad(((logits[1] - logits[0]) * weight).sum(), x)
        size = (x * gradient)[0, 0].detach().numpy().astype(float)
        near = np.zeros((8, 8, 8), bool)
        for p in itertools.product(range(8), repeat=3):
            gaps = (np.argwhere(inside.numpy()) - p) * [2.0, 1.5, 2.0]
            near[p] = np.linalg.norm(gaps, axis=1).min() <= 10
        total = np.abs(size).sum()
        row = readings.features[number - 1]
        np.testing.assert_allclose(
            row[8:10], [np.abs(size[inside]).sum() / total, np.abs(size[near]).sum() / total], rtol=1e-5
        )
        full = np.zeros(SHAPE)
        (box,) = lesion_maps.ndimage.find_objects(near.astype(int))
        full[best][box] = size[box]
        whole.append(full.ravel())
    for number, row in enumerate(readings.features):
        others = [n for n in range(3) if n != number]
        cosines = [
            whole[number] @ whole[n] / (np.linalg.norm(whole[number]) * np.linalg.norm(whole[n])) for n in others
        ]
        assert row[10] == pytest.approx(1 - max(cosines), abs=1e-5)


def test_maps_of_several_regions_equal_those_of_one(segmenter):
    patch = torch.rand(1, 8, 8, 8)
    weights = [torch.rand(2, 8, 8, 8) for _ in range(2)]
    for method in ("input_x_gradient", "lrp"):
        together = list(region_maps(segmenter.network, patch, weights, method, CPU))
        alone = [next(region_maps(segmenter.network, patch, [weight], method, CPU)) for weight in weights]
        for one, other in zip(together, alone, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    logits = segmenter.network(patch[None])[0].detach()
    bias = segmenter.network[3].bias.detach().reshape(2, 1, 1, 1)
    torch.testing.assert_close(together[0].sum(), (weights[0] * (logits - bias)).sum(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("saliency", [None, "input_x_gradient"])
def test_no_lesion_at_all(segmenter, image, segmentation, saliency):
    empty = Segmentation(segmentation.labelmap.with_array(np.zeros(SHAPE, np.uint8)), segmentation.probability)
    readings = lesion_readings(segmenter, {"FLAIR": image}, empty, saliency=saliency)
    assert readings.features.shape == (0, len(names(saliency)))
    assert false_lesions(readings, Volume(np.ones(SHAPE, bool), AFFINE)).shape == (0,)


def test_unfit_inputs_are_refused(segmenter, image, segmentation):
    with pytest.raises(InputError, match="FLAIR"):
        lesion_readings(segmenter, {"T1": image}, segmentation)
    with pytest.raises(InputError, match="different grids"):
        lesion_readings(segmenter, {"FLAIR": Volume(image.array[:-1], AFFINE)}, segmentation)
    good = lesion_readings(segmenter, {"FLAIR": image}, segmentation)
    with pytest.raises(InputError, match="shape"):
        LesionReadings(good.lesions, good.numbered, good.features[:, 1:])
    with pytest.raises(InputError, match="not finite"):
        LesionReadings(good.lesions, good.numbered, good.features * np.nan)
