"""Next sample: any unlabelled image, rather one that was not offered lately."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy


class AnyUnlabelled(Strategy):
    """Drawn with weights of the seconds since each image was offered last.

    MONAI Label's own fails when all were offered within the present second, or later by a clock that was set back.
    """

    def __init__(self) -> None:
        super().__init__("Any unlabelled image, rather one that was not offered lately")

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """The image's id and its weight, s; None when every image has a submitted label."""
        images = sorted(datastore.get_unlabeled_images())
        if not images:
            return None
        now = time.time()
        weights = [max(1, int(now - _offered(datastore.get_image_info(image), request))) for image in images]
        (chosen,) = random.choices(range(len(images)), weights)  # noqa: S311 - a sample, no secret
        return {"id": images[chosen], "weight": weights[chosen]}


def _offered(info: Mapping[str, Any], request: Mapping[str, Any]) -> float:
    """When an image was offered last by this strategy, seconds since the epoch; 0 for never."""
    return float(info.get("strategy", {}).get(request.get("strategy"), {}).get("ts", 0))
