"""What each method, and the truth, say of one trained network: stored one by one, so that a run can be resumed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.segmentation import slic
from torch import Tensor

from benchmarks.property_data import Skin
from benchmarks.property_networks import MEAN, STAGES, Melanoma
from slicerxai.data.files import replaced_text
from slicerxai.interventions.attribution_maps import BASELINES, Baseline, MapSettings, attribution_maps
from slicerxai.interventions.colour_patches import COLOURS, Patch, patch_opacity, random_patch, with_patch
from slicerxai.interventions.effect import effect
from slicerxai.interventions.local_bias import map_scores

Array = NDArray[np.float64]
MEASURED: Final = ("blue", "orange", "violet")
OTHERS: Final = tuple(name for name in COLOURS if name not in MEASURED)
"""Colours that the methods see, and those of the truth."""
VALUES: Final = np.linspace(0, 0.4, 11)
"""Diameters of the path, as shares of the image's width."""
REALISATIONS, TRUE_REALISATIONS = 1, 12
TRUE_DIAMETERS: Final = (0.2, 0.4)
SEGMENTS: Final = 25
SAMPLES: Final = 50
"""Perturbed images of LIME and of KernelSHAP."""
BATCH: Final = 100


@dataclass(frozen=True)
class Case:
    """One network and the images on which it is studied.

    Attributes:
        rows: indices of images. threshold: of the probability. folder: of the stored readings. key: of their names.
        seed: of the realisations; the truth's are drawn apart from those that the methods see.
    """

    backbone: str
    network: Melanoma
    threshold: float
    skin: Skin
    rows: NDArray[np.int_]
    seed: int
    device: torch.device
    folder: Path
    key: str

    def patch(self, row: int, number: int, *, truth: bool) -> tuple[Patch, float]:
        """A realisation of one image and a random diameter; the same for every network and method."""
        rng = np.random.default_rng((self.seed, int(truth), number, row))
        patch = random_patch(rng, self.skin.lesions[row], OTHERS if truth else MEASURED)
        return patch, float(rng.uniform(*TRUE_DIAMETERS))

    @torch.no_grad()
    def probabilities(self, images: list[NDArray[np.float32]]) -> Array:
        """Of "malignant", (N,)."""
        found = []
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(np.stack(images[start : start + BATCH])).to(self.device)
            found.append(torch.sigmoid(self.network(batch)[:, 0].double()).cpu())
        return torch.cat(found).numpy()


def kept(case: Case, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A reading from its file, or made and written there."""
    path = case.folder / f"{case.key}_{name}.json"
    if not path.is_file():
        made = make()
        case.folder.mkdir(parents=True, exist_ok=True)
        replaced_text(path, json.dumps(made) + "\n")
    read: dict[str, Any] = json.loads(path.read_text())
    return read


def truth(case: Case) -> Array:
    """Of each image, the share of other realisations under which the decision changes, (B,)."""

    def make() -> dict[str, Any]:
        before = case.probabilities([case.skin.image(row) for row in case.rows]) >= case.threshold
        changed = []
        for number in range(TRUE_REALISATIONS):
            images = []
            for row in case.rows:
                patch, diameter = case.patch(int(row), number, truth=True)
                images.append(with_patch(case.skin.image(row), patch, diameter))
            changed.append((case.probabilities(images) >= case.threshold) != before)
        return {"share": np.mean(changed, axis=0).tolist()}

    return np.array(kept(case, "truth", make)["share"])


def paths(case: Case) -> Array:
    """Probabilities along the paths, (R, N, B)."""

    def make() -> dict[str, Any]:
        found = []
        for number in range(REALISATIONS):
            patches = [case.patch(int(row), number, truth=False)[0] for row in case.rows]
            found.append(
                [
                    case.probabilities(
                        [
                            with_patch(case.skin.image(row), patch, value)
                            for row, patch in zip(case.rows, patches, strict=True)
                        ]
                    ).tolist()
                    for value in VALUES.tolist()
                ]
            )
        return {"values": VALUES.tolist(), "probabilities": found}

    return np.array(kept(case, "paths", make)["probabilities"])


def gradients(probabilities: Array) -> Array:
    """E|∇ₓF| of each image, mean over realisations (R, N, B) -> (B,); probability for the whole image's width."""
    return np.mean([effect(VALUES, one, [None] * one.shape[1]).mean_abs_gradient for one in probabilities], axis=0)


def baseline(case: Case, method: Baseline) -> dict[str, Array]:
    """Scores of one attribution method, name to (B,), mean over the realisations."""

    def make() -> dict[str, Any]:
        found: list[dict[str, Array]] = []
        for number in range(REALISATIONS):
            patches = [case.patch(int(row), number, truth=False)[0] for row in case.rows]
            bare = [case.skin.image(row) for row in case.rows]
            changed = [with_patch(image, patch, VALUES[-1]) for image, patch in zip(bare, patches, strict=True)]
            segments = torch.from_numpy(np.stack([_segments(image) for image in changed])).to(case.device)
            shape = changed[0].shape[1:]
            region = np.stack([patch_opacity(shape, patch, VALUES[-1]) for patch in patches])
            before, after = (
                attribution_maps(method, case.network, _batch(case, images), segments, _settings(case), case.seed)
                for images in (bare, changed)
            )
            found.append(map_scores(before, after, region))
        return {name: np.mean([one[name] for one in found], axis=0).tolist() for name in found[0]}

    return {name: np.array(values) for name, values in kept(case, method, make).items()}


def _batch(case: Case, images: list[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(images)).to(case.device)


def _segments(image: NDArray[np.float32]) -> NDArray[np.int64]:
    """Superpixels of the changed image, from 0 on; the patch tends to be one of them."""
    found: NDArray[np.int64] = slic(image.transpose(1, 2, 0), SEGMENTS, start_label=0).astype(np.int64)
    return np.unique(found, return_inverse=True)[1].reshape(found.shape)


def _settings(case: Case) -> MapSettings:
    edge = case.skin.images.shape[-1]
    layer = case.network.backbone.get_submodule(STAGES[case.backbone])
    return MapSettings(layer=layer, absent=MEAN, samples=SAMPLES, window=edge // 4, stride=edge // 8)


def all_baselines(case: Case) -> dict[str, dict[str, Array]]:
    """Scores of all six."""
    found: dict[str, dict[str, Array]] = {}
    for method in BASELINES:
        found[method] = baseline(case, method)
        print(f"{case.key}: {method}", flush=True)
    return found
