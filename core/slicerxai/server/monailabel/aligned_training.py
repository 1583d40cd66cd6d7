"""Train task of aligned classifiers: learn from submitted masks to decide from the lesions."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from monailabel.interfaces.datastore import Datastore
from pydantic import BaseModel

from slicerxai.alignment.aligned_training_parameters import AlignedTrainingParameters
from slicerxai.data.case import Case
from slicerxai.data.regions import patient_regions
from slicerxai.errors import ConflictError, InputError
from slicerxai.models.classifier_parameters import ClassifierConfig, Target, parse_target
from slicerxai.models.classifier_targets import case_labels
from slicerxai.models.store import ModelStore
from slicerxai.progress import Progress
from slicerxai.server.monailabel.models import classifiers
from slicerxai.server.monailabel.training import RATER, TrainOnLabels, labelled_cases, logged

if TYPE_CHECKING:
    import torch

    from slicerxai.models.protocols import ModelInfo
    from slicerxai.server.worklists import Worklists

logger = logging.getLogger(__name__)

KIND = "aligned"
NOT_OFFERED = ("targets", "resume")
REGION_COLUMNS = tuple(parse_target(text).column for text in ClassifierConfig.model_fields["targets"].default)


class TrainOnLesions(TrainOnLabels):
    """Trains a classifier on images with a submitted mask; a review tells their labels, else the mask's regions do.

    It goes on from the classifier that the request names as "base", or starts anew with the McDonald regions.
    """

    def __init__(self, store: ModelStore, worklists: Callable[[], Worklists]) -> None:
        super().__init__(KIND, store, "Train a classifier so that it decides from inside the submitted lesions")
        self.worklists = worklists

    @property
    def parameter_model(self) -> type[BaseModel]:
        return AlignedTrainingParameters

    def config(self) -> dict[str, Any]:
        """Defaults as the other tasks have them; as base the stored classifiers to choose from."""
        defaults = {key: value for key, value in super().config().items() if key not in NOT_OFFERED}
        return defaults | {"base": classifiers(self.store)}

    def parse(self, request: Mapping[str, Any]) -> tuple[str, bool, Any]:
        """Name of the model, False, and parameters. Raises `InputError` or `NotFoundError` naming what is bad."""
        if "targets" in request:
            msg = "the labels are those of the base, or the McDonald regions; leave 'targets' out"
            raise InputError(msg)
        name, resume, parameters = super().parse({key: value for key, value in request.items() if value != ""})
        if resume:
            msg = "the training of a classifier cannot be resumed; leave 'resume' out"
            raise InputError(msg)
        if parameters.base is not None:
            self.store.folder(parameters.base)
            if parameters.base not in classifiers(self.store):
                msg = f"model {parameters.base!r} segments; a classifier is needed as base"
                raise InputError(msg, accepted=classifiers(self.store))
        return name, False, parameters

    def cases(self, datastore: Datastore, parameters: Any) -> tuple[list[Case], Any]:
        """The images with a submitted mask whose labels can be known; those of a review as metadata.

        Raises:
            ConflictError: no submitted mask, or none of an image whose labels can be known.
        """
        targets, channels = self._of_the_base(parameters)
        reviewed = self.worklists().reviewed_labels()
        from_regions = all(target.column in REGION_COLUMNS for target in targets)
        found = []
        for case in labelled_cases(datastore, channels):
            review = reviewed.get(case.id, {})
            if all(target.name in review for target in targets):
                known = {target.name: float(review[target.name]) for target in targets}
                found.append(replace(case, metadata=known))
            elif from_regions:
                found.append(case)
        if not found:
            labels = ", ".join(target.name for target in targets)
            msg = (
                f"no image with a submitted mask has a review that says which of {labels} are present; review the "
                "worklist (accept or correct), then train"
            )
            raise ConflictError(msg)
        return found, parameters

    def train(
        self, name: str, cases: Sequence[Case], parameters: Any, device: torch.device, *, resume: bool
    ) -> ModelInfo:
        from slicerxai.alignment.aligned_training import train_aligned_model

        return train_aligned_model(cases, RATER, parameters, self.store, name, device, logged())

    def prepared(self, cases: list[Case], parameters: Any) -> tuple[list[Case], Any]:
        """All cases with their labels as metadata, 0 or 1, and the parameters with these labels as targets."""
        targets, _ = self._of_the_base(parameters)
        names = tuple(target.name for target in targets)
        found = with_labels(cases, targets, logged())
        return found, parameters.model_validate(parameters.model_dump(exclude_unset=True) | {"targets": names})

    def _of_the_base(self, parameters: Any) -> tuple[tuple[Target, ...], tuple[str, ...]]:
        """Targets and channels of the base, else of the parameters."""
        if parameters.base is None:
            return parameters.parsed_targets, parameters.channels
        description = self.store.describe(parameters.base)
        return ClassifierConfig.model_validate(description["config"]).parsed_targets, tuple(description["channels"])


def with_labels(cases: Sequence[Case], targets: Sequence[Target], progress: Progress) -> list[Case]:
    """The cases with 0 or 1 for each label as metadata: as it is there, else from the regions of the submitted mask."""
    labelled = []
    for index, case in enumerate(cases):
        if not case.metadata:
            progress(index / len(cases), f"finding the regions of {case.id}")
            volumes = patient_regions(case.mask(RATER), {key: case.image(key) for key in case.images}).volumes_ml()
            present = case_labels([replace(case, metadata=volumes)], targets)[0]
            known = {target.name: float(one) for target, one in zip(targets, present, strict=True)}
            labelled.append(replace(case, metadata=known))
        else:
            labelled.append(case)
    return labelled
