"""Counting: passes through a network, volumes that torch makes, and the most that NumPy holds."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass
class Tally:
    """Items (patches or images, each one counts, also in a batch) that went through a network, and back."""

    forward: int = 0
    backward: int = 0

    def __deepcopy__(self, memo: dict[int, Any]) -> Tally:
        """Copies of a network count together."""
        return self


class Counted(nn.Module):
    """A network that counts."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.tally = network, Tally()
        self.train(network.training)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.network(x)
        self.tally.forward += len(x)
        if out.requires_grad:
            out.register_hook(self._back)
        return out

    def _back(self, gradient: Tensor) -> None:
        self.tally.backward += len(gradient)


class TorchVolumes(TorchDispatchMode):
    """Counts tensors of at least so many elements that operations return in memory of their own."""

    def __init__(self, elements: int) -> None:
        super().__init__()
        self.elements, self.count = elements, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = {_memory(tensor) for tensor in tree_leaves((args, kwargs)) if isinstance(tensor, Tensor)}
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.numel() >= self.elements and _memory(tensor) not in known:
                self.count += 1
        return result


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def numpy_peak(compute: Callable[[], object]) -> int:
    """Most bytes that Python and NumPy hold at once during a computation, above what they held before."""
    tracemalloc.start()
    try:
        compute()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def torch_volumes(compute: Callable[[], object], elements: int) -> int:
    """How many volumes of at least so many elements torch makes."""
    with TorchVolumes(elements) as volumes:
        compute()
    return volumes.count
