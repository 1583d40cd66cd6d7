"""Class-specific maps: one for each label of a classifier, from one forward pass wherever the method allows it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from slicerxai.errors import InputError
from slicerxai.models.modular import logits_of, modular
from slicerxai.progress import Progress, silent
from slicerxai.saliency import lrp_rules
from slicerxai.saliency.class_attribution import ClassMaps, unpromised
from slicerxai.saliency.lrp import last_bias, unruled

ClassMethod = Literal[
    "input_x_gradient", "lrp", "integrated_gradients", "grad_cam", "grad_cam_pp", "occlusion", "lime", "kernel_shap"
]


def class_maps(
    network: nn.Module,
    images: Tensor,
    method: ClassMethod,
    device: torch.device,
    *,
    baseline: Tensor | None = None,
    steps: int = 16,
    seed: int = 0,
    progress: Progress = silent,
) -> ClassMaps:
    """The maps of all labels for one batch of images.

    Gradients of all labels run back over the graph of a single forward pass. The network is not changed.

    Args:
        network: BC… to logits BL, in eval mode, on the device.
        images: (B, C, *spatial), float32.
        baseline: what an image is compared with, of the images' shape; zeros by default.
        steps: nodes of integrated gradients; evaluations for each box of LIME and KernelSHAP.
        seed: of the samples of LIME and KernelSHAP.

    Raises:
        InputError: the network uses a layer twice or has none with weights (LRP), or has no feature maps (Grad-CAM).
    """
    if any(module.training for module in network.modules()):
        msg = "the network is in training mode; call .eval() before explaining it"
        raise ValueError(msg)
    copied, x = modular(network), images.to(device)
    if method == "input_x_gradient":
        return input_x_gradient(copied, x, progress)
    if method == "lrp":
        return lrp(copied, x, progress)
    raise NotImplementedError(method)


def input_x_gradient(network: nn.Module, images: Tensor, progress: Progress = silent) -> ClassMaps:
    """x ⊙ ∂z_l/∂x (Shrikumar et al. 2016, arXiv:1605.01713); promises no sum."""
    with torch.enable_grad():
        x = images.detach().requires_grad_()
        logits = logits_of(network, x)
        maps = [(x * g).detach().cpu() for g in _backwards(logits, x, torch.ones_like(logits), progress)]
    plain = logits.detach().cpu()
    return ClassMaps(torch.stack(maps, 1), plain, unpromised(plain))


def lrp(network: nn.Module, images: Tensor, progress: Progress = silent) -> ClassMaps:
    """Layer-wise relevance propagation with the rules `lrp_rules.NAME`; sums to z without the last bias.

    Args:
        network: a private copy; hooks are put on it.
    """
    trace = lrp_rules.Trace()
    with unruled(network) as executed, torch.enable_grad(), lrp_rules.composite(trace).context(network):
        x = images.detach().requires_grad_()
        trace.start(x)
        with lrp_rules.ResidualSums():
            logits = logits_of(network, x)
        if not trace.order:
            msg = "layer-wise relevance propagation needs a network with convolution or dense layers"
            raise InputError(msg)
        maps = [r.detach().cpu() for r in _backwards(logits, x, _stabilised(logits.detach()), progress)]
    plain = logits.detach()
    expected = plain - last_bias(trace.order[-1], torch.ones_like(plain))
    return ClassMaps(torch.stack(maps, 1), plain.cpu(), expected.cpu(), unruled=tuple(executed))


def _stabilised(logits: Tensor) -> Tensor:
    """z + ε sign z, which the epsilon rule of the last layer divides by: small logits lose nothing to ε."""
    return logits + lrp_rules.EPSILON * torch.where(logits < 0, -1.0, 1.0)


def _backwards(logits: Tensor, x: Tensor, seeds: Tensor, progress: Progress) -> list[Tensor]:
    """Σ_l' seed_l' ∂z_l'/∂x of one label l after the other, over the same graph."""
    count, found = logits.shape[1], []
    for label in range(count):
        progress(label / count, f"class {label + 1} of {count}")
        (gradient,) = torch.autograd.grad(
            logits[:, label],
            x,
            seeds[:, label],
            retain_graph=label < count - 1,
            allow_unused=True,
            materialize_grads=True,
        )
        found.append(gradient)
    return found
