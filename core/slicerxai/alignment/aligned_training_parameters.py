"""Parameters of training a stored classifier that decides from inside the lesions; importable without torch."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from slicerxai.alignment.aligned_parameters import AlignmentParameters
from slicerxai.models.classifier_parameters import ClassifierConfig, ClassifierTrainingParameters

OF_THE_BASE: Final = (*ClassifierConfig.model_fields, "channels")
"""What a model to go on from decides."""


class AlignedTrainingParameters(ClassifierTrainingParameters):
    """The single source of the command line's options, the server's schema and the stored provenance."""

    base: str | None = Field(
        default=None,
        description="Stored classifier to go on from, which then decides on the network, its input and its labels; "
        "without one, a new network is trained.",
    )
    epochs: int = Field(default=6, ge=1, le=10_000, description="Passes over the training cases.")
    exchange: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the images that are shown in the surroundings of others: what lies outside of the brain, "
        "in single images outside of the mask. In the rest of them a shortcut stays worth something.",
    )
    invariance: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        allow_inf_nan=False,
        description="Weight of the loss on images that were changed outside of the lesions so that a label would turn "
        "round.",
    )
    cost: float = Field(
        default=0.05,
        gt=0,
        le=100,
        allow_inf_nan=False,
        description="What it costs the search for that change to move one value across the whole range of the images, "
        "in nats of the loss; values that bring less are left alone.",
    )
    steps: int = Field(default=5, ge=1, le=1000, description="Steps of that search.")
    warm_up: int = Field(default=0, ge=0, le=1000, description="Epochs of classification alone before.")
    frozen_norms: bool = Field(
        default=False, description="Leave the statistics of batch norms as they are in the model to go on from."
    )

    @property
    def alignment(self) -> AlignmentParameters:
        """The part that says what is added to the loss."""
        names = ("invariance", "cost", "steps", "warm_up", "frozen_norms")
        return AlignmentParameters.model_validate({name: getattr(self, name) for name in names})
