"""What a segmenter makes of one case, computed once and kept: every rater's mask is scored against the same prediction.

Files are named by digests of all that they depend on and hold no path: `PREDICTION.npz` the prediction with the
features of the image, `DRAWING.json` its agreement with one mask.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from slicerxai import __version__
from slicerxai.data.case import Case
from slicerxai.data.digests import known_digest
from slicerxai.data.files import replaced_bytes, replaced_text
from slicerxai.data.metrics import evaluate
from slicerxai.data.resample import resample_like
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.protocols import Segmenter
from slicerxai.progress import Progress, silent
from slicerxai.shift.features import (
    Features,
    acquisition_features,
    embedding,
    prediction_features,
)
from slicerxai.shift.harmonise import Transport, transported

FORMAT: Final = 2
"""Version of what a cached file holds; another version is computed anew."""
BRIGHT: Final = ("FLAIR", "T2", "PD")
"""Modalities in which lesions are bright, best first."""


@dataclass(frozen=True)
class Prediction:
    """Of one case.

    Attributes:
        labelmap: bool, on the grid of the model's first image.
        features: groups "acquisition", "prediction" and "embedding".
    """

    labelmap: Volume
    features: dict[str, Features]


@dataclass(frozen=True)
class Agreement:
    """Of a prediction with one mask.

    Attributes:
        metrics: by name, see `slicerxai.shift.evaluate.METRICS`; None where a metric has no meaning.
        drawn_ml, predicted_ml: volumes.
    """

    metrics: dict[str, float | None]
    drawn_ml: float
    predicted_ml: float


@dataclass(frozen=True)
class Reading:
    """One case as one model sees it; everything is computed when it is first asked for.

    Attributes:
        transport: applied to the bright modality before the model runs, or None.
        cache: folder of kept results; must exist.
    """

    segmenter: Segmenter
    case: Case
    transport: Transport | None
    cache: Path
    progress: Progress = silent

    @cached_property
    def key(self) -> str:
        """Digest of the model, the images and the transport."""
        return digest_of(
            {
                "format": FORMAT,
                "version": __version__,
                "model": self.segmenter.info.digest,
                "case": self.case.id,
                "transport": None if self.transport is None else self.transport.digest,
                "images": {n: case_file_digest(self.case, self.case.images[n]) for n in self.segmenter.info.channels},
            }
        )

    @cached_property
    def bright(self) -> Volume:
        """The image in which the drawing is looked at, as the model sees it, on the prediction's grid."""
        return resample_like(self._images[bright_modality(self.segmenter)], self.prediction.labelmap)

    @cached_property
    def prediction(self) -> Prediction:
        """From the cache, or by running the network."""
        path = self.cache / f"{self.key}.npz"
        if not path.is_file():
            replaced_bytes(path, _packed(self._predict()))
        return _unpacked(path)

    def mask(self, rater: str) -> Volume:
        """The rater's mask, uint8 0 or 1, on the prediction's grid."""
        mask = self.case.mask(rater)
        return resample_like(
            mask.with_array((np.asarray(mask.array) != 0).astype(np.uint8)), self.prediction.labelmap, order=0
        )

    def agreement(self, rater: str) -> Agreement:
        """From the cache, or computed."""
        key = digest_of({"reading": self.key, "mask": case_file_digest(self.case, self.case.masks[rater])})
        path = self.cache / f"{key}.json"
        if not path.is_file():
            replaced_text(path, json.dumps(self._agreement(self.mask(rater))) + "\n")
        return Agreement(**json.loads(path.read_text(encoding="utf-8")))

    @cached_property
    def _images(self) -> Mapping[str, Volume]:
        images = {name: self.case.image(name) for name in self.segmenter.info.channels}
        if self.transport is not None:
            bright = bright_modality(self.segmenter)
            noise = int(hashlib.sha256(self.case.id.encode()).hexdigest()[:8], 16)
            images[bright] = transported(images[bright], self.transport, noise)
        return images

    def _predict(self) -> Prediction:
        found = self.segmenter.predict(self._images, self.progress)
        deepest = embedding(self.segmenter, self._images)
        labels = found.labelmap.with_array(np.asarray(found.labelmap.array) != 0)
        return Prediction(
            labels,
            {
                "acquisition": acquisition_features(self._images[bright_modality(self.segmenter)]),
                "prediction": prediction_features(found),
                "embedding": {f"embedding_{n}": float(value) for n, value in enumerate(deepest)},
            },
        )

    def _agreement(self, drawn: Volume) -> dict[str, Any]:
        predicted = self.prediction.labelmap
        return {
            "metrics": metrics_of(predicted, drawn),
            "drawn_ml": volume_ml(drawn),
            "predicted_ml": volume_ml(predicted),
        }


def metrics_of(predicted: Volume, drawn: Volume) -> dict[str, float | None]:
    """Every metric of two masks on one grid, by name; None where it has no meaning."""
    scores = evaluate(predicted, drawn)
    return {
        "dice": scores.dice,
        "f1": scores.lesions.f1,
        "precision": scores.lesions.precision,
        "recall": scores.lesions.recall,
        "volume_error_ml": scores.absolute_volume_error_ml,
        "surface_distance_mm": scores.average_surface_distance,
    }


def bright_modality(segmenter: Segmenter) -> str:
    """The model's modality in which lesions are bright. Raises `InputError` when it has none."""
    found = next((name for name in BRIGHT if name in segmenter.info.channels), None)
    if found is None:
        msg = (
            f"model {segmenter.info.name!r} reads {', '.join(segmenter.info.channels)}; features of the drawing need "
            f"a modality with bright lesions: {', '.join(BRIGHT)}"
        )
        raise InputError(msg, accepted=BRIGHT)
    return found


def volume_ml(mask: Volume) -> float:
    """Volume of everything but 0, ml."""
    return float(np.count_nonzero(mask.array)) * mask.voxel_volume / 1000


def digest_of(about: Mapping[str, Any]) -> str:
    """SHA-256 of plain values."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def case_file_digest(case: Case, path: Path) -> str:
    """SHA-256 of a file of a case. Raises `InputError` when it cannot be read."""
    try:
        return known_digest(path)
    except OSError as error:
        msg = f"{path.name} of case {case.id!r} cannot be read ({error.strerror})"
        raise InputError(msg) from None


def _packed(prediction: Prediction) -> bytes:
    labels: NDArray[np.bool_] = np.asarray(prediction.labelmap.array, dtype=bool)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        bits=np.packbits(labels),
        shape=np.array(labels.shape),
        affine=prediction.labelmap.affine,
        features=np.array(json.dumps(prediction.features)),
    )
    return buffer.getvalue()


def _unpacked(path: Path) -> Prediction:
    with np.load(path, allow_pickle=False) as held:
        shape = tuple(int(n) for n in held["shape"])
        bits = np.unpackbits(held["bits"], count=int(np.prod(shape))).astype(bool)
        return Prediction(Volume(bits.reshape(shape), held["affine"]), json.loads(str(held["features"])))
