"""Next sample: the unlabelled image that the model is least sure of."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.strategy import Strategy

from slicerxai.errors import InputError, UserError
from slicerxai.models.store import ModelStore, digest
from slicerxai.server.monailabel.image_files import case_images
from slicerxai.server.monailabel.models import classifiers, segmenters

logger = logging.getLogger(__name__)

INFO_KEY = "uncertainty"
BUDGET = 4
"""Images segmented in one request; the others are scored by later requests."""

Uncertainty = Callable[[str, str], float]


class UncertaintyFirst(Strategy):
    """The unlabelled image with the highest mean entropy of the predicted probability.

    Scores are kept as image information under the model's digest, so that each image is segmented once a model.
    """

    def __init__(self, store: ModelStore, uncertainty: Uncertainty) -> None:
        """Build on a model store.

        Args:
            uncertainty: gives the score of an image id under a model name; raises `UserError` for an unusable image.
        """
        super().__init__("Unlabelled image that the model is least sure of (mean entropy of its probability)")
        self.store = store
        self.uncertainty = uncertainty

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, Any] | None:
        """The next image: its id, the score and the reason in words; None when every image has a submitted label.

        Args:
            request: "model", a segmenter; needed when more than one is stored.
        """
        images = sorted(datastore.get_unlabeled_images())
        if not images:
            return None
        models = segmenters(self.store)
        if request.get("model") in classifiers(self.store):
            msg = f"model {request['model']!r} classifies whole images, which strategy 'suspicion' is for"
            raise InputError(msg)
        if not models:
            return {"id": images[0], "reason": "first unlabelled image; there is no model yet to be unsure"}
        name = request.get("model", models[0] if len(models) == 1 else None)
        if name not in models:
            msg = f"name one of the models {', '.join(models)} as 'model', got {name!r}"
            raise InputError(msg)
        cases = set(case_images(datastore, tuple(self.store.describe(name)["channels"])))
        images = [image for image in images if image in cases]
        if not images:
            return None
        scores, unusable = self._scores(images, name, datastore)
        if not scores:
            return {"id": images[0], "reason": f"first unlabelled image; none could be scored: {unusable[0]}"}
        best = max(scores, key=lambda image: scores[image])
        left = len(images) - len(scores)
        reason = f"highest mean entropy under {name!r} of {len(scores)} scored images, {left} not scored"
        return {"id": best, "model": name, "score": scores[best], "reason": reason}

    def _scores(self, images: list[str], name: str, datastore: Datastore) -> tuple[dict[str, float], list[str]]:
        version = digest(self.store.folder(name))
        scores: dict[str, float] = {}
        unusable: list[str] = []
        for image in images:
            known = datastore.get_image_info(image).get(INFO_KEY) or {}
            if version in known:
                scores[image] = float(known[version])
        for image in [image for image in images if image not in scores][:BUDGET]:
            try:
                scores[image] = self.uncertainty(name, image)
            except UserError as error:
                unusable.append(str(error))
                logger.warning("image %s has no uncertainty: %s", image, error)
                continue
            datastore.update_image_info(image, {INFO_KEY: {version: scores[image]}})
        return scores, unusable
