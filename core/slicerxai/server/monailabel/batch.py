"""Batch inference on machines without a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.batch_infer import BatchInferTask


class BatchInfer(BatchInferTask):
    """MONAI Label's batch inference without its spreading over GPUs, which divides by their number."""

    def __call__(self, request: Mapping[str, Any], datastore: Datastore, infer: Callable[..., Any]) -> dict[str, Any]:
        return super().__call__({**request, "multi_gpu": False, "device": "cpu"}, datastore, infer)
