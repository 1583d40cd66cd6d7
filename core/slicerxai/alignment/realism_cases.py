"""Learn what a model's images look like from cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from slicerxai.alignment.plausibility import Realism, fit_realism
from slicerxai.alignment.realism_parameters import RealismParameters
from slicerxai.errors import InputError
from slicerxai.models.intensity import foreground
from slicerxai.models.protocols import Model, Prepared, Segmenter
from slicerxai.models.training_case import subject
from slicerxai.progress import Progress, each, part, silent
from slicerxai.saliency.grids import mask_on, pad, padding, squeeze_flat

if TYPE_CHECKING:
    from slicerxai.data.case import Case
    from slicerxai.data.volume import Volume

READING = 0.2
"""Share of the progress that reading the cases takes."""


def realism_for(
    model: Model,
    cases: Sequence[Case],
    parameters: RealismParameters | None = None,
    *,
    rater: str = "consensus",
    progress: Progress = silent,
) -> Realism:
    """What the images of a model look like: whole ones for a classifier, patches of its patch size for a segmenter.

    Patches lie about random voxels, half of them of lesions where the rater drew some, the others of the foreground.

    Args:
        model: classifier or segmenter.
        cases: with images of its channels, at least 16; those that it was trained on are welcome. Images of one subject
            are learned from together or held out together.
        parameters: by default its defaults.
        rater: whose lesions; of a segmenter.
        progress: called often.

    Raises:
        InputError: a case without an image of a channel, an unusable image, or too few cases.
        Cancelled: through `progress`.
    """
    chosen = parameters or RealismParameters()
    generator = torch.Generator().manual_seed(chosen.seed)
    images, groups = list[Tensor](), list[str]()
    for case, inner in each(part(progress, 0.0, READING), cases):
        inner(0.0, f"reading case {case.id}")
        volumes = {channel: case.image(channel) for channel in model.info.channels}
        prepared = model.prepare(volumes)
        if isinstance(model, Segmenter):
            lesions = case.mask(rater) if rater in case.masks else None
            found = _patches(model, prepared, lesions, chosen.patches, generator)
        else:
            found = [squeeze_flat(prepared.tensor, model.network)]
        images += found
        groups += [subject(case)] * len(found)
    if not images:
        msg = "there is nothing to learn from: no cases"
        raise InputError(msg)
    stack = torch.stack(images).to(model.device)
    return fit_realism(stack, model.info.digest, chosen, groups=groups, progress=part(progress, READING, 1.0))


def _patches(
    model: Segmenter, prepared: Prepared, lesions: Volume | None, count: int, generator: torch.Generator
) -> list[Tensor]:
    _, i, j, k = prepared.tensor.shape
    reference, shape = prepared.reference, (i, j, k)
    inside = reference.with_array(foreground(reference.array, model.info.channels[0]))
    places = [np.argwhere(mask_on(prepared.affine, shape, inside))]
    if lesions is not None and np.asarray(lesions.array).any():
        places.append(np.argwhere(mask_on(prepared.affine, shape, lesions)))
    amounts = padding(shape, model.patch_size)
    padded, found = pad(prepared.tensor, amounts), []
    for number in range(count):
        among = places[-1] if number % 2 == 0 else places[0]
        chosen = among[int(torch.randint(len(among), (1,), generator=generator))]
        cut = padded
        for axis, (middle, (before, _), edge) in enumerate(zip(chosen, amounts, model.patch_size, strict=True)):
            start = int(middle) + before - edge // 2
            cut = cut.narrow(1 + axis, min(max(0, start), padded.shape[1 + axis] - edge), edge)
        found.append(cut.clone())
    return found
