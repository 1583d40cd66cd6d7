"""What the network discriminator sees of a case: patches, and the whole in low resolution."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from slicerxai.data.case import Case
from slicerxai.data.resample import resample
from slicerxai.models.fast import antialiased
from slicerxai.models.protocols import Segmenter
from slicerxai.models.working_grid import WorkingGrid
from slicerxai.progress import Progress, part, silent
from slicerxai.shift.discriminator3d import NetworkDiscriminator, NetworkSettings, Views

IMAGE: frozenset[str] = frozenset({"X"})
IMAGE_AND_MASK: frozenset[str] = frozenset({"X", "Y"})


def network_discriminator(
    segmenter: Segmenter,
    cases: Sequence[tuple[Case, str]],
    settings: NetworkSettings | None = None,
    progress: Progress = silent,
) -> NetworkDiscriminator:
    """A discriminator of variables X (image) and Y (mask), on the segmenter's device.

    Args:
        cases: with the rater whose mask is drawn, of the source, then of the target.
    """
    settings = NetworkSettings() if settings is None else settings
    reading = part(progress, 0.0, 0.3)
    images, masks = [], []
    for number, (case, rater) in enumerate(cases):
        reading(number / len(cases), f"reading {case.id}")
        image, with_mask = case_views(segmenter, case, rater, settings)
        images.append(image)
        masks.append(with_mask)
    views = {IMAGE: images, IMAGE_AND_MASK: masks}
    return NetworkDiscriminator(views, settings, segmenter.device, part(progress, 0.3, 1.0))


def case_views(segmenter: Segmenter, case: Case, rater: str, settings: NetworkSettings) -> tuple[Views, Views]:
    """Views of the image, and of image and mask, on the grid and in the units that the segmenter works with.

    Patches of the image are taken anywhere in the foreground; those with the mask on lesions, where there are any.
    Random places depend on the case's id alone: a case that is in both environments has the same image in both.
    """
    prepared = segmenter.prepare({channel: case.image(channel) for channel in segmenter.info.channels})
    image = prepared.tensor
    i, j, k = image.shape[1:]
    grid = WorkingGrid((i, j, k), prepared.affine)
    mask = case.mask(rater)
    mask = mask.with_array((np.asarray(mask.array) != 0).astype(np.float32))
    share = torch.from_numpy(resample(antialiased(mask, grid), grid.affine, grid.shape).array.astype(np.float32))
    both = torch.cat([image, share[None]])
    foreground = (image[0] != 0).nonzero()
    lesions = (share >= 0.5).nonzero()
    generator = Generator().manual_seed(settings.seed * 1_000_003 + crc32(case.id.encode()))
    return (
        _views(image, foreground, settings, generator),
        _views(both, lesions if len(lesions) else foreground, settings, generator),
    )


def _views(volume: Tensor, places: Tensor, settings: NetworkSettings, generator: Generator) -> Views:
    """Patches about random places, at most half an edge outside the volume, which is continued by zeros."""
    edge = settings.edge
    padded = functional.pad(volume, [edge // 2] * 6)
    drawn = places[torch.randint(len(places), (settings.patches,), generator=generator)]
    jitter = torch.randint(-edge // 4, edge // 4 + 1, (settings.patches, 3), generator=generator)
    size = torch.tensor(volume.shape[1:])
    corners = torch.minimum(torch.clamp(drawn + jitter, min=0), size - 1).tolist()
    patches = [padded[:, i : i + edge, j : j + edge, k : k + edge] for i, j, k in corners]
    whole = functional.adaptive_avg_pool3d(volume[None], edge)[0]
    return Views(whole.half(), torch.stack(patches).half())
