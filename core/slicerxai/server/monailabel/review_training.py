"""Train task of the classifier: learn from what readers found when they reviewed the worklist."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from monailabel.interfaces.datastore import Datastore

from slicerxai.data.case import Case
from slicerxai.errors import ConflictError, InputError
from slicerxai.models.classifier_parameters import ClassifierTrainingParameters
from slicerxai.models.store import ModelStore
from slicerxai.server.monailabel.image_files import case_images, channel_paths
from slicerxai.server.monailabel.training import TrainOnLabels

if TYPE_CHECKING:
    from slicerxai.server.worklists import Worklists

KIND = "classifier"
OF_THE_REVIEWS = "targets"
"""The parameter that the reviews decide: which labels there are."""


class TrainOnReviews(TrainOnLabels):
    """Trains a classifier on the reviewed images; its labels are those that every review says something of."""

    rater = None

    def __init__(self, store: ModelStore, worklists: Callable[[], Worklists]) -> None:
        super().__init__(KIND, store, "Train a classifier on the labels of the reviewed images")
        self.worklists = worklists

    def config(self) -> dict[str, Any]:
        """Defaults as the segmenters' have them, without what the reviews decide and without resuming."""
        return {key: value for key, value in super().config().items() if key not in (OF_THE_REVIEWS, "resume")}

    def parse(self, request: Mapping[str, Any]) -> tuple[str, bool, Any]:
        """Name of the model, False, and parameters. Raises `InputError` naming every bad value."""
        if OF_THE_REVIEWS in request:
            msg = f"the labels are those of the reviews; leave {OF_THE_REVIEWS!r} out"
            raise InputError(msg)
        name, resume, parameters = super().parse(request)
        if resume:
            msg = "the training of a classifier cannot be resumed; leave 'resume' out"
            raise InputError(msg)
        return name, resume, parameters

    def cases(self, datastore: Datastore, parameters: Any) -> tuple[list[Case], Any]:
        """The reviewed images with their labels as metadata, and the parameters with these labels as targets.

        Raises:
            ConflictError: no reviewed image, or fewer than two labels that all reviews have in common.
        """
        return reviewed_cases(datastore, self.worklists().reviewed_labels(), parameters)


def reviewed_cases(
    datastore: Datastore, reviewed: Mapping[str, Mapping[str, bool]], parameters: ClassifierTrainingParameters
) -> tuple[list[Case], ClassifierTrainingParameters]:
    """Cases and parameters of a training on reviews; see `TrainOnReviews.cases`.

    Args:
        reviewed: labels that readers found, by image id.
    """
    images = [image for image in case_images(datastore, parameters.channels) if image in reviewed]
    if not images:
        msg = "no image has a review that says what is true; review the worklist (accept or correct), then train"
        raise ConflictError(msg)
    shared = [label for label in reviewed[images[0]] if all(label in reviewed[image] for image in images)]
    if len(shared) < 2:
        msg = (
            f"the reviews of {len(images)} images have {', '.join(shared) or 'no label'} in common; at least two "
            "labels are needed, so review all images under one model"
        )
        raise ConflictError(msg)
    cases = [
        Case(
            id=image,
            images=channel_paths(datastore, image, parameters.channels),
            metadata={label: float(reviewed[image][label]) for label in shared},
        )
        for image in images
    ]
    return cases, parameters.model_copy(update={"targets": tuple(shared)})
