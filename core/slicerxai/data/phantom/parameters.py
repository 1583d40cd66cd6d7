"""What kind of cohort to simulate."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from scipy import special

from slicerxai.data.phantom.centres import CENTRES, AcquisitionStyle
from slicerxai.data.phantom.lesions import REGIONS
from slicerxai.data.phantom.raters import RATERS, AnnotationStyle


class Population(BaseModel):
    """Whom a centre sees."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    age_mean: float = Field(default=42.0, ge=18, le=80, description="Mean age, years.")
    age_sd: float = Field(default=10.0, ge=0, le=20, description="Standard deviation of the age, years.")
    load_median_ml: float = Field(default=9.0, gt=0, le=60, description="Median lesion load, ml.")
    load_spread: float = Field(default=1.0, ge=0, le=2, description="SD of the load's logarithm.")
    affected: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default={}, description="Share of the patients with lesions centred in each region; all regions or none named."
    )

    @field_validator("affected")
    @classmethod
    def _every_region(cls, affected: dict[str, float]) -> dict[str, float]:
        if affected and set(affected) != set(REGIONS.values()):
            msg = f"name every region ({', '.join(REGIONS.values())}) or none, got {', '.join(affected)}"
            raise ValueError(msg)
        return affected

    def regions(self, draws: NDArray[np.float64]) -> tuple[int, ...] | None:
        """Labels of the affected regions at one draw of [0, 1) for each region; None when that is left to chance.

        When the draws affect none, the region that came closest is affected: every patient has lesions.
        """
        if not self.affected:
            return None
        excess = {label: self.affected[name] - draws[n] for n, (label, name) in enumerate(REGIONS.items())}
        return tuple(label for label in excess if excess[label] > 0) or (max(excess, key=lambda key: excess[key]),)

    def age(self, quantile: float) -> float:
        """Age at a quantile of (0, 1), within 18 to 75 years."""
        return float(np.clip(self.age_mean + self.age_sd * special.ndtri(quantile), 18, 75))

    def load(self, quantile: float) -> float:
        """Wanted lesion load at a quantile of (0, 1), ml."""
        return float(self.load_median_ml * np.exp(self.load_spread * special.ndtri(quantile)))


class PhantomParameters(BaseModel):
    """The whole cohort; the same parameters give the same files, bit by bit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patients: int = Field(default=4, ge=1, le=500, description="Patients of each centre.")
    spacing: float = Field(default=2.0, ge=1, le=2, description="Voxel size, mm: 1 or 2.")
    seed: int = Field(default=2016, ge=0, description="Another seed gives other patients.")
    centres: tuple[str, ...] = Field(default=("01", "03", "07", "08"), min_length=1, description="Centres.")
    raters: tuple[str, ...] = Field(default=tuple(RATERS), min_length=1, description="Raters who draw every patient.")
    load_min_ml: float = Field(default=1.0, ge=0.1, le=60, description="Smallest wanted lesion load, ml.")
    load_max_ml: float = Field(default=40.0, ge=0.1, le=60, description="Largest wanted lesion load, ml.")
    acquisition: dict[str, AcquisitionStyle] = Field(
        default=CENTRES, description="Scanner of each centre.", json_schema_extra={"cli": False}
    )
    annotation: dict[str, AnnotationStyle] = Field(
        default=RATERS, description="Habits of each rater.", json_schema_extra={"cli": False}
    )
    population: dict[str, Population] = Field(
        default={}, description="Whom each centre sees; the default population where a centre is not named."
    )

    @field_validator("spacing")
    @classmethod
    def _whole_spacing(cls, spacing: float) -> float:
        if spacing not in (1.0, 2.0):
            msg = f"spacing is 1 or 2 mm, got {spacing}"
            raise ValueError(msg)
        return spacing

    @field_validator("centres")
    @classmethod
    def _centres_are_folder_names(cls, centres: tuple[str, ...]) -> tuple[str, ...]:
        for centre in centres:
            if not (centre.isdigit() and len(centre) == 2):
                msg = f"a centre is two digits such as '01', got {centre!r}"
                raise ValueError(msg)
        return _once(centres, "centre")

    @field_validator("raters")
    @classmethod
    def _raters_are_numbers(cls, raters: tuple[str, ...]) -> tuple[str, ...]:
        for rater in raters:
            if not (rater.isdigit() and len(rater) == 1):
                msg = f"a rater is one digit such as '1', got {rater!r}"
                raise ValueError(msg)
        return _once(raters, "rater")

    @model_validator(mode="after")
    def _complete(self) -> PhantomParameters:
        if self.load_min_ml > self.load_max_ml:
            msg = f"load_min_ml {self.load_min_ml} exceeds load_max_ml {self.load_max_ml}"
            raise ValueError(msg)
        for what, names, known in (
            ("acquisition", self.centres, self.acquisition),
            ("annotation", self.raters, self.annotation),
        ):
            missing = sorted(set(names) - set(known))
            if missing:
                msg = f"no {what} style for {', '.join(missing)}; there are {', '.join(sorted(known))}"
                raise ValueError(msg)
        return self

    @property
    def count(self) -> int:
        """Patients of the whole cohort."""
        return self.patients * len(self.centres)


def _once(names: tuple[str, ...], what: str) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        msg = f"a {what} is named twice in {', '.join(names)}"
        raise ValueError(msg)
    return names
