"""A named collection of cases, and environments: selections from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from slicerxai.data.case import Case
from slicerxai.errors import InputError, NotFoundError


class OneOf(BaseModel):
    """A metadata value is one of these. Text that reads as the number of a numeric column counts as that number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    values: Annotated[tuple[str | float, ...], Field(min_length=1)]

    def holds(self, value: str | float) -> bool:
        return value in self.values or (not isinstance(value, str) and value in map(_number, self.values))

    def __str__(self) -> str:
        return f"is {' or '.join(map(_shown, self.values))}"


class Between(BaseModel):
    """A numeric metadata value lies in [minimum, maximum]; None leaves that side open."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Between:
        if self.minimum is None and self.maximum is None:
            msg = "give a minimum, a maximum or both"
            raise ValueError(msg)
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            msg = f"minimum {self.minimum} exceeds maximum {self.maximum}"
            raise ValueError(msg)
        return self

    def holds(self, value: str | float) -> bool:
        if isinstance(value, str):
            return False
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)

    def __str__(self) -> str:
        if self.minimum is not None and self.maximum is not None:
            return f"is from {self.minimum:g} to {self.maximum:g}"
        return f"is at least {self.minimum:g}" if self.minimum is not None else f"is at most {self.maximum:g}"


class Environment(BaseModel):
    """A selection of cases, and the rater whose masks count as the truth there; not a copy of data.

    Example: `{"where": {"centre": {"values": ["01", "07"]}, "age": {"minimum": 30}}, "rater": "3"}`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    where: dict[str, OneOf | Between] = Field(default_factory=dict, description="Condition by metadata key; all hold.")
    rater: str = Field(default="consensus", description="Whose masks count.")

    def holds(self, case: Case) -> bool:
        """Whether the case meets every condition; a case without the key does not."""
        return all(key in case.metadata and test.holds(case.metadata[key]) for key, test in self.where.items())

    def __str__(self) -> str:
        conditions = [f"{key} {test}" for key, test in self.where.items()]
        return f"{', '.join(conditions) or 'all cases'}; masks of rater {self.rater}"


@dataclass(frozen=True)
class Cohort:
    """Cases in a fixed order.

    Attributes:
        name: for people.
        cases: ids may repeat only until `validate` has said so; look-ups refuse an ambiguous id.
    """

    name: str
    cases: tuple[Case, ...]

    def __iter__(self) -> Iterator[Case]:
        return iter(self.cases)

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, case_id: str) -> Case:
        """The case of this id. Raises `NotFoundError` for an unknown and `InputError` for an ambiguous id."""
        found = [case for case in self.cases if case.id == case_id]
        if not found:
            msg = f"cohort {self.name!r} has no case {case_id!r}; it has {_listed([case.id for case in self.cases])}"
            raise NotFoundError(msg)
        if len(found) > 1:
            msg = f"cohort {self.name!r} has {len(found)} cases {case_id!r}"
            raise InputError(msg)
        return found[0]

    @property
    def modalities(self) -> tuple[str, ...]:
        """Modalities of any case, sorted."""
        return tuple(sorted({key for case in self.cases for key in case.images}))

    @property
    def raters(self) -> tuple[str, ...]:
        """Raters of any case, sorted."""
        return tuple(sorted({key for case in self.cases for key in case.masks}))

    def select(self, environment: Environment) -> Cohort:
        """The cases that meet every condition and have a mask of the environment's rater, in the same order.

        Raises:
            InputError: a key that no case has, a rater that no case has, or nothing selected; says what there is.
        """
        known = {key for case in self.cases for key in case.metadata}
        for key in environment.where:
            if key not in known:
                msg = f"no case of cohort {self.name!r} has metadata {key!r}; known are {_listed(sorted(known))}"
                raise InputError(msg)
        if environment.rater not in self.raters:
            msg = f"no case of cohort {self.name!r} has rater {environment.rater!r}; raters are {_listed(self.raters)}"
            raise InputError(msg)
        kept = [case for case in self.cases if environment.holds(case) and environment.rater in case.masks]
        if not kept:
            raise InputError(self._nothing(environment))
        return Cohort(self.name, tuple(kept))

    def _nothing(self, environment: Environment) -> str:
        """Why nothing was selected: the values that there are."""
        seen = {
            key: _listed(sorted({_shown(case.metadata[key]) for case in self.cases if key in case.metadata}))
            for key in environment.where
        }
        present = "; ".join(f"{key} is one of {values}" for key, values in seen.items())
        rater = f"rater {environment.rater!r}"
        return f"{str(environment)!r} selects no case of cohort {self.name!r} ({rater}; {present})"


def _number(value: str | float) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _listed(names: tuple[str, ...] | list[str], limit: int = 20) -> str:
    shown = ", ".join(names[:limit])
    return (shown + (f" and {len(names) - limit} more" if len(names) > limit else "")) or "none"
