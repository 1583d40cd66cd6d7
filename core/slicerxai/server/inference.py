"""Segmenting one image in a worker for a client that waits; identical requests under way share one computation."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicerxai.data.digests import known_digest
from slicerxai.data.io import suffix_of
from slicerxai.server import worker
from slicerxai.server.problems import WorkError, user_error
from slicerxai.server.worker import Failure, InferWork, Success

if TYPE_CHECKING:
    from slicerxai.server.pool import Pool


@dataclass
class _Shared:
    folder: Path
    users: int = 0


class SharedLabelmaps:
    """Labelmaps on their way from a worker to all requests that wait for them, each deleted with its last user."""

    def __init__(self, root: Path) -> None:
        """Keep them below a folder as `.inference-…`, a name that marks what a killed server left behind."""
        self._root = root
        self._lock = threading.Lock()
        self._shared: dict[str, _Shared] = {}

    @contextmanager
    def file(self, key: str, suffix: str) -> Iterator[Path]:
        """Where the labelmap of a key is written, the same file for all that use it at one time."""
        with self._lock:
            if key not in self._shared:
                folder = self._root / f".inference-{uuid.uuid4().hex}"
                folder.mkdir()
                self._shared[key] = _Shared(folder)
            shared = self._shared[key]
            shared.users += 1
        try:
            yield shared.folder / f"labelmap{suffix}"
        finally:
            with self._lock:
                shared.users -= 1
                if shared.users == 0:
                    del self._shared[key]
                    shutil.rmtree(shared.folder, ignore_errors=True)


def infer(pool: Pool, model: str, paths: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Segment one case in a worker and wait for it; goes before waiting explanations.

    Args:
        paths: image file of each modality.
        out: the labelmap's file; the suffix names the format.

    Returns:
        "labels" (name to value), "lesions" (number, volume_ml, centroid in RAS mm, voxels, mean_probability),
        "volume_ml", "model_digest" and "seconds" that the computation took.

    Raises:
        UserError: naming the user's fault; an image that changed meanwhile. TooManyJobsError: the queue is full.
        WorkError: cancelled, or a fault that is not the user's.
    """
    reference = pool.reference(model)
    digests = {modality: known_digest(path) for modality, path in paths.items()}
    key = inference_key(reference.digest, digests, suffix_of(out))
    request = {"images": {modality: path.name for modality, path in paths.items()}, "model": model}
    with pool.labelmaps.file(key, suffix_of(out)) as shared:
        work = InferWork(reference, dict(paths), digests, shared)
        job = pool.submit(
            worker.infer, work, kind="infer", method="infer", request=request, share=key, lane="inference"
        )
        outcome = pool.ended(job.id).result()
        if isinstance(outcome, Success):
            shutil.copyfile(shared, out)
            report: dict[str, Any] = outcome.value
            return report
    if isinstance(outcome, Failure) and outcome.status != 500:
        raise user_error(outcome.status, worker.with_names(outcome.detail, paths))
    raise WorkError(outcome.detail if isinstance(outcome, Failure) else "the inference was cancelled")


def inference_key(model_digest: str, digests: Mapping[str, str], suffix: str) -> str:
    """SHA-256 over all that decides a labelmap's bytes, hexadecimal."""
    text = json.dumps(["infer", model_digest, dict(sorted(digests.items())), suffix])
    return hashlib.sha256(text.encode()).hexdigest()
