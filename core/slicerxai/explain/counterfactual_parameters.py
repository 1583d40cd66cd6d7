"""Parameters of counterfactuals."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field

from slicerxai.errors import ConflictError
from slicerxai.explain.contract import ExplainParameters
from slicerxai.explain.saliency_parameters import Coordinate

MOST: Final = 5
NO_REALISM: Final = "none"


class CounterfactualParameters(ExplainParameters):
    """Which decision to turn round, and what counts as a small change."""

    label: str | None = Field(
        default=None,
        description="Classifiers: the label whose decision is turned round. By default the most probable of those that "
        "are present, and the one nearest to its threshold where none is.",
    )
    point: Annotated[tuple[Coordinate, Coordinate, Coordinate], Field(description="RAS coordinates in mm.")] | None = (
        Field(
            default=None,
            description="Segmenters: a point (R, A, S in mm) in or within 10 mm of the predicted lesion that is to "
            "vanish. By default the largest one.",
        )
    )
    count: int = Field(
        default=2,
        ge=1,
        le=MOST,
        description="Counterfactuals to look for, each kept off the voxels that the earlier ones changed.",
    )
    distance: Literal["l1", "l2"] = Field(
        default="l1",
        description="How the size of a change is measured: l1 changes few voxels, l2 (squared) many voxels a little.",
    )
    alpha: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        allow_inf_nan=False,
        description="Weight of the change's size against the decision: at 1 nothing moves, near 0 the change is large. "
        "By default the largest weight at which the decision turns.",
    )
    space: Literal["image", "latent"] = Field(
        default="image",
        description="image: voxels are changed freely. latent: only as an autoencoder of the training images can draw "
        "it, which looks more real; needs slicerxai realism.",
    )
    steps: int = Field(default=60, ge=1, le=2000, description="Most steps of the solver at one weight.")
    realism: str | None = Field(
        default=None,
        pattern=rf"^([0-9a-f]{{12}}|{NO_REALISM})$",
        description="Id of what slicerxai realism learned of the model's images; by default the newest one. none: the "
        "plausibility is not judged.",
    )

    def resolved(self, model_digest: str) -> Self:
        """With the id of what the plausibility is judged by, or "none" where nothing was learned for the model.

        Raises:
            NotFoundError, ConflictError: no such id, that of another model, or none for a change in latent space.
            InputError: it is damaged.
        """
        from slicerxai.alignment.realism_store import RealismStore
        from slicerxai.settings import settings

        store = RealismStore(settings().realism)
        if self.realism not in (None, NO_REALISM):
            store.load(self.realism or "", model_digest)
            return self
        chosen = self.realism or store.newest_id(model_digest) or NO_REALISM
        if chosen == NO_REALISM and self.space == "latent":
            msg = "changes in latent space need what slicerxai realism MODEL COHORT learns of the model's images; "
            raise ConflictError(msg + ("leave realism out" if self.realism else "nothing was learned of this model's"))
        return self.model_copy(update={"realism": chosen})
