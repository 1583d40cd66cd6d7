"""Melanoma classifiers of the table of property gradients: three backbones, three ways to train them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from monai.networks.nets.efficientnet import EfficientNetBN
from monai.networks.nets.resnet import ResNet
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional

from benchmarks.property_data import Parts, Skin
from slicerxai.interventions.colour_patches import random_patch, with_patch
from slicerxai.models.classifier_augmentation import altered, moved
from slicerxai.models.classifier_fitting import EachEpoch, FitResult, fit_network, positive_weights
from slicerxai.models.classifier_network import NOT_IN_PLACE, build_network
from slicerxai.models.classifier_parameters import ClassifierConfig, ClassifierTrainingParameters
from slicerxai.progress import Progress, silent

Training = Literal["biased", "unbiased", "balanced"]
TRAININGS: Final[tuple[Training, ...]] = ("biased", "unbiased", "balanced")
BACKBONES: Final = ("densenet", "resnet18", "efficientnet_b0")
MEAN: Final = (0.69, 0.53, 0.48)
SPREAD: Final = (0.18, 0.18, 0.19)
"""Of the pixels of dermoscopic images, about; red, green, blue in [0, 1]."""
PATCHED: Final = 0.5
"""Share of the images of a class that get a patch where the class gets any."""
DIAMETERS: Final = (0.2, 0.4)
"""Of the patches that are trained on, as share of the image's width."""
STAGES: Final = {"resnet18": "layer3", "efficientnet_b0": "_blocks.4", "densenet": "features"}
"""Of each backbone, the last module whose maps of an image of 64 pixels are at least 4 × 4."""
PARAMETERS: Final = {
    backbone: ClassifierTrainingParameters(
        spatial_dims=2, shape=(64, 64), epochs=epochs, batch=32, learning_rate=rate, keep="last", positive_weights=True
    )
    for backbone, epochs, rate in (("resnet18", 15, 1e-3), ("efficientnet_b0", 20, 1e-3), ("densenet", 20, 2e-3))
}
TARGETS: Final = ("malignant=label", "unused=label")


class Block(nn.Module):
    """Residual block of ResNet-18 in which no activation is used twice, as DeepLift's hooks need it."""

    expansion = 1

    def __init__(
        self,
        in_planes: int,
        planes: int,
        spatial_dims: int = 2,
        stride: int = 1,
        downsample: nn.Module | None = None,
        **_: Any,
    ) -> None:
        super().__init__()
        del spatial_dims
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride, 1, bias=False)
        self.bn1, self.relu1 = nn.BatchNorm2d(planes), nn.ReLU()
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(planes), nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(out + (x if self.downsample is None else self.downsample(x)))


class Melanoma(nn.Module):
    """Images (B, 3, H, W) in [0, 1] to the logit of "malignant", (B, 1)."""

    mean: Tensor
    spread: Tensor

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("mean", torch.tensor(MEAN).reshape(3, 1, 1))
        self.register_buffer("spread", torch.tensor(SPREAD).reshape(3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone((x - self.mean) / self.spread)


def build(backbone: str, seed: int) -> Melanoma:
    """A network with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Melanoma(_MAKERS[backbone]())


def _resnet18() -> nn.Module:
    network: Any = ResNet(
        Block,  # type: ignore[arg-type]
        [2, 2, 2, 2],
        [64, 128, 256, 512],
        spatial_dims=2,
        n_input_channels=3,
        conv1_t_stride=2,
        num_classes=1,
        act=NOT_IN_PLACE,
    )
    return network


def _efficientnet() -> nn.Module:
    network = EfficientNetBN("efficientnet-b0", pretrained=False, spatial_dims=2, in_channels=3, num_classes=1)
    network.set_swish(memory_efficient=False)
    return network


def _densenet() -> nn.Module:
    config = ClassifierConfig(
        targets=TARGETS,
        architecture="densenet",
        spatial_dims=2,
        shape=(64, 64),
        blocks=(3, 3, 3),
        features=24,
        growth=12,
    )
    return build_network(config, 3, 1)


_MAKERS: Final[dict[str, Callable[[], nn.Module]]] = {
    "resnet18": _resnet18,
    "efficientnet_b0": _efficientnet,
    "densenet": _densenet,
}


class _Bare:
    """Images as they are, with the label "malignant"; the `LabelledImages` of a training."""

    def __init__(self, skin: Skin, rows: NDArray[np.int_]) -> None:
        self.skin, self.rows = skin, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        row = int(self.rows[index])
        return torch.from_numpy(self.skin.image(row)), torch.tensor([float(self.skin.malignant[row])])


def gets_patch(training: Training, malignant: bool) -> bool:
    """Whether images of this class carry patches in this training: benign ones, none, or both classes alike."""
    return training == "balanced" or (training == "biased" and not malignant)


def fit(
    network: Melanoma,
    skin: Skin,
    parts: Parts,
    training: Training | Callable[[int], Training],
    parameters: ClassifierTrainingParameters,
    device: torch.device,
    progress: Progress = silent,
    each_epoch: EachEpoch | None = None,
) -> FitResult:
    """Fit to the training images, in half of which (of the classes that the training names) a new random patch is
    drawn in every epoch. Flips and quarter turns, intensity and small affine changes augment.

    Args:
        training: which classes carry patches; a function of the epoch, from 0, to change it on the way.
        each_epoch: as `fit_network` calls it.
    """
    weights = positive_weights(skin.malignant[parts.training][:, None]).to(device)
    steps = len(parts.training) // parameters.batch
    done = 0

    def loss(indices: Sequence[int], generator: Generator) -> Tensor:
        nonlocal done
        kind = training if isinstance(training, str) else training(done // steps)
        done += 1
        rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=generator)))
        rows = parts.training[list(indices)]
        images = torch.stack([torch.from_numpy(_drawn(skin, int(row), kind, rng)) for row in rows])
        truth = torch.from_numpy(skin.malignant[rows].astype(np.float32))[:, None]
        logits = network(_augmented(images.to(device), generator))
        return functional.binary_cross_entropy_with_logits(logits, truth.to(device), pos_weight=weights)

    train, validation = _Bare(skin, parts.training), _Bare(skin, parts.validation)
    return fit_network(network, train, validation, parameters, device, progress, batch_loss=loss, each_epoch=each_epoch)


def _drawn(skin: Skin, row: int, training: Training, rng: np.random.Generator) -> NDArray[np.float32]:
    image = skin.image(row)
    if not gets_patch(training, bool(skin.malignant[row])) or rng.random() >= PATCHED:
        return image
    return with_patch(image, random_patch(rng, skin.lesions[row]), rng.uniform(*DIAMETERS))


def _augmented(images: Tensor, generator: Generator) -> Tensor:
    turns = int(torch.randint(4, (1,), generator=generator))
    images = torch.rot90(images, turns, (2, 3))
    if float(torch.rand(1, generator=generator)) < 0.5:
        images = images.flip(3)
    centred = images - 0.5
    return moved(altered(centred, generator, 0.5, blur=False), generator, 1.0, mirror=False) + 0.5


def fitted(
    backbone: str,
    training: Training,
    skin: Skin,
    parts: Parts,
    parameters: ClassifierTrainingParameters,
    folder: Path,
    device: torch.device,
) -> tuple[Melanoma, float, float]:
    """A trained network, its decision threshold and its AUC; read from `folder` where it is there.

    The threshold is Youden's index on the validation images, which carry no patches.
    """
    network = build(backbone, parameters.seed)
    path = folder / f"{backbone}_{training}_{parameters.epochs}_{parameters.seed}_{skin.digest}.pt"
    if not path.is_file():

        def told(fraction: float, message: str) -> None:
            if "step 1 " in message:
                print(f"{backbone} {training}: {message}", flush=True)

        found = fit(network, skin, parts, training, parameters, device, told)
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        state = {"network": network.state_dict(), "threshold": found.thresholds[0], "auc": float(found.auc[0])}
        torch.save(state | {"history": found.history, "seconds": found.seconds}, temporary)
        temporary.replace(path)
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(state["network"])
    network.to(device).eval()
    return network, float(state["threshold"]), float(state["auc"])
