"""Parameters of property gradients."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from slicerxai.errors import ConflictError, InputError
from slicerxai.explain.contract import ExplainParameters
from slicerxai.interventions.property_info import PropertyName

Value = Annotated[float, Field(allow_inf_nan=False)]


class PropertyParameters(ExplainParameters):
    """Which properties are changed, how far, and how the response is tested."""

    properties: Annotated[tuple[PropertyName, ...], Field(min_length=1)] | None = Field(
        default=None,
        description="Properties to change, such as contrast,noise. One alone is shown with its images at every step. "
        "By default all that this scan allows, except for recorded and generated.",
    )
    low: Value | None = Field(
        default=None, description="Lowest value of the property, in its units (one property only)."
    )
    high: Value | None = Field(
        default=None, description="Highest value of the property, in its units (one property only)."
    )
    steps: int = Field(
        default=11, ge=2, le=201, description="Values along the way; the unchanged image's is put in between them."
    )
    output: str | None = Field(
        default=None, description="Output by which properties are ranked, such as lesion_count; by default the first."
    )
    controls: int = Field(
        default=19,
        ge=0,
        le=9999,
        description="Control paths, which change the image as much and in the same places without the property's "
        "content; 0 leaves their test out. 19 can reach p = 0.05 for one property.",
    )
    control_steps: int | None = Field(
        default=None,
        ge=2,
        le=201,
        description="Changed values at which the property is compared with its controls, at most. By default 3 for a "
        "segmenter, whose predictions take long, and all for a classifier.",
    )
    permutations: int = Field(
        default=999, ge=0, le=1_000_000, description="Shuffles of the permutation test; 0 leaves it out."
    )
    delta: float = Field(default=0.05, gt=0, lt=1, description="Significance level.")
    correction: Literal["holm", "bh"] = Field(
        default="holm",
        description="How p values of several properties are adjusted: holm (any false finding) or bh (Benjamini and "
        "Hochberg, share of false findings).",
    )
    generator: str | None = Field(
        default=None,
        description="Trained generator that draws the property generated: NAME, or NAME:CENTRE of one that draws the "
        "looks of centres, with :guidance behind it to go by the scale of the guidance. By default the only one.",
    )
    sequence_values: tuple[Value, ...] | None = Field(
        default=None,
        description="Values of the recorded property at the images of the sequence, ascending; by default 1, 2, ....",
    )
    generator_digest: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the generator's files; filled in when a request is accepted.",
    )
    over_training: bool = Field(
        default=False, description="Measure the same at the snapshots that were kept while the model was trained."
    )

    @model_validator(mode="after")
    def _range(self) -> Self:
        one = self.properties is not None and len(self.properties) == 1
        if not one and (self.low is not None or self.high is not None):
            msg = "low and high belong to one property; name just one in properties"
            raise ValueError(msg)
        if self.low is not None and self.high is not None and not self.low < self.high:
            msg = f"low {self.low:g} is not below high {self.high:g}"
            raise ValueError(msg)
        if self.properties is not None and len(set(self.properties)) < len(self.properties):
            msg = f"a property is named twice: {', '.join(self.properties)}"
            raise ValueError(msg)
        return self

    def resolved(self, model_digest: str) -> Self:
        """With the generator that draws, for the property generated.

        Raises:
            InputError: no generator is named and there is not just one.
            NotFoundError: there is no such generator. ConflictError: it was trained anew meanwhile.
        """
        if "generated" not in (self.properties or ()):
            return self
        from slicerxai.interventions.generator.store import GeneratorStore
        from slicerxai.models.store import digest
        from slicerxai.settings import settings

        store = GeneratorStore(settings().generators)
        known = store.names()
        if self.generator is None and len(known) != 1:
            msg = f"name the generator that draws; known: {', '.join(known) or 'none yet'}"
            raise InputError(msg, accepted=known)
        chosen = self.generator or known[0]
        found = digest(store.folder(chosen.partition(":")[0]))
        if self.generator_digest not in (None, found):
            msg = f"generator {chosen!r} was trained anew since the request; submit it again"
            raise ConflictError(msg)
        return self.model_copy(update={"generator": chosen, "generator_digest": found})
