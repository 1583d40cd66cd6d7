"""Layer-wise relevance propagation through zennit with the rule set of `lrp_rules`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from slicerxai.errors import InputError
from slicerxai.models.modular import private
from slicerxai.progress import Progress, silent
from slicerxai.saliency import lrp_rules
from slicerxai.saliency.attribution import Accumulator, Attribution
from slicerxai.saliency.target import Target


def lrp(target: Target, progress: Progress = silent) -> Attribution:
    """Relevance of each voxel for T.

    Starts with c_l w_p(v) z_l(v) at the logits. What the rules conserve is T(x) without the bias of the last layer,
    the only layer whose bias takes part.

    Raises:
        InputError: the network uses a layer twice, or has none with weights.
    """
    network, trace = private(target.network), lrp_rules.Trace()
    accumulator = Accumulator(target)
    composite, kept = lrp_rules.composite(trace), 0.0
    with unruled(network) as executed:
        for group in target.batches():
            progress(group[0] / len(target.windows), f"patch {group[0] + 1} of {len(target.windows)}")
            with torch.enable_grad(), composite.context(network):
                x = target.crop(target.tensor, group).requires_grad_()
                trace.start(x)
                with lrp_rules.ResidualSums():
                    logits = network(x)
                if not trace.order:
                    msg = "layer-wise relevance propagation needs a network with convolution or dense layers"
                    raise InputError(msg)
                seed = (logits * target.weights(group, logits)).detach()
                (relevance,) = torch.autograd.grad(logits, x, seed, allow_unused=True, materialize_grads=True)
            accumulator.add_decision(group, target.contributions(group, logits))
            accumulator.add_map(group, relevance)
            kept += float((seed - last_bias(trace.order[-1], target.weights(group, logits))).double().sum())
    return Attribution(
        accumulator.relevance,
        accumulator.decision,
        tuple(accumulator.windows),
        expected=kept,
        expectation="the decision without the constant (bias) of the last layer",
        unruled=tuple(executed),
    )


def last_bias(layer: nn.Module, weights: Tensor) -> Tensor:
    """What the bias of the logit layer adds to T, in the shape of the logits."""
    bias = getattr(layer, "bias", None)
    if bias is None or len(bias) != weights.shape[1]:
        return torch.zeros((), device=weights.device)
    return weights * bias.detach().reshape(1, -1, *(1,) * (weights.ndim - 2))


@contextmanager
def unruled(network: nn.Module) -> Iterator[list[str]]:
    """Collects the names of executed modules that own parameters but have no rule; `network` is a private copy."""
    names: list[str] = []
    for name, module in network.named_modules():
        if not any(True for _ in module.parameters(recurse=False)) or lrp_rules.has_rule(module):
            continue

        def record(*_: object, name: str = name or type(module).__name__) -> None:
            if name not in names:
                names.append(name)

        module.register_forward_hook(record)
    yield names
