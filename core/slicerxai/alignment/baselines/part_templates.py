"""Loss that makes each filter of a convolution the detector of one part of one category, and its masks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

BETA = 4.0
"""How steeply a template falls with the distance from its place."""


def templates(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """T_μ of all places μ in the order of a flattened map, then T⁻; (height · width + 1, height, width).

    t_ij = τ max(1 − β ‖(i, j) − μ‖₁ / n, −1) and t⁻_ij = −τ; τ = 0.5 / n², n the longer edge of the map.
    """
    longer = max(height, width)
    rows, columns = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    place = torch.stack([rows.flatten(), columns.flatten()], 1).float()
    distance = (place[:, None] - place[None]).abs().sum(2)
    positive = (1 - BETA * distance / longer).clamp(min=-1)
    negative = -torch.ones(1, height * width, device=device)
    return torch.cat([positive, negative]).reshape(-1, height, width) * 0.5 / longer**2


def prior(places: int, device: torch.device | None = None) -> Tensor:
    """p(T) of the templates: α / n² for each of the n² places and 1 − α for T⁻, α = n² / (1 + n²); all are equal."""
    return torch.full((places + 1,), 1 / (places + 1), device=device)


def masked_maps(features: Tensor) -> Tensor:
    """max(x ∘ T_μ̂, 0) with T_μ̂ / τ, μ̂ the place of the largest value of each map; features (B, D, h, w) ≥ 0."""
    height, width = features.shape[2:]
    every = templates(height, width, features.device)
    at = features.detach().flatten(2).argmax(2)
    return (features * (every / every.amax())[at]).clamp(min=0)


def _logarithms(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """tr(x·T), log p(x|T) and log p(x) of maps (B, D, h, w): (B, D, M), (B, D, M) and (B, D).

    p(x|T) = exp tr(x·T) / Z_T with Z_T the sum over the images of the batch, held constant as in the publication.
    """
    height, width = features.shape[2:]
    fit = torch.einsum("bdhw,mhw->bdm", features, templates(height, width, features.device))
    given = fit - torch.logsumexp(fit.detach(), 0, keepdim=True)
    return fit, given, torch.logsumexp(given + prior(height * width, features.device).log(), 2)


def filter_losses(features: Tensor) -> Tensor:
    """Loss_f = −MI(X; T) = −Σ_T p(T) Σ_x p(x|T) log(p(x|T) / p(x)) of each filter, (D,); X are the batch's maps.

    (Zhang, Wu & Zhu, CVPR 2018, arXiv:1710.00935, eq. 1.) Its gradient in x is their eq. 3.
    """
    _, given, marginal = _logarithms(features)
    information = (given.exp() * (given - marginal[..., None])).sum(0)
    return -(information * prior(features[0, 0].numel(), features.device)).sum(1)


def part_loss(features: Tensor, wanted: Tensor) -> Tensor:
    """A scalar whose gradient in the maps is that of Σ_f Loss_f as the publication approximates it (its eq. 4).

    Of all templates only the one that fits counts, T̂: T_μ̂ in images of the filter's category, T⁻ in all others.

    Args:
        features: (B, D, h, w) ≥ 0.
        wanted: (B, D) bool: the image is of the filter's category.
    """
    fit, given, marginal = _logarithms(features)
    places = features[0, 0].numel()
    target = torch.where(wanted, features.detach().flatten(2).argmax(2), places)[..., None]
    log = given.detach().gather(2, target)[..., 0]
    factor = log.exp() * (log - marginal.detach()) / (places + 1)
    return -(factor * fit.gather(2, target)[..., 0]).sum()


def categories(labels: Tensor) -> Tensor:
    """Which categories (B, K) images of these labels (B, L) belong to: absent or present for one label, else the labels
    that are present."""
    present = labels > 0.5
    return torch.cat([~present, present], 1) if labels.shape[1] == 1 else present


def mean_activity(features: Tensor, member: Tensor) -> Tensor:
    """Mean over the images of each category of Σ_ij x_ij, (K, D); NaN for a category without image."""
    of = functional.normalize(member.float(), p=1, dim=0, eps=0.0)
    return of.T @ features.detach().sum((2, 3))
