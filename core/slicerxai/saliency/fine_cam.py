"""Class activation maps of an early layer, whose grid is nearly as fine as the image's: LayerCAM and HiResCAM."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from slicerxai.errors import InputError
from slicerxai.models.modular import logits_of, private
from slicerxai.saliency.class_activation import INTERPOLATION

LARGEST_STEP = 2
"""Pixels of the image from one place of the feature maps to the next, at most."""

FineCam = Literal["layer_cam", "hires_cam"]


def layer_cam(network: nn.Module, images: Tensor, layer: str) -> Tensor:
    """ReLU(Σ_k ReLU(g_kv) A_kv), g = ∂z/∂A (Jiang et al., IEEE TIP 2021;30:5875, eq. 5–7); (B, L, 1, *spatial).

    Brought to the size of the image by linear interpolation; without unit, never negative.

    Args:
        network: BC… to logits BL, in eval mode; not changed.
        images: (B, C, *spatial), on the network's device.
        layer: name of the module whose output A (B, K, *places) is weighted.

    Raises:
        InputError: no module of this name, one that gives no feature maps or too coarse ones; a network whose logits
            do not depend on it.
    """
    return _map(network, images, layer, "layer_cam")


def hires_cam(network: nn.Module, images: Tensor, layer: str) -> Tensor:
    """Σ_k g_kv A_kv, g = ∂z/∂A (Draelos & Carin 2020, arXiv:2011.08891, eq. 4), negative values left at 0.

    Shape, arguments and errors as of `layer_cam`.
    """
    return _map(network, images, layer, "hires_cam")


def _map(network: nn.Module, images: Tensor, layer: str, method: FineCam) -> Tensor:
    features, logits = _features(network, images, layer)
    maps = []
    for label in range(logits.shape[1]):
        (gradient,) = torch.autograd.grad(logits[:, label].sum(), features, retain_graph=True)
        weight = gradient.clamp(min=0) if method == "layer_cam" else gradient
        maps.append((weight * features.detach()).sum(1, keepdim=True).clamp(min=0))
    size = images.shape[2:]
    fine = nn.functional.interpolate(torch.cat(maps, 1), size, mode=INTERPOLATION[len(size)], align_corners=False)
    return fine[:, :, None]


def _features(network: nn.Module, images: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """A, the leaf from which the graph to the logits starts, and the logits."""
    copied = private(network)
    modules = dict(copied.named_modules())
    if layer not in modules:
        msg = f"the network has no layer {layer!r}; it has: {', '.join(name for name in modules if name)}"
        raise InputError(msg)
    taken: list[Tensor] = []

    def start(_module: nn.Module, _input: object, output: object) -> Tensor | None:
        if not isinstance(output, Tensor):
            return None
        taken.append(output.detach().requires_grad_())
        return taken[-1].clone()  # so that an activation in place may follow

    handle = modules[layer].register_forward_hook(start)
    with torch.enable_grad():
        logits = logits_of(copied, images)
    handle.remove()
    if len(taken) != 1 or taken[0].ndim != images.ndim or not logits.requires_grad:
        msg = f"layer {layer!r} gives no feature maps that the logits depend on, or several; choose a convolution layer"
        raise InputError(msg)
    step = max(-(-n // m) for n, m in zip(images.shape[2:], taken[0].shape[2:], strict=True))
    if step > LARGEST_STEP:
        msg = (
            f"the feature maps of layer {layer!r} have one place for {step} pixels; choose an earlier layer with at "
            f"most {LARGEST_STEP}"
        )
        raise InputError(msg)
    return taken[0], logits
