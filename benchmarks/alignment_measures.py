"""What is measured of a fitted network on the lesions of one part.

Maps explain the predicted class: of its logit where the network says malignant, of the negative logit where it says
benign. All are compared with the reader's mask on the image's own pixels.

- accuracy: probability above 0.5; as many benign as malignant lesions, so 0.5 is chance. AUC. The same after the
  symbol was turned into the other one. AUC within fifths of the lesion's area, since area alone tells much.
- CAM: HiResCAM (Σ_k A_k ∂z/∂A_k, negative values 0) of the deepest module whose grid is that of the image's pixels;
  precision is the share of the places at or above half of the maximum that lie inside the mask. `cam_energy`: share of
  the map's sum inside, no threshold. `cam2_*`: the deepest module whose grid is at most 2 pixels. `coarse_*`:
  Grad-CAM of the last feature maps.
- input_x_gradient: share of |x · ∂z/∂x| inside.
- counterfactual: share inside the mask of the ℓ1 change that turns the decision, and share of images where it turns.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.alignment_data import Part
from slicerxai.alignment.counterfactual import counterfactual
from slicerxai.alignment.counterfactual_parameters import SolverParameters
from slicerxai.alignment.losses import label_loss
from slicerxai.alignment.metrics import accuracy, auc, cam_precision, counterfactual_precision, energy_inside
from slicerxai.alignment.metrics import size_controlled as controlled
from slicerxai.models.modular import private
from slicerxai.saliency.class_activation import grad_cam
from slicerxai.saliency.fine_cam import hires_cam

BATCH: Final = 64
STRATA: Final = 5
SEARCH: Final = SolverParameters(distance="l1", alpha=0.1, steps=25, tolerance=1e-2, low=0, high=1)


class Predicted(nn.Module):
    """Two logits of a network with one: of absence and of presence."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logit = self.network(images)
        return torch.cat([-logit, logit], dim=1)


def measured(network: nn.Module, part: Part, device: torch.device, *, masked: bool, full: bool) -> dict[str, float]:
    """Figures of one network, by name.

    Args:
        network: (B, 1, H, W) to logits (B, 1), in eval mode.
        masked: the network is given images times masks (the oracle).
        full: with counterfactuals.
    """
    images, masks = part.arrays.images, part.arrays.masks
    flipped = part.flipped
    if masked:
        images, flipped = images * masks, flipped * masks
    truth = part.arrays.labels.numpy() > 0.5
    network = network.to(device).eval()
    logits = _logits(network, images, device)
    turned = _logits(network, flipped, device)
    by_size = controlled(logits[:, 0], truth[:, 0], part.area, STRATA)
    figures = {
        "accuracy": accuracy(logits, truth),
        "auc": auc(logits, truth),
        "accuracy_flipped": accuracy(turned, truth),
        "decisions_flipped": float(((logits > 0) != (turned > 0)).mean()),
        "size_controlled_auc": by_size.stratified_auc,
        "matched_auc": by_size.matched_auc,
    }
    reached = masks if masked else torch.ones_like(masks)
    return figures | _maps(network, images, masks, reached, torch.from_numpy(logits > 0), device, full=full)


def _maps(
    network: nn.Module,
    images: Tensor,
    masks: Tensor,
    reached: Tensor,
    says: Tensor,
    device: torch.device,
    *,
    full: bool,
) -> dict[str, float]:
    """Of the maps; `reached` (N, 1, H, W): where the image reaches the network at all."""
    both = Predicted(private(network)).to(device).eval()
    fine, less_fine = _layers(both, images[:1].to(device))
    found: dict[str, list[Tensor]] = {}
    for start in range(0, len(images), BATCH):
        rows = slice(start, start + BATCH)
        image, mask, chosen = images[rows].to(device), masks[rows], says[rows, 0].long()
        place = torch.arange(len(chosen))
        for name, layer in (("cam", fine), ("cam2", less_fine)):
            cam = hires_cam(both, image, layer).cpu()[place, chosen, 0]
            found.setdefault(f"{name}_precision", []).append(cam_precision(cam, mask[:, 0]))
            found.setdefault(f"{name}_energy", []).append(energy_inside(cam, mask[:, 0]))
        cam = grad_cam(private(both), image).maps[place, chosen, 0]
        found.setdefault("coarse_precision", []).append(cam_precision(cam, mask[:, 0]))
        found.setdefault("coarse_energy", []).append(energy_inside(cam, mask[:, 0]))
        at = image.clone().requires_grad_()
        (slope,) = torch.autograd.grad(network(at).sum(), at)
        found.setdefault("input_x_gradient", []).append(energy_inside((slope * image).cpu()[:, 0], mask[:, 0]))
        if full:
            wanted = 1 - chosen[:, None].float().to(device)
            loss = label_loss(network, wanted, torch.ones_like(wanted, dtype=torch.bool))
            change = counterfactual(loss, image, SEARCH, allowed=reached[rows].to(device))
            after = network(change.images).detach() > 0
            found.setdefault("counterfactual_turned", []).append((after == (wanted > 0.5)).float().cpu()[:, 0])
            inside = counterfactual_precision(change.change.cpu()[:, 0], mask[:, 0])
            found.setdefault("counterfactual_precision", []).append(inside)
    return {name: float(np.nanmean(torch.cat(values).numpy())) for name, values in found.items()}


def _layers(network: nn.Module, image: Tensor) -> tuple[str, str]:
    """Names of the deepest modules with feature maps on a grid of the image's pixels, and of at most two of them."""
    deepest: dict[int, str] = {}
    handles = []

    def watch(name: str, module: nn.Module) -> None:
        def see(_module: nn.Module, _input: object, output: object) -> None:
            if isinstance(output, Tensor) and output.ndim == image.ndim and output.shape[1] > 1:
                step = max(-(-n // m) for n, m in zip(image.shape[2:], output.shape[2:], strict=True))
                for limit in (1, 2):
                    if step <= limit or (limit == 1 and image.shape[2] - output.shape[2] <= NARROWER):
                        deepest[limit] = name

        handles.append(module.register_forward_hook(see))

    for name, module in network.named_modules():
        if name:
            watch(name, module)
    with torch.no_grad():
        network(image)
    for handle in handles:
        handle.remove()
    return deepest.get(1, deepest[2]), deepest[2]


NARROWER: Final = 4
"""Pixels that convolutions without padding may take off an axis while the grid counts as that of the image's pixels."""


@torch.no_grad()
def _logits(network: nn.Module, images: Tensor, device: torch.device) -> np.ndarray:
    parts = [network(images[start : start + BATCH].to(device)).cpu() for start in range(0, len(images), BATCH)]
    result: np.ndarray = torch.cat(parts).double().numpy()
    return result
