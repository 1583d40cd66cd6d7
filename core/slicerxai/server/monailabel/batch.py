"""Batch inference on machines without a GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.batch_infer import BatchInferTask

from slicerxai.errors import UserError

logger = logging.getLogger(__name__)


class BatchInfer(BatchInferTask):
    """MONAI Label's batch inference without its spreading over GPUs, which divides by their number.

    An unusable image does not end the batch: its result is {"error": why}.
    """

    def __call__(self, request: Mapping[str, Any], datastore: Datastore, infer: Callable[..., Any]) -> dict[str, Any]:
        def attempt(one: Mapping[str, Any], datastore: Datastore) -> dict[str, Any]:
            try:
                result: dict[str, Any] = infer(one, datastore)
            except UserError as error:
                logger.warning("image %s: %s", one.get("image"), error)
                return {"error": str(error)}
            return result

        return super().__call__({**request, "multi_gpu": False, "device": "cpu"}, datastore, attempt)
