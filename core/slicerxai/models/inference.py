"""What a model says of one case, as files: no explanation, no checks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slicerxai import __version__
from slicerxai.data.files import replaced_text
from slicerxai.data.io import write_volume
from slicerxai.data.lesions import find_lesions
from slicerxai.data.volume import Volume
from slicerxai.models.protocols import Classifier, Model, Segmenter
from slicerxai.progress import Progress, silent

LESIONS, LABELS = "lesions.json", "labels.json"
"""The summary of a segmenter and of a classifier."""


def write_inference(
    model: Model, images: Mapping[str, Volume], digests: Mapping[str, str], out: Path, progress: Progress = silent
) -> dict[str, Any]:
    """Apply a model to one case.

    A segmenter writes lesions.nii.gz, probability.nii.gz and lesions.json into `out`, a classifier labels.json.

    Args:
        images: volumes by modality.
        digests: SHA-256 of each image file, by modality.
        out: made when it is absent.

    Returns:
        The content of the JSON file: "model", "model_digest", "package_version", "inputs" (the digests), and
        "lesions" and "volume_ml" of a segmenter, "labels" of a classifier.

    Raises:
        InputError: unusable images. Cancelled: through `progress`.
    """
    about = {
        "model": model.info.name,
        "model_digest": model.info.digest,
        "package_version": __version__,
        "inputs": dict(digests),
    }
    if isinstance(model, Segmenter):
        name, found = LESIONS, _segment(model, images, out, progress)
    else:
        name, found = LABELS, _classify(model, images)
    out.mkdir(parents=True, exist_ok=True)
    replaced_text(out / name, json.dumps(about | found, indent=2) + "\n")
    return about | found


def _segment(model: Segmenter, images: Mapping[str, Volume], out: Path, progress: Progress) -> dict[str, Any]:
    result = model.predict(images, progress)
    lesions = find_lesions(result.labelmap, result.probability)
    out.mkdir(parents=True, exist_ok=True)
    write_volume(out / "lesions.nii.gz", result.labelmap)
    write_volume(out / "probability.nii.gz", result.probability)
    return {
        "lesions": [asdict(lesion) for lesion in lesions],
        "volume_ml": sum(lesion.volume_ml for lesion in lesions),
    }


def _classify(model: Classifier, images: Mapping[str, Volume]) -> dict[str, Any]:
    probabilities = model.predict(images)
    return {
        "labels": [
            {"label": label, "probability": float(p), "threshold": threshold, "present": bool(p >= threshold)}
            for label, p, threshold in zip(model.info.labels, probabilities, model.thresholds, strict=True)
        ]
    }
