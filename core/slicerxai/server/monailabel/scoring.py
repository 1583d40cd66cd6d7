"""Scoring: submitted labels against the stored predictions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.scoring import ScoringMethod

from slicerxai.data.io import read_volume
from slicerxai.data.metrics import dice
from slicerxai.data.volume import Volume

logger = logging.getLogger(__name__)


class Agreement(ScoringMethod):
    """Dice and lesion volumes of the submitted label and the stored prediction of each image."""

    def __init__(self) -> None:
        super().__init__("Dice and volumes (ml) of submitted labels against stored predictions")

    def __call__(self, request: Mapping[str, Any], datastore: Datastore) -> dict[str, dict[str, Any]]:
        """Score every image with both labels; what is scored is also kept as information of the submitted label.

        Args:
            request: "y" and "y_pred", the tags to compare; "final" and "original" by default.
        """
        tag = str(request.get("y", DefaultLabelTag.FINAL.value))
        predicted = str(request.get("y_pred", DefaultLabelTag.ORIGINAL.value))
        scores: dict[str, dict[str, Any]] = {}
        for image in sorted(datastore.list_images()):
            tags = datastore.get_labels_by_image_id(image)
            if tag not in tags:
                continue
            if predicted not in tags:
                scores[image] = {"skipped": f"no stored prediction {predicted!r}; POST /batch/infer/MODEL stores them"}
                continue
            scores[image] = agreement(_read(datastore, image, predicted), _read(datastore, image, tag))
            datastore.update_label_info(image, tag, {"agreement": scores[image]})
            logger.info("%s: %s", image, scores[image])
        return scores


def agreement(prediction: Volume, reference: Volume) -> dict[str, float]:
    """Dice in [0, 1] and volumes in ml of two labelmaps on one grid; every label but 0 counts as lesion."""
    masks = prediction.array != 0, reference.array != 0
    predicted, true = (float(np.count_nonzero(mask)) * reference.voxel_volume / 1000 for mask in masks)
    return {"dice": dice(*masks), "predicted_ml": predicted, "submitted_ml": true, "difference_ml": predicted - true}


def _read(datastore: Datastore, image: str, tag: str) -> Volume:
    return read_volume(Path(datastore.get_label_uri(image, tag)))
