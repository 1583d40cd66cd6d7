"""Image classifier: one probability per label for a whole image."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.classifier_network import build_network
from slicerxai.models.classifier_parameters import ClassifierConfig
from slicerxai.models.damaged import reading
from slicerxai.models.fast import channel_on, check_channels
from slicerxai.models.intensity import foreground
from slicerxai.models.protocols import ModelInfo, Prepared
from slicerxai.models.store import digest
from slicerxai.models.working_grid import WorkingGrid, check_affine, working_grid

WEIGHTS, SNAPSHOTS = "weights.pt", "snapshots"


class ImageClassifier:
    """Multi-label classifier of brain volumes or single images; implements `slicerxai.models.protocols.Classifier`.

    Volumes: axes permuted and flipped to RAS, isotropic spacing, cropped or padded to a fixed shape about the middle
    of the first channel's non-zero voxels, intensities as `slicerxai.models.intensity.normalised` makes them, then
    taken against their surroundings. Single images (H, W, 1) are resized to the shape and brought to mean 0 and
    standard deviation 1.

    Attributes:
        snapshots: file of the weights that were kept after an epoch (0: before the first), by epoch; empty when the
            training kept none.
    """

    exclusive = False

    def __init__(
        self,
        info: ModelInfo,
        network: nn.Module,
        config: ClassifierConfig,
        thresholds: tuple[float, ...],
        device: torch.device,
        snapshots: Mapping[int, Path] | None = None,
    ) -> None:
        self.info = info
        self.snapshots = dict(snapshots or {})
        self.config = config
        self.thresholds = thresholds
        self.device = device
        self.network: nn.Module = network.to(device).eval().requires_grad_(requires_grad=False)

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> ImageClassifier:
        """Read a model folder. Raises `InputError` when its files are missing or do not fit each other."""
        with reading(folder):
            description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
            config = ClassifierConfig.model_validate(description["config"])
            channels, labels = tuple(description["channels"]), tuple(description["labels"])
            thresholds = _thresholds(description["thresholds"], labels)
            _same_labels(labels, config)
            with torch.random.fork_rng(devices=[]):
                network = build_network(config, len(channels), len(labels))
            network.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
            name, provenance = description["name"], description["provenance"]
        info = ModelInfo(name, "classifier", channels, labels, digest(folder), provenance)
        return cls(info, network, config, thresholds, device, _snapshots(folder))

    def at_epoch(self, epoch: int) -> ImageClassifier:
        """The model as it was after this epoch. Raises `InputError` naming the epochs that were kept."""
        if epoch not in self.snapshots:
            kept = ", ".join(map(str, self.snapshots)) or "none; train with --snapshots 1"
            msg = f"no snapshot of epoch {epoch} of model {self.info.name!r} (kept: {kept})"
            raise InputError(msg)
        network = copy.deepcopy(self.network)
        with reading(self.snapshots[epoch]):
            network.load_state_dict(torch.load(self.snapshots[epoch], map_location="cpu", weights_only=True))
        return ImageClassifier(self.info, network, self.config, self.thresholds, self.device)

    def prepare(self, images: Mapping[str, Volume]) -> Prepared:
        """Images by modality to the network's grid.

        Raises:
            InputError: missing modality; empty, constant or non-finite image; bad voxel size; no overlap of modalities;
                a volume for a model of single images.
        """
        return prepare(images, self.info.channels, self.config)

    @torch.no_grad()
    def predict(self, images: Mapping[str, Volume]) -> NDArray[np.float32]:
        """Probability of each label, shape (L,); the same input gives the same bits with the same number of threads."""
        tensor = network_input(self.prepare(images), self.config)
        logits: Tensor = self.network(tensor[None].to(self.device))[0]
        return torch.sigmoid(logits.float()).cpu().numpy()


def _snapshots(folder: Path) -> dict[int, Path]:
    return {int(path.stem.removeprefix("epoch_")): path for path in sorted((folder / SNAPSHOTS).glob("epoch_*.pt"))}


def _thresholds(values: object, labels: tuple[str, ...]) -> tuple[float, ...]:
    if not isinstance(values, list) or len(values) != len(labels) or not all(0 < float(v) < 1 for v in values):
        msg = f"{values!r} are no thresholds between 0 and 1 of {len(labels)} labels"
        raise ValueError(msg)
    return tuple(float(v) for v in values)


def _same_labels(labels: tuple[str, ...], config: ClassifierConfig) -> None:
    if labels != config.labels:
        msg = f"labels {labels} are not those of the targets {config.targets}"
        raise ValueError(msg)


def prepare(images: Mapping[str, Volume], channels: tuple[str, ...], config: ClassifierConfig) -> Prepared:
    """Images by modality to tensor (C, I, J, K), K = 1 for single images; see `ImageClassifier.prepare`."""
    check_channels(images, channels)
    return _single(images, channels, config) if config.spatial_dims == 2 else _volume(images, channels, config)


def network_input(prepared: Prepared, config: ClassifierConfig) -> Tensor:
    """What the network takes of a prepared case: (C, *spatial)."""
    return prepared.tensor[..., 0] if config.spatial_dims == 2 else prepared.tensor


def _volume(images: Mapping[str, Volume], channels: tuple[str, ...], config: ClassifierConfig) -> Prepared:
    reference = images[channels[0]]
    check_affine(reference.affine)
    brain = reference.with_array(foreground(reference.array, channels[0]))
    grid = _central(working_grid(brain, config.spacing, 0, config.shape), config.shape)
    arrays = [channel_on(images[channel], channel, grid) for channel in channels]
    if config.surroundings:
        arrays = [against_surroundings(array, config.surroundings / config.spacing) for array in arrays]
    return Prepared(torch.from_numpy(np.stack(arrays)), grid.affine, reference)


def against_surroundings(array: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Each voxel minus the Gaussian-weighted mean of the non-zero voxels around it; zero stays zero.

    Args:
        array: shape (I, J, K).
        sigma: standard deviation of the Gaussian, voxels.
    """
    inside = array != 0
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma)
    mean = ndimage.gaussian_filter(array, sigma) / np.maximum(weight, np.float32(0.05))
    return np.where(inside, array - mean, np.float32(0)).astype(np.float32)


def _central(grid: WorkingGrid, shape: tuple[int, ...]) -> WorkingGrid:
    """The middle part of this shape of a grid at least as large."""
    start = [(n - m) // 2 for n, m in zip(grid.shape, shape, strict=True)]
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ start
    i, j, k = shape
    return WorkingGrid((i, j, k), affine)


def _single(images: Mapping[str, Volume], channels: tuple[str, ...], config: ClassifierConfig) -> Prepared:
    reference = images[channels[0]]
    check_affine(reference.affine)
    stack = torch.stack([_resized(images[channel], channel, config.shape) for channel in channels])
    scale = np.array([n / m for n, m in zip(reference.shape, (*config.shape, 1), strict=True)])
    index = np.diag([*scale, 1.0])
    index[:3, 3] = (scale - 1) / 2
    return Prepared(stack[..., None], reference.affine @ index, reference)


def _resized(volume: Volume, name: str, shape: tuple[int, ...]) -> Tensor:
    """(H, W) of the wanted shape, antialiased, with mean 0 and standard deviation 1."""
    if volume.shape[2] != 1:
        msg = f"the model takes single images (H, W, 1); {name} is a volume of shape {volume.shape}"
        raise InputError(msg)
    foreground(volume.array, name)
    image = torch.from_numpy(volume.array[..., 0].astype(np.float32))[None, None]
    image = functional.interpolate(image, size=shape, mode="bilinear", align_corners=False, antialias=True)[0, 0]
    spread = image.std()
    if not spread > 0:
        msg = f"{name} has no contrast: every pixel has the value {float(image.mean()):g}"
        raise InputError(msg)
    return (image - image.mean()) / spread
