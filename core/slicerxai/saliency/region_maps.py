"""Maps of several regions of one patch from a single forward pass of a segmenter's network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from slicerxai.models.modular import private
from slicerxai.saliency import lrp_rules
from slicerxai.saliency.frozen import frozen_norms


def region_maps(
    network: nn.Module,
    patch: Tensor,
    weights: Sequence[Tensor],
    method: Literal["input_x_gradient", "lrp"],
    device: torch.device,
) -> Iterator[Tensor]:
    """The map of Σ_lv w_l(v) z_l(v) for each weighting w, one after the other, over the graph of one forward pass.

    Args:
        network: 1C… to logits 1L…, in eval mode, on the device; it is not changed.
        patch: (C, *window).
        weights: each (L, *window).

    Yields:
        (C, *window), float32, CPU.
    """
    trace = lrp_rules.Trace(several=len(weights) > 1)
    copied = private(network) if method == "lrp" else frozen_norms(private(network))
    hooks = lrp_rules.composite(trace).context(copied) if method == "lrp" else torch.enable_grad()
    with torch.enable_grad(), hooks:
        x = patch[None].to(device).requires_grad_()
        trace.start(x)
        if method == "lrp":
            with lrp_rules.ResidualSums():
                logits = copied(x)
        else:
            logits = copied(x)
        for number, weight in enumerate(weights):
            seed = weight[None].to(logits)
            (relevance,) = torch.autograd.grad(
                logits,
                x,
                seed * logits.detach() if method == "lrp" else seed,
                retain_graph=number < len(weights) - 1,
                allow_unused=True,
                materialize_grads=True,
            )
            found = relevance if method == "lrp" else relevance * x.detach()
            yield found[0].detach().cpu()
