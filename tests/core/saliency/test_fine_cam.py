import pytest
import torch
from torch import nn

from slicerxai.errors import InputError
from slicerxai.saliency.fine_cam import hires_cam, layer_cam


def network(stride: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, stride=stride),
        nn.ReLU(inplace=True),
        nn.Conv2d(3, 4, 3, padding=1, stride=2),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    ).eval()


def slow(net: nn.Sequential, images: torch.Tensor, label: int, positive: bool) -> torch.Tensor:
    """Each image by itself, each place and channel in loops."""
    maps = []
    for image in images:
        features = net[0](image[None]).detach().requires_grad_()
        logit = net[2:](torch.relu(features))[0, label]
        (gradient,) = torch.autograd.grad(logit, features)
        cam = torch.zeros(features.shape[2:])
        for k in range(features.shape[1]):
            for i in range(cam.shape[0]):
                for j in range(cam.shape[1]):
                    weight = gradient[0, k, i, j]
                    if positive and weight < 0:
                        continue
                    cam[i, j] += (weight * features[0, k, i, j]).detach()
        maps.append(cam.clamp(min=0))
    return torch.stack(maps)


@pytest.mark.parametrize(("method", "positive"), [(layer_cam, True), (hires_cam, False)])
def test_formula(method, positive):
    net, images = network(), torch.randn(2, 1, 6, 8, generator=torch.Generator().manual_seed(1))
    found = method(net, images, "0")
    assert found.shape == (2, 2, 1, 6, 8)
    for label in (0, 1):
        torch.testing.assert_close(found[:, label, 0], slow(net, images, label, positive))
    assert not torch.allclose(layer_cam(net, images, "0"), hires_cam(net, images, "0"))


def test_grid_of_two_pixels_is_interpolated():
    net, images = network(stride=2), torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    coarse = slow(net, images, 0, positive=True)
    fine = nn.functional.interpolate(coarse[:, None], (8, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(layer_cam(net, images, "0")[:, 0], fine)


def test_volumes():
    net = nn.Sequential(nn.Conv3d(1, 2, 1), nn.SiLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(2, 1)).eval()
    assert layer_cam(net, torch.randn(2, 1, 4, 5, 6), "0").shape == (2, 1, 1, 4, 5, 6)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("9", "no layer '9'"),
        ("2", "one place for 4 pixels"),
        ("5", "no feature maps"),
    ],
)
def test_unusable_layer(layer, message):
    with pytest.raises(InputError, match=message):
        layer_cam(network(stride=2), torch.randn(1, 1, 16, 16), layer)


def test_network_stays_as_it_is():
    net = network()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    layer_cam(net, torch.randn(1, 1, 6, 6), "0")
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    assert not net[0]._forward_hooks
    assert all(parameter.grad is None for parameter in net.parameters())
