"""From files to an explanation: the one path that the command line and the server's workers share."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicerxai import __version__
from slicerxai.data.digests import file_digest
from slicerxai.errors import ConflictError
from slicerxai.explain import registry
from slicerxai.explain.contract import CohortInputs, ExplainParameters, Explanation, Inputs, Provenance
from slicerxai.explain.inputs import (
    case_files,
    changed,
    check_environments,
    check_sequence,
    cohort_digests,
    readable,
)
from slicerxai.parameters import validate_parameters
from slicerxai.progress import Progress, part, silent

if TYPE_CHECKING:
    from slicerxai.data.cohort import Cohort
    from slicerxai.models.protocols import Model

LIBRARIES = ("torch", "monai", "nnunetv2", "captum", "zennit", "numpy")
CHECKING = 0.02
"""Share of a cohort's progress that the digests of its files take."""


def parse_parameters(method: str, values: Mapping[str, Any]) -> ExplainParameters:
    """Validated parameters of a method. Raises `InputError` that names every bad field and what is accepted."""
    return validate_parameters(registry.parameters_class(method), values, method)


def run(
    method: str,
    parameters: ExplainParameters,
    model: Model,
    image_id: str,
    paths: Mapping[str, Path],
    progress: Progress = silent,
    mask: Path | None = None,
    sequence: Sequence[Path] = (),
) -> Explanation:
    """Explain one case.

    Args:
        paths: image file of each modality, such as {"FLAIR": Path("flair.nii.gz")}.
        mask: file of an expert's mask, for the methods that compare with one.
        sequence: files of images that were recorded one after the other, for the methods that follow them and models of
            one modality.
    """
    from slicerxai.data.io import read_volume

    started, clock = datetime.now(UTC), time.perf_counter()
    check_sequence(sequence, model.info.channels)
    progress(0.0, "reading the image")
    files = case_files(paths, mask, sequence)
    inputs = Inputs(
        image_id=image_id,
        images={modality: read_volume(path) for modality, path in paths.items()},
        digests={name: file_digest(path) for name, path in files.items()},
        model=model,
        mask=None if mask is None else read_volume(mask),
        sequence=tuple({model.info.channels[0]: read_volume(path)} for path in sequence),
    )
    explanation = _explain(method, inputs, parameters, progress)
    provenance = _provenance(model, image_id, inputs.digests, started, clock)
    progress(1.0, "done")
    return replace(explanation, provenance=provenance)


def run_cohort(
    method: str, parameters: ExplainParameters, model: Model, cohort: Cohort, progress: Progress = silent
) -> Explanation:
    """Explain a model on a cohort.

    Raises:
        InputError: the cohort lacks what the model needs, or an environment among the parameters selects nothing.
        ConflictError: a file changed meanwhile.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    cohort = readable(cohort, model.info.channels)
    check_environments(parameters, cohort)
    digests = cohort_digests(cohort, part(progress, 0.0, CHECKING))
    inputs = CohortInputs(cohort_id=cohort.name, cohort=cohort, digests=digests, model=model)
    explanation = _explain(method, inputs, parameters, part(progress, CHECKING, 1.0))
    if names := changed(digests, cohort_digests(cohort)):
        msg = f"files of cohort {cohort.name!r} changed while it was read: {', '.join(names[:5])}; explain it again"
        raise ConflictError(msg)
    provenance = _provenance(model, cohort.name, digests, started, clock)
    progress(1.0, "done")
    return replace(explanation, provenance=provenance)


def _explain(
    method: str, inputs: Inputs | CohortInputs, parameters: ExplainParameters, progress: Progress
) -> Explanation:
    import torch

    torch.manual_seed(parameters.seed)
    resolved = parameters.resolved(inputs.model.info.digest)
    return registry.explainer(method).explain(inputs, resolved, progress)


def _provenance(model: Model, name: str, digests: Mapping[str, str], started: datetime, clock: float) -> Provenance:
    import torch

    return Provenance(
        package_version=__version__,
        model=model.info.name,
        model_digest=model.info.digest,
        inputs={f"{name}/{key}": digest for key, digest in digests.items()},
        versions={library: version(library) for library in LIBRARIES},
        device=str(model.device),
        threads=torch.get_num_threads(),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.perf_counter() - clock, 3),
    )
