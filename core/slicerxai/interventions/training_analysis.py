"""Property gradients at the snapshots of a training: what a network learned when, and what it forgot again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from slicerxai.errors import InputError
from slicerxai.interventions.effect import Effect, effect
from slicerxai.interventions.outcomes import ClassifierReader, Output
from slicerxai.interventions.path import GradualPath
from slicerxai.models.classifier import ImageClassifier
from slicerxai.models.protocols import Model
from slicerxai.progress import Progress, each, silent

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TrainingEffect:
    """One property over the epochs that were kept.

    Attributes:
        epochs: (E,) ascending; 0 is the network before training.
        values: (N,) of the property. outputs: O of them, with the thresholds of the finished model.
        predictions: (E, N, O).
        effects: of each epoch.
    """

    epochs: tuple[int, ...]
    values: Array
    outputs: tuple[Output, ...]
    predictions: Array
    effects: tuple[Effect, ...]

    @property
    def over_range(self) -> Array:
        """E|∇| times the length of the range, (E, O)."""
        return np.stack([one.over_range for one in self.effects])


def effect_over_training(path: GradualPath, model: Model, progress: Progress = silent) -> TrainingEffect:
    """Measure a property at every snapshot of a model; the images of the path are made once.

    Raises:
        InputError: the model is no classifier with snapshots, one of them is damaged, or as `GradualPath`.
        Cancelled: through `progress`.
    """
    if not isinstance(model, ImageClassifier) or not model.snapshots:
        msg = (
            f"model {model.info.name!r} kept no snapshots of its training; train a classifier with --snapshots 1 to "
            "see what it learned when"
        )
        raise InputError(msg)
    read = ClassifierReader(model, path.scan.images)
    tensors = torch.stack([read.prepare(path[step]) for step in range(len(path))])
    epochs, found = sorted(model.snapshots), []
    for epoch, now in each(progress, epochs):
        now(0.0, f"{path.property.info.title} after epoch {epoch}")
        found.append(ClassifierReader(model.at_epoch(epoch), path.scan.images).read(tensors))
    thresholds = [output.threshold for output in read.outputs]
    return TrainingEffect(
        epochs=tuple(epochs),
        values=np.asarray(path.values, np.float64),
        outputs=read.outputs,
        predictions=np.stack(found),
        effects=tuple(effect(path.values, predictions, thresholds) for predictions in found),
    )
