"""One decision of a model as a function of the prepared image, with the loss that turns it round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log, prod

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor, nn

from slicerxai.alignment.losses import Loss, class_loss, label_loss
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.explain.rounded import rounded
from slicerxai.models.modular import private
from slicerxai.models.protocols import Classifier, Prepared, Segmenter
from slicerxai.models.sliding_window import Patch, importance_map, patch_grid
from slicerxai.saliency.grids import mask_on, pad, padding, squeeze_flat, unpad

BATCH_VOXELS = 2**18
"""Voxels of the windows that are computed at once; larger windows run one by one."""
ROOM = 0.75
"""Share of a patch that a lesion may fill along an axis and still be decided from one patch about its middle."""


@dataclass(frozen=True)
class Reading:
    """What the model makes of one prepared image.

    Attributes:
        probability: of the label; for a lesion the highest of its voxels. In [0, 1].
        turned: the decision is the other one.
        labels: probability of every label of a classifier; empty for a segmenter.
        appeared: lesions that are predicted where there was none; of a segmenter's whole prediction.
    """

    probability: float
    turned: bool
    labels: tuple[float, ...] = ()
    appeared: int = 0


@dataclass(frozen=True)
class Decision:
    """A decision that can be turned round.

    Attributes:
        subject: for people, such as "label periventricular" or "lesion 2".
        wanted: what it would turn to, for people.
        padding: voxels added around the prepared image, (before, after) for each of I, J, K.
        place: the part of the padded image on which the decision rests.
        flat: the network takes no third axis.
        loss: of images (1, C, *place), low where the decision is the other one; of the network without kinks.
        judge: of such images, what the model, as it is, decides.
    """

    subject: str
    wanted: str
    padding: tuple[tuple[int, int], ...]
    place: tuple[slice, ...]
    flat: bool
    loss: Loss
    judge: Callable[[Tensor], Reading]

    def part(self, tensor: Tensor) -> Tensor:
        """What decides, (1, C, *place), of a prepared tensor (C, I, J, K)."""
        cut = pad(tensor, self.padding)[(slice(None), *self.place)]
        return (cut[..., 0] if self.flat else cut)[None]

    def whole(self, part: Tensor, like: Tensor) -> Tensor:
        """Values (1, C, *place) on the prepared grid (C, I, J, K), 0 elsewhere."""
        filled = torch.zeros_like(pad(like, self.padding))
        filled[(slice(None), *self.place)] = part[0][..., None] if self.flat else part[0]
        return unpad(filled, self.padding)

    @torch.no_grad()
    def read(self, tensor: Tensor) -> Reading:
        """What the model makes of a prepared tensor (C, I, J, K)."""
        return self.judge(self.part(tensor))


def label_decision(model: Classifier, prepared: Prepared, label: str | None) -> Decision:
    """Whether a label is present; for exclusive labels, which one it is.

    Args:
        label: by default the most probable of the present ones, or else the one nearest to its threshold. With
            exclusive labels the one that it should become, by default the second most probable.

    Raises:
        InputError: the model has no such label.
    """
    labels = model.info.labels
    if label is not None and label not in labels:
        msg = f"unknown label {label!r}; the model has: {', '.join(labels)}"
        raise InputError(msg, accepted=labels)
    network = private(model.network)
    flat = squeeze_flat(prepared.tensor, network).ndim < prepared.tensor.ndim
    place = tuple(slice(0, n) for n in prepared.tensor.shape[1:])
    amounts = ((0, 0),) * 3
    whole = (prepared.tensor[..., 0] if flat else prepared.tensor)[None].to(model.device)
    with torch.no_grad():
        logits = network(whole)[0].float()
    turn = _exclusive if model.exclusive else _independent
    subject, wanted, loss, judge = turn(model, network, logits, None if label is None else labels.index(label))
    return Decision(subject, wanted, amounts, place, flat, loss, judge)


_Turn = tuple[str, str, Loss, Callable[[Tensor], Reading]]


def _independent(model: Classifier, network: nn.Module, logits: Tensor, label: int | None) -> _Turn:
    limits = torch.tensor([log(t / (1 - t)) for t in model.thresholds], device=logits.device)
    margins = logits - limits
    if label is None:
        present = margins >= 0
        probable = torch.where(present, logits, -torch.inf)
        label = int(probable.argmax()) if bool(present.any()) else int(margins.argmax())
    before = bool(margins[label] >= 0)
    which = torch.zeros(1, len(limits), dtype=torch.bool, device=logits.device)
    which[0, label] = True
    wanted = torch.full(which.shape, 0.0 if before else 1.0, device=logits.device)

    def judge(part: Tensor) -> Reading:
        found = network(part.to(logits.device))[0].float()
        probabilities = torch.sigmoid(found).tolist()
        turned = bool(found[label] >= limits[label]) != before
        return Reading(probabilities[label], turned, tuple(probabilities))

    loss = label_loss(_Shifted(rounded(network), limits).eval(), wanted, which)
    return f"label {model.info.labels[label]}", "absent" if before else "present", loss, judge


def _exclusive(model: Classifier, network: nn.Module, logits: Tensor, label: int | None) -> _Turn:
    before = int(logits.argmax())
    second = int(torch.where(torch.arange(len(logits), device=logits.device) == before, -torch.inf, logits).argmax())
    target = second if label in (None, before) else label

    def judge(part: Tensor) -> Reading:
        probabilities = torch.softmax(network(part.to(logits.device))[0].float(), 0)
        turned = int(probabilities.argmax()) == target
        return Reading(float(probabilities[before]), turned, tuple(probabilities.tolist()))

    names = model.info.labels
    loss = class_loss(rounded(network), torch.tensor([target], device=logits.device))
    return f"label {names[before]}", names[int(target or 0)], loss, judge


class _Shifted(nn.Module):
    """Logits against their limits, so that 0 is where a decision turns."""

    def __init__(self, network: nn.Module, limits: Tensor) -> None:
        super().__init__()
        self.network, self.limits = network, limits

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images) - self.limits
        return logits


def lesion_decision(
    model: Segmenter, prepared: Prepared, numbered: Volume, number: int, label: int, subject: str
) -> Decision:
    """Whether a predicted lesion is there: it vanishes when no voxel in it or beside it is called lesion.

    The decision is read from one patch about the middle of the lesion; a lesion that is too large for that from
    several, blended as in prediction.

    Args:
        numbered: number of the lesion at each voxel of the image's grid.
        label: of the lesion, not 0.

    Raises:
        InputError: the lesion lies outside of what the network sees.
    """
    network = private(model.network)
    shape = _shape(prepared.tensor)
    mine = mask_on(prepared.affine, shape, numbered.with_array(numbered.array == number))
    rest = numbered.with_array((numbered.array != 0) & (numbered.array != number))
    near = ndimage.binary_dilation(mine, np.ones((3, 3, 3)))
    if np.asarray(rest.array).any():
        near &= ~_mask_or_nothing(prepared, shape, rest)
    amounts = padding(shape, model.patch_size)
    region = pad(torch.from_numpy(near | mine), amounts)
    place = _about(region, model.patch_size)
    inside = region[place].to(model.device)
    blended = _Windows(inside, model.patch_size, model.overlap)
    searched = rounded(network)
    limit = log(model.threshold / (1 - model.threshold))

    def margins(images: Tensor, of: nn.Module) -> Tensor:
        logits = blended(of, images.to(model.device))
        others = torch.cat([logits[:, :label], logits[:, label + 1 :]], 1)
        return (logits[:, label] - torch.logsumexp(others, 1))[:, inside] - limit

    def loss(images: Tensor) -> Tensor:
        # softplus of the smooth maximum over the voxels: 0 when all are far below the limit
        return nn.functional.softplus(torch.logsumexp(margins(images, searched), 1))

    def judge(part: Tensor) -> Reading:
        highest = margins(part, network)[0].max()
        return Reading(float(torch.sigmoid(highest + limit)), bool(highest < 0))

    return Decision(subject, "gone", tuple(amounts), place, False, loss, judge)


class _Windows:
    """Blended logits of the windows that see a region, differentiable."""

    def __init__(self, inside: Tensor, patch: Sequence[int], overlap: float) -> None:
        grid = patch_grid(inside.shape, patch, overlap)
        self.windows: list[Patch] = [window for window in grid if bool(inside[window].any())]
        self.shape, self.batch = inside.shape, max(1, BATCH_VOXELS // prod(patch))
        self.weight = importance_map(patch).flatten().to(inside.device)
        places = torch.arange(inside.numel()).reshape(inside.shape)
        self.places = torch.cat([places[window].flatten() for window in self.windows]).to(inside.device)
        shares = torch.zeros(inside.numel(), device=inside.device)
        shares.index_add_(0, self.places, self.weight.repeat(len(self.windows)))
        self.shares = shares.clamp(min=torch.finfo(torch.float32).tiny)

    def __call__(self, network: nn.Module, images: Tensor) -> Tensor:
        """Logits (1, L, *shape) of images (1, C, *shape); 0 where no window is."""
        cut = torch.cat([images[(slice(None), slice(None), *window)] for window in self.windows])
        logits = torch.cat([network(some).float() for some in cut.split(self.batch)]).flatten(2)
        weighted = (logits * self.weight).movedim(1, 0).flatten(1)
        total = images.new_zeros((len(weighted), len(self.shares))).index_add(1, self.places, weighted)
        return (total / self.shares).reshape(1, -1, *self.shape)


def _shape(tensor: Tensor) -> tuple[int, int, int]:
    _, i, j, k = tensor.shape
    return i, j, k


def _mask_or_nothing(prepared: Prepared, shape: tuple[int, int, int], mask: Volume) -> np.ndarray:
    try:
        return mask_on(prepared.affine, shape, mask)
    except InputError:
        return np.zeros(shape, dtype=bool)


def _about(region: Tensor, patch: Sequence[int]) -> tuple[slice, ...]:
    """A box about the middle of a region: a patch along each axis where the region leaves room in it, else more."""
    found = region.nonzero()
    first, last = found.min(0).values.tolist(), (found.max(0).values + 1).tolist()
    place = []
    for low, high, size, edge in zip(first, last, region.shape, patch, strict=True):
        wanted = edge if high - low <= ROOM * edge or edge == 1 else min(size, high - low + edge // 2)
        if edge == 1:
            wanted = high - low
        wanted = max(wanted, edge)
        start = min(max(0, (low + high - wanted) // 2), size - wanted)
        place.append(slice(start, start + wanted))
    return tuple(place)
