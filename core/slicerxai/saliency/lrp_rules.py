"""The rule set of layer-wise relevance propagation, as zennit hooks.

Name: `epsilon-plus-flat, normalisation passes`. By position in the executed network:

* first layers (those that read the image): Flat – relevance spreads evenly over the receptive field;
* last layer (the logits) and dense layers: Epsilon – exactly the linear contribution, so that margins of logits work;
* all other convolutions, transposed ones included: z⁺ (α1β0), biases left out so that none absorbs relevance; a unit
  without any positive contribution (switched on by its bias or normalisation) shares by magnitude |w||x| instead;
* normalisation and activations: passed through unchanged;
* average pooling: in proportion to the magnitudes of the inputs; max pooling, concatenation and interpolation: as
  their gradient;
* sums of two tensors (residual connections): in proportion to the magnitudes of the summands.

Bach et al. 2015 (doi:10.1371/journal.pone.0130140), Montavon et al. 2019 (doi:10.1007/978-3-030-28954-6_10), zennit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from zennit.composites import LayerMapComposite
from zennit.core import BasicHook, Hook
from zennit.rules import Epsilon, Flat, Pass
from zennit.types import Activation, AvgPool, Convolution, Linear

from slicerxai.errors import InputError
from slicerxai.saliency.plus_rule import EPSILON, PlusRule

NAME = "epsilon-plus-flat, normalisation passes"
NORMALISATION = (
    nn.modules.batchnorm._NormBase,  # batch and instance norm of any dimension
    nn.GroupNorm,
    nn.LayerNorm,
)


class Trace:
    """The linear layers of one forward pass in the order in which they ran.

    Args:
        several: relevance will run back over the pass several times; layers then keep what does not depend on it.
    """

    def __init__(self, several: bool = False) -> None:
        self.several = several
        self.order: list[nn.Module] = []
        self.image: Tensor | None = None
        self.reads_image: set[nn.Module] = set()

    def start(self, image: Tensor) -> None:
        """Forget the last pass; `image` is what the network will be given."""
        self.order.clear()
        self.reads_image.clear()
        self.image = image

    def enter(self, module: nn.Module, value: Tensor) -> None:
        """Record a layer and its input."""
        if module in self.order:
            msg = (
                f"layer-wise relevance propagation is not possible: the network uses a {type(module).__name__} layer "
                "more than once; choose integrated_gradients, input_x_gradient or occlusion"
            )
            raise InputError(msg)
        if not self.order or value is self.image:
            self.reads_image.add(module)
        self.order.append(module)

    def rule(self, module: nn.Module) -> Hook:
        """The rule of a layer, known only once the whole pass has run."""
        if module is self.order[-1] or isinstance(module, nn.Linear):
            return Epsilon(epsilon=EPSILON)
        if module in self.reads_image:
            return Flat(stabilizer=EPSILON)
        return PlusRule(self.several)


def magnitude_rule() -> BasicHook:
    """R_i = Σ_k w_ki (|x_i| + ε) / Σ_j w_kj (|x_j| + ε) R_k with the weights w of an average; conserves, is finite."""
    return BasicHook(
        input_modifiers=[lambda x: x.abs() + EPSILON],
        gradient_mapper=lambda relevance, outputs: [relevance / outputs[0]],
        reducer=lambda inputs, gradients: inputs[0] * gradients[0],
    )


class PositionRule(Hook):
    """A zennit hook that takes the rule of its layer's position."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace
        self.rule: Hook | None = None

    def copy(self) -> PositionRule:
        return PositionRule(self.trace)

    def pre_forward(self, module: nn.Module, input: Any) -> Any:
        self.trace.enter(module, input[0])
        self.rule = None
        return super().pre_forward(module, input)

    def forward(self, module: nn.Module, input: Any, output: Any) -> None:
        self.stored_tensors["input"] = input

    def backward(self, module: nn.Module, grad_input: Any, grad_output: Any) -> Any:
        if self.rule is None or not self.trace.several:
            self.rule = self.trace.rule(module)
        self.rule.stored_tensors = self.stored_tensors
        return self.rule.backward(module, grad_input, grad_output)


def composite(trace: Trace) -> LayerMapComposite:
    """The rule set as a zennit composite that reads layer positions from `trace`."""
    return LayerMapComposite(
        [
            (Linear, PositionRule(trace)),
            (NORMALISATION, Pass()),
            (Activation, Pass()),
            (AvgPool, magnitude_rule()),
        ]
    )


def has_rule(module: nn.Module) -> bool:
    """Whether the rule set covers a module that owns parameters."""
    return isinstance(module, (Linear, Convolution, Activation, *NORMALISATION))


class _Sum(torch.autograd.Function):
    """a + b; relevance goes back in proportion to |a| and |b|, which conserves it and cannot explode."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        return a + b

    @staticmethod
    def backward(ctx: Any, relevance: Tensor) -> tuple[Tensor, Tensor]:
        a, b = (t.abs() + torch.finfo(t.dtype).tiny for t in ctx.saved_tensors)
        share = a / (a + b)
        return relevance * share, relevance * (1 - share)


class _SumInPlace(_Sum):
    """a += b."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a.clone(), b)
        ctx.mark_dirty(a)
        return a.add_(b)


class ResidualSums(TorchFunctionMode):
    """Within this context, sums of two feature maps of one shape propagate relevance instead of copying it."""

    ADDITIONS: tuple[Callable[..., Any], ...] = (torch.add, Tensor.add)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not kwargs and _feature_maps(args):
            if func in self.ADDITIONS:
                return _Sum.apply(*args)
            if func is Tensor.add_:
                return _SumInPlace.apply(*args)
        return func(*args, **(kwargs or {}))


def _feature_maps(args: tuple[Any, ...]) -> bool:
    if len(args) != 2 or not all(isinstance(a, Tensor) and a.ndim > 1 for a in args):
        return False
    return args[0].shape == args[1].shape and any(a.requires_grad for a in args)
