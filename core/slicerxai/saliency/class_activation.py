"""Class activation maps weighted by gradients: Grad-CAM and Grad-CAM++, of all labels at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from slicerxai.errors import InputError
from slicerxai.models.modular import logits_of
from slicerxai.progress import Progress, silent
from slicerxai.saliency.class_attribution import ClassMaps, unpromised

INTERPOLATION = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass
class Tap:
    """The feature maps of the last module that gives any.

    Attributes:
        features: A, (B, K, *places), the leaf from which the graph to the logits starts.
        name: the module.
    """

    features: Tensor | None = None
    name: str = ""


def grad_cam(
    network: nn.Module,
    images: Tensor,
    method: Literal["grad_cam", "grad_cam_pp"] = "grad_cam",
    progress: Progress = silent,
) -> ClassMaps:
    """ReLU(Σ_k w_k A^k), brought to the size of the image by linear interpolation; (B, L, 1, *spatial).

    A are the feature maps of the last module with more than one place, which in DenseNets and ResNets is rectified.
    Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391, eq. 1 and 2): w_k = mean_v g_kv, g = ∂z/∂A. Grad-CAM++
    (Chattopadhay et al. 2018, arXiv:1710.11063, eq. 9, 10 and 19): w_k = Σ_v α_kv ReLU(g_kv) with
    α_kv = g_kv² / (2 g_kv² + Σ_u A_ku g_kv³), 0 where the denominator is; its factor exp(z) of a whole map, which may
    overflow, is left out. Neither promises a sum.

    Args:
        network: a private copy; hooks are put on it.

    Raises:
        InputError: no module gives feature maps.
    """
    progress(0.0, "forward pass")
    tap = Tap()
    handles = [_watch(name, module, images.ndim, tap) for name, module in network.named_modules() if name]
    with torch.enable_grad():
        logits = logits_of(network, images)
    for handle in handles:
        handle.remove()
    if tap.features is None or not logits.requires_grad:
        msg = f"{method} needs a network with feature maps; choose input_x_gradient or occlusion"
        raise InputError(msg)
    weigh = _mean_gradient if method == "grad_cam" else _positive_gradients
    features, maps = tap.features.detach(), []
    for label in range(logits.shape[1]):
        (gradient,) = torch.autograd.grad(logits[:, label].sum(), tap.features, retain_graph=True)
        maps.append((weigh(features, gradient) * features).sum(1, keepdim=True).clamp(min=0))
        progress((label + 1) / logits.shape[1], f"class {label + 1} of {logits.shape[1]}")
    coarse, size = torch.cat(maps, 1), images.shape[2:]
    fine = nn.functional.interpolate(coarse, size, mode=INTERPOLATION[len(size)], align_corners=False)
    plain = logits.detach().cpu()
    return ClassMaps(fine[:, :, None].cpu(), plain, unpromised(plain), layer=tap.name)


def _watch(name: str, module: nn.Module, dimensions: int, tap: Tap) -> torch.utils.hooks.RemovableHandle:
    """Let the graph start anew at every module with feature maps: in the end it reaches from the last one only."""

    def start(_module: nn.Module, _input: object, output: object) -> Tensor | None:
        if not isinstance(output, Tensor) or output.ndim != dimensions or output[0, 0].numel() == 1:
            return None
        tap.features, tap.name = output.detach().requires_grad_(), name
        return tap.features.clone()  # so that a sum in place may follow

    return module.register_forward_hook(start)


def _mean_gradient(features: Tensor, gradient: Tensor) -> Tensor:
    return gradient.mean(dim=tuple(range(2, features.ndim)), keepdim=True)


def _positive_gradients(features: Tensor, gradient: Tensor) -> Tensor:
    places = tuple(range(2, features.ndim))
    below = 2 * gradient**2 + features.sum(dim=places, keepdim=True) * gradient**3
    alpha = torch.where(below == 0, 0, gradient**2 / torch.where(below == 0, 1, below))
    return (alpha * gradient.clamp(min=0)).sum(dim=places, keepdim=True)
