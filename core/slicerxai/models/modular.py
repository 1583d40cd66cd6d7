"""Classifiers as trees of modules, so that hooks see every step."""

from __future__ import annotations

import copy
from collections import OrderedDict
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn


def private(network: nn.Module) -> nn.Module:
    """A copy of the module tree on the same memory: its tensors are those of the network, but need no gradient.

    Hooks, flags and `requires_grad` of the copy never touch a network that is in use elsewhere.
    """
    shared: dict[int, Any] = {}
    for module in network.modules():  # a dozen empty tables of hooks each, which copy.deepcopy is slow with
        tables = (value for value in vars(module).values() if type(value) is OrderedDict and not value)
        shared |= {id(table): OrderedDict() for table in tables}
    for tensor in chain(network.parameters(), network.buffers()):
        detached = tensor.detach()
        is_parameter = isinstance(tensor, nn.Parameter)
        shared[id(tensor)] = nn.Parameter(detached, requires_grad=False) if is_parameter else detached
    return copy.deepcopy(network, shared)


def modular(network: nn.Module) -> nn.Module:
    """A private copy in which every activation and pooling is a module and nothing happens in place.

    torchvision's DenseNet calls ReLU and average pooling as functions on its features; here they become modules (the
    memory-saving recomputation of its layers is off). All other networks, such as torchvision's ResNet and MONAI's
    DenseNet and ResNet, only have `inplace` switched off. The outputs are the same.
    """
    copied = private(network)
    for module in copied.modules():
        for flag in ("inplace", "memory_efficient"):
            if getattr(module, flag, False):
                setattr(module, flag, False)
    return _with_modular_head(copied) if _is_torchvision_densenet(network) else copied


def _is_torchvision_densenet(network: nn.Module) -> bool:
    """Known by its name: torchvision need not be installed."""
    return any((c.__module__, c.__name__) == ("torchvision.models.densenet", "DenseNet") for c in type(network).mro())


def _with_modular_head(network: nn.Module) -> nn.Module:
    parts: list[tuple[str, nn.Module]] = [
        ("features", network.get_submodule("features")),
        ("relu", nn.ReLU()),
        ("pool", nn.AdaptiveAvgPool2d((1, 1))),
        ("flatten", nn.Flatten(1)),
        ("classifier", network.get_submodule("classifier")),
    ]
    return nn.Sequential(OrderedDict(parts)).train(network.training)


def logits_of(network: nn.Module, images: Tensor) -> Tensor:
    """BL logits of BC… images. Raises `ValueError` when the network gives another shape."""
    logits = network(images)
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != len(images):
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        msg = f"a classifier must give logits of shape (images, labels), got {shape}"
        raise ValueError(msg)
    return logits
