"""Each method does what it says, on images whose label is both a bright blob in the mask and a bright corner."""

import numpy as np
import pytest
import torch

from slicerxai.alignment.baselines.augmentation import AugmentationChoice, fit_augmentation, generated
from slicerxai.alignment.baselines.bagnet import PUBLISHED_BLOCKS, PUBLISHED_WIDTH, BagNet, bagnet, fit_bagnet
from slicerxai.alignment.baselines.icnn import Icnn, fit_icnn
from slicerxai.alignment.baselines.infill import backgrounds, boxes, filled
from slicerxai.alignment.baselines.masked_fitting import MaskedBatch, fit_masked
from slicerxai.alignment.baselines.multitask import MultitaskCnn, fit_multitask
from slicerxai.alignment.baselines.oracle import InsideOnly, fit_oracle
from slicerxai.alignment.baselines.rrr import RrrWeights, fit_rrr, outside_gradient
from slicerxai.alignment.masked_images import MaskedArrays, WithoutMasks
from slicerxai.alignment.networks import seven_layer_cnn
from slicerxai.errors import InputError
from slicerxai.models.classifier_fitting import fit_network, predict_logits
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters

SIZE = 16
CPU = torch.device("cpu")


def images(count: int, seed: int, *, coincide: bool) -> MaskedArrays:
    generator = torch.Generator().manual_seed(seed)
    pictures = 0.3 * torch.randn(count, 1, SIZE, SIZE, generator=generator)
    labels = (torch.arange(count) % 2).float()[:, None]
    masks = torch.zeros(count, 1, SIZE, SIZE)
    masks[:, :, 6:12, 7:13] = 1
    corner = labels[:, 0] if coincide else (torch.rand(count, generator=generator) > 0.5).float()
    pictures += 0.6 * masks * labels[:, :, None, None]
    pictures[:, :, :4, :4] += 1.5 * corner[:, None, None, None]
    return MaskedArrays(pictures, labels, masks)


def parameters(**changes) -> ClassifierTrainingParameters:
    values = {"targets": ("a", "b"), "spatial_dims": 2, "shape": (SIZE, SIZE), "epochs": 6, "batch": 8}
    return ClassifierTrainingParameters(**values | {"learning_rate": 3e-3, "augmentation": 0.0} | changes)


TRAIN, TEST = images(48, 0, coincide=True), images(40, 1, coincide=False)
VALIDATION = WithoutMasks(TEST)


def network(seed: int = 0):
    return seven_layer_cnn(1, 1, (SIZE, SIZE), width=4, seed=seed)


def gradient_share_outside(net) -> float:
    x = TEST.images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(net(x).sum(), x)
    square = gradient.square()
    return float((square * (1 - TEST.masks)).sum() / square.sum())


def test_hook_keeps_the_plain_training():
    plain, hooked = network(), network()
    fit_network(plain, WithoutMasks(TRAIN), VALIDATION, parameters(epochs=2, augmentation=1.0), CPU)
    fit_masked(
        hooked,
        TRAIN,
        VALIDATION,
        parameters(epochs=2, augmentation=1.0),
        CPU,
        objective=lambda batch: batch.cross_entropy(hooked(batch.images)),
    )
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(hooked.state_dict()[key], value)


def test_outside_gradient_is_the_published_penalty():
    net, x, masks = network(), TRAIN.images[:3], TRAIN.masks[:3]
    found, _ = outside_gradient(net, x, masks)
    for index in range(3):
        single = x[index : index + 1].clone().requires_grad_()
        p = torch.sigmoid(net(single))[0, 0]
        (gradient,) = torch.autograd.grad(torch.log(p) + torch.log(1 - p), single)
        expected = sum(
            float(gradient[0, 0, i, j]) ** 2 for i in range(SIZE) for j in range(SIZE) if masks[index, 0, i, j] == 0
        )
        assert found[index].item() == pytest.approx(expected, rel=1e-4)


def test_rrr_keeps_gradients_inside():
    plain, guided = network(), network()
    fit_network(plain, WithoutMasks(TRAIN), VALIDATION, parameters(), CPU)
    fitted, _ = fit_rrr(guided, TRAIN, VALIDATION, parameters(), CPU, weights=RrrWeights(gradient=1000.0))
    assert gradient_share_outside(fitted) < 0.5 * gradient_share_outside(plain)


def test_oracle_ignores_what_is_outside():
    fitted, found = fit_oracle(network(), TRAIN, TEST, parameters(epochs=6), CPU)
    assert found.auc.mean() > 0.9
    inside = predict_logits(fitted, InsideOnly(TEST), CPU)
    moved = MaskedArrays(TEST.images + 5 * (1 - TEST.masks), TEST.labels, TEST.masks)
    np.testing.assert_allclose(predict_logits(fitted, InsideOnly(moved), CPU), inside)


def test_bagnet_sees_nothing_beyond_its_field():
    net = bagnet(1, 1, field=9, width=4, seed=1).eval()
    x = torch.randn(1, 1, 33, 33)
    before = net.evidence(x)
    torch.testing.assert_close(net(x), before.mean((2, 3)))
    i, j = 1, 2
    outside = x.clone()
    field = torch.zeros(33, 33, dtype=torch.bool)
    field[8 * i : 8 * i + 9, 8 * j : 8 * j + 9] = True
    outside[0, 0, ~field] += 100
    assert torch.equal(net.evidence(outside)[..., i, j], before[..., i, j])
    for corner in ((8 * i, 8 * j), (8 * i + 8, 8 * j + 8)):
        x.requires_grad_()
        (gradient,) = torch.autograd.grad(net.evidence(x)[..., i, j].sum(), x)
        assert gradient[0, 0, corner[0], corner[1]].abs() >= 0
        assert gradient[0, 0][~field].abs().max() == 0
    assert gradient[0, 0][field].abs().gt(0).float().mean() > 0.9


@pytest.mark.parametrize(("field", "places"), [(9, 7), (17, 6), (33, 4)])
def test_bagnet_fields(field, places):
    """A field of f pixels with one place every 8 pixels."""
    net = bagnet(1, 2, field=field, width=2).eval()
    assert net.evidence(torch.zeros(1, 1, 64, 64)).shape == (1, 2, places, places)


def test_published_bagnet_has_fifty_layers():
    with torch.device("meta"):
        net = BagNet(3, 1000, 33, PUBLISHED_WIDTH, PUBLISHED_BLOCKS)
    assert sum(len(stage) for stage in list(net.trunk)[2:]) == 16
    assert net.out.in_features == 2048


def test_bagnet_learns():
    fitted, found = fit_bagnet(None, TRAIN, VALIDATION, parameters(epochs=3), CPU, field=9)
    assert isinstance(fitted, BagNet)
    assert found.history[-1][0] < found.history[0][0]
    with pytest.raises(InputError, match="receptive field of 33"):
        fit_bagnet(None, TRAIN, VALIDATION, parameters(), CPU, field=33)


def test_multitask_learns_mask_and_attributes():
    attributes = torch.stack([TRAIN.labels[:, 0], 1 - TRAIN.labels[:, 0]], 1)
    known_images = WithoutMasks(TRAIN)
    fitted, found = fit_multitask(
        network(), TRAIN, known_images, parameters(epochs=20, learning_rate=1e-2), CPU, attributes=attributes
    )
    assert isinstance(fitted, MultitaskCnn)
    with torch.no_grad():
        labels, masks, known = fitted.all_tasks(TRAIN.images)
    torch.testing.assert_close(labels, fitted(TRAIN.images))
    assert masks.shape == TRAIN.masks.shape
    assert ((masks > 0) == (TRAIN.masks > 0)).float().mean() > 0.95
    assert known is not None
    assert ((known > 0).float() == attributes).float().mean() > 0.8
    assert found.auc.shape == (1,)
    with pytest.raises(InputError, match="attributes have shape"):
        fit_multitask(network(), TRAIN, VALIDATION, parameters(), CPU, attributes=attributes[:5])


def batch(count: int = 6) -> MaskedBatch:
    generator = torch.Generator().manual_seed(0)
    return MaskedBatch(TRAIN.images[:count], TRAIN.labels[:count], TRAIN.masks[:count], range(count), generator, None)


@pytest.mark.parametrize("infill", ["mean", "random", "shuffle", "tile"])
def test_infill_changes_the_box_alone(infill):
    one = batch()
    where = boxes(one.masks)
    found = filled(one.images, where, infill, one.generator)
    assert torch.equal(found[where == 0], one.images[where == 0])
    assert (found[where == 1] != one.images[where == 1]).float().mean() > 0.9
    assert found.min() >= one.images.min() - 1e-6
    assert found.max() <= one.images.max() + 1e-6


def test_infills_are_what_they_say():
    one = batch(2)
    where = torch.zeros_like(one.masks)
    where[:, :, 5:9, 2:14] = 1
    tiled = filled(one.images, where, "tile", one.generator)
    strip = one.images[:, :, 9:, :]
    for row in range(5, 9):
        assert torch.equal(tiled[:, :, row, 2:14], strip[:, :, row % 7, 2:14])
    shuffled = filled(one.images, torch.ones_like(where), "shuffle", one.generator)
    assert torch.equal(shuffled.flatten(1).sort(1).values, one.images.flatten(1).sort(1).values)
    box = torch.zeros(1, 1, 8, 8)
    box[0, 0, 2, 3] = box[0, 0, 5, 6] = 1
    assert torch.equal(boxes(box)[0, 0].nonzero().amin(0), torch.tensor([2, 3]))
    assert boxes(box).sum() == 16


def test_mixed_background_is_of_another_label():
    one = batch()
    marked = one.images.clone()
    marked[one.labels[:, 0] == 1, :, :, :2] = 7.0  # columns beside the mask; the widest strip is below and above
    found = backgrounds(marked, one.masks, one.labels, "mixed", one.generator)
    inside = one.masks == 1
    assert torch.equal(found[inside], marked[inside])
    has_mark = (found[:, :, 13:, :2] == 7).flatten(1).all(1)
    assert torch.equal(has_mark, one.labels[:, 0] == 0)
    alone = backgrounds(marked[:1], one.masks[:1], one.labels[:1], "mixed", one.generator)
    torch.testing.assert_close(alone[~inside[:1]], marked[0].mean().expand(int((~inside[:1]).sum())))


def test_generated_images_and_their_labels():
    one = batch()
    one.masks[0] = 0
    made, labels, weights = generated(one, AugmentationChoice(counterfactual_weight=0.5))
    assert len(made) == 6 + 5 + 5
    assert torch.equal(labels[:6], one.labels)
    assert torch.equal(labels[6:11], one.labels[1:])
    assert torch.equal(labels[11:], 1 - one.labels[1:])
    assert weights.tolist() == [1.0] * 11 + [0.5] * 5
    TRAIN.masks[0] = TRAIN.masks[1]


def test_augmentation_turns_from_the_corner():
    plain = network()
    fit_network(plain, WithoutMasks(TRAIN), VALIDATION, parameters(), CPU)
    fitted, _ = fit_augmentation(network(), TRAIN, VALIDATION, parameters(), CPU)

    def corner_effect(net):
        with_corner = TEST.images.clone()
        with_corner[:, :, :4, :4] += 1.5
        with torch.no_grad():
            change = (net(with_corner) - net(TEST.images)).abs().mean()
            return float(change / net(TEST.images).std())

    assert corner_effect(fitted) < 0.5 * corner_effect(plain)


def test_icnn_keeps_the_state_of_its_categories():
    fitted, _ = fit_icnn(network(), TRAIN, VALIDATION, parameters(epochs=3), CPU)
    assert isinstance(fitted, Icnn)
    assert fitted.activity.shape == (2, 2, 16)
    assert (fitted.activity > 0).any()
    logits, (first, second) = fitted.with_features(TEST.images)
    assert first.shape == (40, 16, 2, 2)
    assert second.shape == first.shape
    torch.testing.assert_close(logits, fitted(TEST.images))
