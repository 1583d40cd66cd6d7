"""Losses against their plain definitions."""

import math

import pytest
import torch
from torch import nn

from slicerxai.alignment.losses import RowLoss, class_loss, label_loss, region_loss


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def network(outputs=3):
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(8, outputs)).double()


def test_label_loss_counts_only_chosen_labels():
    images = torch.randn(4, 1, 8, dtype=torch.float64)
    wanted = torch.tensor([[1.0, 0, 1], [0, 0, 1], [0.3, 1, 0], [1, 1, 1]])
    which = torch.tensor([[True, True, False], [False, True, True], [True, False, False], [False, False, False]])
    net = network()
    found = label_loss(net, wanted, which)(images)
    for row, logits in enumerate(net(images).tolist()):
        slow = 0.0
        for label, logit in enumerate(logits):
            if which[row, label]:
                target, chance = float(wanted[row, label]), sigmoid(logit)
                slow -= target * math.log(chance) + (1 - target) * math.log(1 - chance)
        assert found[row].item() == pytest.approx(slow)


def test_class_loss_is_minus_log_softmax():
    images = torch.randn(2, 1, 8, dtype=torch.float64)
    net = network()
    found = class_loss(net, torch.tensor([2, 0]))(images)
    for row, (logits, wanted) in enumerate(zip(net(images).tolist(), (2, 0), strict=True)):
        slow = -math.log(math.exp(logits[wanted]) / sum(math.exp(value) for value in logits))
        assert found[row].item() == pytest.approx(slow)


def test_region_loss_is_a_mean_over_the_region():
    torch.manual_seed(0)
    net = nn.Conv3d(1, 2, 3, padding=1).double()
    images, region = torch.randn(2, 1, 3, 3, 3, dtype=torch.float64), torch.zeros(2, 3, 3, 3, dtype=torch.bool)
    region[0, 1, 1] = region[1, 0, 0, 2] = True
    found = region_loss(net, region, 0)(images)
    for row, logits in enumerate(net(images).detach()):
        margins = (logits[0] - logits[1])[region[row]].tolist()
        values = [-math.log(sigmoid(margin)) for margin in margins]
        assert found[row].item() == pytest.approx(sum(values) / len(values))
    with pytest.raises(ValueError, match="empty"):
        region_loss(net, torch.zeros(2, 3, 3, 3, dtype=torch.bool), 0)


def test_rows_are_those_of_the_batch():
    images, index = torch.randn(4, 1, 8, dtype=torch.float64), torch.tensor([3, 1])
    wanted = torch.rand(4, 3)
    losses = (label_loss(network(), wanted, wanted > 0.3), class_loss(network(), wanted.argmax(1)))
    for loss in losses:
        assert isinstance(loss, RowLoss)
        torch.testing.assert_close(loss.rows(index)(images[index]), loss(images)[index])


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(1), nn.Dropout(0.5)])
def test_layers_in_training_mode_are_refused(layer):
    net = nn.Sequential(layer, nn.Flatten(), nn.Linear(16, 1))
    wanted = torch.ones(2, 1)
    with pytest.raises(ValueError, match="training mode"):
        label_loss(net, wanted, wanted > 0)
    label_loss(net.eval(), wanted, wanted > 0)
