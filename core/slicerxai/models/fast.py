"""The fast segmenter: a small U-Net on an isotropic grid around the brain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from slicerxai.data.resample import resample, resample_like
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.damaged import reading
from slicerxai.models.intensity import foreground, normalised
from slicerxai.models.protocols import ModelInfo, Prepared, Segmentation
from slicerxai.models.sliding_window import blended_logits
from slicerxai.models.store import digest
from slicerxai.models.unet import FastUNet
from slicerxai.models.working_grid import WorkingGrid, check_affine, working_grid
from slicerxai.progress import Progress, silent

WEIGHTS = "weights.pt"
LABELS = ("background", "lesion")


class FastConfig(BaseModel):
    """What defines the network and its working grid; stored in `model.json` under "config"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    spacing: float = Field(gt=0, description="Voxel edge of the working grid, mm.")
    patch_size: tuple[int, int, int] = Field(description="Edges of a patch, voxels of the working grid.")
    features: tuple[int, ...] = Field(min_length=2, description="Channels of each level of the network.")
    overlap: float = Field(default=0.25, ge=0, lt=1, description="Share of a patch in common with the next one.")
    margin: int = Field(default=4, ge=0, description="Voxels of the working grid kept around the brain.")
    threshold: float = Field(
        default=0.25,
        gt=0,
        lt=1,
        description="Probability from which a voxel is lesion; below one half, as outlines are often unsure.",
    )


class FastSegmenter:
    """Small 3D U-Net for skull-stripped images; implements `slicerxai.models.protocols.Segmenter`.

    Working grid: axes permuted and flipped to RAS, isotropic spacing, cropped to the non-zero voxels of the first
    channel, intensities as `slicerxai.models.intensity.normalised` makes them.
    """

    def __init__(self, info: ModelInfo, network: FastUNet, config: FastConfig, device: torch.device) -> None:
        self.info = info
        self.config = config
        self.device = device
        self.patch_size = config.patch_size
        self.overlap = config.overlap
        self.threshold = config.threshold
        self.network: torch.nn.Module = network.to(device).eval().requires_grad_(requires_grad=False)

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> FastSegmenter:
        """Read a model folder. Raises `InputError` when its files are missing or do not fit each other."""
        with reading(folder):
            description = json.loads((folder / "model.json").read_text())
            config = FastConfig.model_validate(description["config"])
            channels, labels = tuple(description["channels"]), tuple(description["labels"])
            weights = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
            with torch.device("meta"):  # takes no memory, whatever size the description claims
                FastUNet(len(channels), len(labels), config.features).load_state_dict(weights, assign=True)
            network = FastUNet(len(channels), len(labels), config.features)
            network.load_state_dict(weights)
            name, provenance = description["name"], description["provenance"]
        info = ModelInfo(name, "fast", channels, labels, digest(folder), provenance)
        return cls(info, network, config, device)

    def prepare(self, images: Mapping[str, Volume]) -> Prepared:
        """Images by modality to the working grid.

        Raises:
            InputError: missing modality; empty, constant or non-finite image; bad voxel size; no overlap of modalities.
        """
        return prepare(images, self.info.channels, self.config)

    def predict(self, images: Mapping[str, Volume], progress: Progress = silent) -> Segmentation:
        """Segment one case; the same input gives the same bits with the same number of threads."""
        prepared = self.prepare(images)
        working = Volume(self._foreground(prepared.tensor, progress).numpy(), prepared.affine)
        probability = resample_like(working, prepared.reference)
        lesions = np.asarray(probability.array, dtype=np.float32) >= self.config.threshold
        labelmap = probability.with_array(lesions.astype(np.uint8))
        progress(1.0, "segmented")
        return Segmentation(labelmap, probability)

    def _foreground(self, tensor: torch.Tensor, progress: Progress) -> torch.Tensor:
        """1 − P(background) on the working grid, (I, J, K); 0 where no patch was needed."""
        logits, covered = blended_logits(
            self.network, tensor, self.patch_size, self.config.overlap, self.device, progress
        )
        return (1 - torch.softmax(logits, dim=0)[0]).masked_fill_(~covered, 0.0)


def prepare(images: Mapping[str, Volume], channels: tuple[str, ...], config: FastConfig) -> Prepared:
    """Images by modality to tensor (C, I, J, K) on the working grid; see `FastSegmenter.prepare`."""
    check_channels(images, channels)
    reference = images[channels[0]]
    check_affine(reference.affine)
    multiple = 2 ** len(config.features)
    brain = reference.with_array(foreground(reference.array, channels[0]))
    grid = working_grid(brain, config.spacing, config.margin, config.patch_size, multiple)
    arrays = [channel_on(images[channel], channel, grid) for channel in channels]
    return Prepared(torch.from_numpy(np.stack(arrays)), grid.affine, reference)


def check_channels(images: Mapping[str, Volume], channels: tuple[str, ...]) -> None:
    """Raises `InputError` when an image of one of the channels is missing."""
    missing = [channel for channel in channels if channel not in images]
    if missing:
        msg = f"the model needs {', '.join(channels)}; missing {', '.join(missing)}, got {', '.join(images) or 'none'}"
        raise InputError(msg)


def channel_on(volume: Volume, name: str, grid: WorkingGrid) -> NDArray[np.float32]:
    """One modality on a working grid: antialiased, interpolated, normalised inside its foreground, zero outside.

    Raises:
        InputError: empty, constant or non-finite image, bad voxel size, or no overlap with the grid.
    """
    check_affine(volume.affine)
    brain = volume.with_array(foreground(volume.array, name).astype(np.float32))
    image = antialiased(volume.with_array(volume.array.astype(np.float32)), grid)
    inside = np.asarray(resample(brain, grid.affine, grid.shape).array, dtype=np.float32) > 0.5
    if not inside.any():
        msg = f"{name} does not overlap the first channel in space; check the images' affines"
        raise InputError(msg)
    array = np.asarray(resample(image, grid.affine, grid.shape).array, dtype=np.float32)
    return normalised(array, inside, name)


def antialiased(volume: Volume, grid: WorkingGrid) -> Volume:
    """Gaussian smoothing along the axes that the grid samples f > 1 times more coarsely; sigma = (f - 1) / 2 voxels."""
    steps = np.abs(np.linalg.inv(volume.affine)[:3, :3] @ grid.affine[:3, :3]).max(axis=1)
    sigma = np.maximum(steps - 1, 0) / 2
    if (sigma < 0.05).all():
        return volume
    return volume.with_array(ndimage.gaussian_filter(volume.array, sigma))
