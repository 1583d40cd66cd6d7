"""From files to an explanation: the one path that the command line and the server's workers share."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicerxai import __version__
from slicerxai.explain import registry
from slicerxai.explain.contract import ExplainParameters, Explanation, Inputs, Provenance
from slicerxai.parameters import validate_parameters
from slicerxai.progress import Progress, silent

if TYPE_CHECKING:
    from slicerxai.models.protocols import Model

LIBRARIES = ("torch", "monai", "nnunetv2", "captum", "zennit", "numpy")


def parse_parameters(method: str, values: Mapping[str, Any]) -> ExplainParameters:
    """Validated parameters of a method. Raises `InputError` that names every bad field and what is accepted."""
    return validate_parameters(registry.parameters_class(method), values, method)


def file_digest(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def run(
    method: str,
    parameters: ExplainParameters,
    model: Model,
    image_id: str,
    paths: Mapping[str, Path],
    progress: Progress = silent,
) -> Explanation:
    """Explain one case.

    Args:
        paths: image file of each modality, such as {"FLAIR": Path("flair.nii.gz")}.
    """
    import torch

    from slicerxai.data.io import read_volume

    started, clock = datetime.now(UTC), time.perf_counter()
    progress(0.0, "reading the image")
    inputs = Inputs(
        image_id=image_id,
        images={modality: read_volume(path) for modality, path in paths.items()},
        digests={modality: file_digest(path) for modality, path in paths.items()},
        model=model,
    )
    torch.manual_seed(parameters.seed)
    explanation = registry.explainer(method).explain(inputs, parameters, progress)
    provenance = Provenance(
        package_version=__version__,
        model=model.info.name,
        model_digest=model.info.digest,
        inputs={f"{image_id}/{modality}": digest for modality, digest in inputs.digests.items()},
        versions={library: version(library) for library in LIBRARIES},
        device=str(model.device),
        threads=torch.get_num_threads(),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - clock, 3),
    )
    progress(1.0, "done")
    return replace(explanation, provenance=provenance)
