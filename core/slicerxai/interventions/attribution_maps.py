"""Attribution maps of six methods of captum, as baselines that know nothing of interventions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from slicerxai.models.classifier_fitting import own_randomness
from slicerxai.progress import Progress, silent

Baseline = Literal["gradcam", "integrated_gradients", "occlusion", "lime", "kernel_shap", "deeplift"]
BASELINES: Final[tuple[Baseline, ...]] = (
    "gradcam",
    "integrated_gradients",
    "occlusion",
    "lime",
    "kernel_shap",
    "deeplift",
)


@dataclass(frozen=True)
class MapSettings:
    """Settings of the baselines.

    Attributes:
        layer: module whose feature maps Grad-CAM weights.
        absent: (C,) value of a pixel that is taken away, or from which a path starts.
        steps: of integrated gradients (Gauss–Legendre).
        samples: perturbed images of LIME and of KernelSHAP.
        window, stride: of occlusion, pixels.
        batch: images at a time.
    """

    layer: nn.Module
    absent: tuple[float, ...]
    steps: int = 20
    samples: int = 64
    window: int = 16
    stride: int = 8
    batch: int = 8


def attribution_maps(
    method: Baseline,
    network: nn.Module,
    images: Tensor,
    segments: Tensor,
    settings: MapSettings,
    seed: int = 0,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Maps (B, H, W) of the network's only output, summed over channels, in its units.

    Args:
        network: (B, C, H, W) to (B, 1), in eval mode, on the device of the images; no activation module is used
            twice, as DeepLift's hooks need it.
        segments: (B, H, W) integers from 0 on: superpixels that LIME and KernelSHAP switch on and off.
    """
    make = _MAKERS[method]
    found = []
    with own_randomness(images.device):
        torch.manual_seed(seed)
        for start in range(0, len(images), settings.batch):
            progress(start / len(images), f"{method}: image {start + 1} of {len(images)}")
            part = slice(start, start + settings.batch)
            maps = make(network, images[part], segments[part], settings)
            found.append(maps.detach().double().sum(1).cpu())
    return torch.cat(found).numpy()


def _absent(images: Tensor, settings: MapSettings) -> Tensor:
    """One image (1, C, H, W) without content."""
    colour = torch.tensor(settings.absent, dtype=images.dtype, device=images.device)
    return colour[None, :, None, None].expand(1, -1, *images.shape[2:]).contiguous()


def _gradcam(network: nn.Module, images: Tensor, _: Tensor, settings: MapSettings) -> Tensor:
    from captum.attr import LayerAttribution, LayerGradCam

    maps: Any = LayerGradCam(network, settings.layer).attribute(images, target=0)
    size = (images.shape[2], images.shape[3])
    larger: Any = LayerAttribution.interpolate(maps, size, "bilinear")
    return larger


def _integrated_gradients(network: nn.Module, images: Tensor, _: Tensor, settings: MapSettings) -> Tensor:
    from captum.attr import IntegratedGradients

    maps: Any = IntegratedGradients(network).attribute(
        images, _absent(images, settings), target=0, n_steps=settings.steps, internal_batch_size=8 * settings.batch
    )
    return maps


def _deeplift(network: nn.Module, images: Tensor, _: Tensor, settings: MapSettings) -> Tensor:
    from captum.attr import DeepLift

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that hooks are set and that gradients are switched on
        maps: Any = DeepLift(network).attribute(images, _absent(images, settings), target=0)
    return maps


def _occlusion(network: nn.Module, images: Tensor, _: Tensor, settings: MapSettings) -> Tensor:
    from captum.attr import Occlusion

    channels = images.shape[1]
    with torch.no_grad():
        maps: Any = Occlusion(network).attribute(
            images,
            sliding_window_shapes=(channels, settings.window, settings.window),
            strides=(channels, settings.stride, settings.stride),
            baselines=_absent(images, settings),
            target=0,
            perturbations_per_eval=8,
        )
    return maps


def _surrogate(name: str) -> Callable[[nn.Module, Tensor, Tensor, MapSettings], Tensor]:
    """LIME and KernelSHAP: a linear model of one image's superpixels."""

    def maps(network: nn.Module, images: Tensor, segments: Tensor, settings: MapSettings) -> Tensor:
        import captum.attr

        method = getattr(captum.attr, name)(network)
        found = []
        with torch.no_grad():
            for image, parts in zip(images[:, None], segments[:, None, None], strict=True):
                found.append(
                    method.attribute(
                        image,
                        baselines=_absent(image, settings),
                        target=0,
                        feature_mask=parts.expand_as(image),
                        n_samples=settings.samples,
                        perturbations_per_eval=8 * settings.batch,
                    )
                )
        return torch.cat(found) / images.shape[1]  # every channel has the whole superpixel's value

    return maps


_MAKERS: Final[dict[Baseline, Callable[[nn.Module, Tensor, Tensor, MapSettings], Tensor]]] = {
    "gradcam": _gradcam,
    "integrated_gradients": _integrated_gradients,
    "occlusion": _occlusion,
    "lime": _surrogate("Lime"),
    "kernel_shap": _surrogate("KernelShap"),
    "deeplift": _deeplift,
}
