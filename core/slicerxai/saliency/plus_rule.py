"""The z⁺ rule of layer-wise relevance propagation, as a zennit hook that does no needless work."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from zennit.core import Hook, ParamMod
from zennit.rules import ClampMod

EPSILON = 1e-6
POSITIVE = ClampMod(min=0.0, zero_params=["bias"])
NEGATIVE = ClampMod(max=0.0, zero_params=["bias"])
MAGNITUDE = ParamMod(lambda parameter, _name: parameter.abs(), zero_params=["bias"])


class PlusRule(Hook):
    """z⁺, and where a unit has no positive contribution a share by magnitude, so that no relevance is lost.

    R_i = Σ_k (w_ki x_i)⁺ / Σ_j (w_kj x_j)⁺ R_k, and |w_ki| (|x_i| + ε) / Σ_j |w_kj| (|x_j| + ε) R_k for such units k.

    Args:
        several: relevance will come several times; the contributions, which do not depend on it, are kept.
    """

    def __init__(self, several: bool = False) -> None:
        super().__init__()
        self.several = several
        self.kept: list[tuple[Tensor, Tensor]] = []

    def backward(self, module: nn.Module, grad_input: Any, grad_output: Any) -> tuple[Tensor, ...]:
        parts = self.kept or self._contributions(module)
        if self.several:
            self.kept = parts
        *signed, magnitude = [z.detach() for _, z in parts]
        positive: Tensor = sum(signed[1:], start=signed[0])
        usual = positive > EPSILON * magnitude
        one = torch.ones((), device=positive.device)
        shared = torch.where(usual, grad_output[0] / positive.where(usual, one), 0)
        rest = torch.where(usual | (magnitude == 0), 0, grad_output[0] / magnitude.where(magnitude > 0, one))
        wanted = [(x, z, shared) for x, z in parts[:-1]] + ([(*parts[-1], rest)] if rest.any() else [])
        inputs, outputs, ratios = zip(*wanted, strict=True)
        gradients = torch.autograd.grad(outputs, inputs, ratios, retain_graph=self.several)
        relevance = sum(x.detach() * g for x, g in zip(inputs, gradients, strict=True))
        return (relevance,)

    def _contributions(self, module: nn.Module) -> list[tuple[Tensor, Tensor]]:
        """Inputs and outputs of the layer's positive contributions, and last of its magnitudes."""
        x = self.stored_tensors["input"][0].detach()
        changed = [(x.clamp(min=0), POSITIVE), (x.clamp(max=0), NEGATIVE), (x.abs() + EPSILON, MAGNITUDE)]
        if not (x < 0).any():
            del changed[1]  # nothing but zeros
        parts = []
        for value, change in changed:
            with ParamMod.ensure(change)(module) as modified, torch.enable_grad():
                value.requires_grad_()
                parts.append((value, modified.forward(value)))
        return parts
