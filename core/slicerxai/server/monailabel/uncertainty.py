"""How unsure a model is of one image, computed in a worker process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError
from slicerxai.models.store import ModelStore, digest
from slicerxai.progress import Progress
from slicerxai.server import worker
from slicerxai.server.pool import shared_pool
from slicerxai.server.problems import WorkError, user_error
from slicerxai.server.worker import Failure, ModelReference, Success


def predicted_entropy(store: ModelStore, model: str, image: str, paths: Mapping[str, Path]) -> float:
    """`mean_entropy` of the probability that a stored model predicts.

    Raises:
        UserError: unusable image. WorkError: cancelled, or a fault that is not the user's.
    """
    reference = ModelReference(store.root, model, digest(store.folder(model)))
    pool = shared_pool()
    job = pool.submit(
        entropy_in_worker,
        reference,
        dict(paths),
        kind="infer",
        method="uncertainty",
        request={"image": image, "model": model},
    )
    outcome = pool.ended(job.id).result()
    if isinstance(outcome, Success):
        return float(outcome.value)
    if isinstance(outcome, Failure) and outcome.status < 500:
        raise user_error(outcome.status, outcome.detail)
    raise WorkError(outcome.detail if isinstance(outcome, Failure) else "the inference was cancelled")


def entropy_in_worker(progress: Progress, reference: ModelReference, paths: Mapping[str, Path]) -> float:
    """Segment one case and return the mean entropy of its probability, nats."""
    from slicerxai.data.io import read_volume
    from slicerxai.models.protocols import segmenter

    try:
        model = segmenter(worker.resident_model(progress, reference), reference.name)
        segmentation = model.predict({modality: read_volume(path) for modality, path in paths.items()}, progress)
    except InputError as error:
        raise InputError(worker.without_paths(str(error), paths, reference)) from None
    return mean_entropy(segmentation.probability.array)


def mean_entropy(probability: NDArray[np.generic]) -> float:
    """Mean over voxels of −p ln p − (1 − p) ln(1 − p), nats, in [0, ln 2]; p in [0, 1] of any shape."""
    p = np.asarray(probability, dtype=np.float64)
    inside = p[(p > 0) & (p < 1)]
    return float(-(inside * np.log(inside) + (1 - inside) * np.log1p(-inside)).sum() / p.size)
