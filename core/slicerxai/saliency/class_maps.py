"""Class-specific maps: one for each label of a classifier, from one forward pass wherever the method allows it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from slicerxai.errors import InputError
from slicerxai.models.modular import logits_of, modular, private
from slicerxai.progress import Progress, each, silent
from slicerxai.saliency import lrp_rules
from slicerxai.saliency.class_activation import grad_cam
from slicerxai.saliency.class_attribution import ClassMaps, unpromised
from slicerxai.saliency.class_method import ClassMethod
from slicerxai.saliency.class_perturbation import perturbation
from slicerxai.saliency.frozen import frozen_norms
from slicerxai.saliency.lrp import last_bias, unruled
from slicerxai.saliency.plus_rule import EPSILON


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
    x = images.to(device)
    reference = torch.zeros_like(x) if baseline is None else baseline.to(device)
    if reference.shape != x.shape:
        msg = f"the baseline has shape {tuple(reference.shape)}, the images {tuple(x.shape)}"
        raise ValueError(msg)
    if method == "lrp":
        return lrp(modular(network), x, progress)
    if method == "grad_cam" or method == "grad_cam_pp":  # noqa: PLR1714 – narrows the type
        return grad_cam(modular(network), x, method, progress)
    if method == "input_x_gradient":
        return input_x_gradient(frozen_norms(private(network)), x, progress)
    if method == "integrated_gradients":
        return integrated_gradients(frozen_norms(private(network)), x, reference, steps, progress)
    return perturbation(private(network), x, method, reference, steps, seed, progress)


def input_x_gradient(network: nn.Module, images: Tensor, progress: Progress = silent) -> ClassMaps:
    """x ⊙ ∂z_l/∂x (Shrikumar et al. 2016, arXiv:1605.01713); promises no sum."""
    with torch.enable_grad():
        x = images.detach().requires_grad_()
        logits = logits_of(network, x)
        maps = [(x * g).detach().cpu() for g in _backwards(logits, x, torch.ones_like(logits), progress)]
    plain = logits.detach().cpu()
    return ClassMaps(torch.stack(maps, 1), plain, unpromised(plain))


def integrated_gradients(
    network: nn.Module, images: Tensor, baseline: Tensor, steps: int, progress: Progress = silent
) -> ClassMaps:
    """(x − b) ⊙ ∫₀¹ ∂z_l/∂x (b + α(x − b)) dα (Sundararajan et al. 2017, arXiv:1703.01365), Gauss–Legendre.

    Sums to z(x) − z(b) up to the error of the quadrature. All labels share the forward passes of the path.
    """
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    total = torch.zeros((), device=images.device)
    for (node, weight), inner in each(progress, list(zip(nodes.tolist(), weights.tolist(), strict=True))):
        with torch.enable_grad():
            x = torch.lerp(baseline, images, (node + 1) / 2).detach().requires_grad_()
            logits = logits_of(network, x)
            slopes = torch.stack(_backwards(logits, x, torch.ones_like(logits), inner), 1)
        total = total + slopes * (weight / 2)
    with torch.no_grad():
        after, before = logits_of(network, images).cpu(), logits_of(network, baseline).cpu()
    return ClassMaps(((images - baseline)[:, None] * total).cpu(), after, after - before)


def lrp(network: nn.Module, images: Tensor, progress: Progress = silent) -> ClassMaps:
    """Layer-wise relevance propagation with the rules `lrp_rules.NAME`; sums to z without the last bias.

    Args:
        network: a private copy; hooks are put on it.
    """
    trace = lrp_rules.Trace(several=True)
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
    return logits + EPSILON * torch.where(logits < 0, -1.0, 1.0)


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
