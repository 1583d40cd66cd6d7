"""Cohorts of a server, and environments: which of their cases are meant, and whose masks count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from .i18n import tr as _

Value = Union[str, float]


@dataclass(frozen=True)
class OneOf:
    """A metadata value is one of these."""

    values: tuple[Value, ...]

    def holds(self, value: Value) -> bool:
        """Whether a case with this value is selected."""
        return value in self.values

    def document(self) -> dict[str, Any]:
        """As the server takes it."""
        return {"values": list(self.values)}

    def __str__(self) -> str:
        return _(" or ").join(map(shown, self.values))


@dataclass(frozen=True)
class Between:
    """A number lies in [minimum, maximum]; None leaves that side open."""

    minimum: float | None
    maximum: float | None

    def holds(self, value: Value) -> bool:
        """Whether a case with this value is selected."""
        if isinstance(value, str):
            return False
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)

    def document(self) -> dict[str, Any]:
        """As the server takes it."""
        ends = {"minimum": self.minimum, "maximum": self.maximum}
        return {name: end for name, end in ends.items() if end is not None}

    def __str__(self) -> str:
        if self.minimum is None:
            return _("up to {maximum:g}").format(maximum=self.maximum)
        return _("from {minimum:g}").format(minimum=self.minimum) + (
            "" if self.maximum is None else _(" to {maximum:g}").format(maximum=self.maximum)
        )


Condition = Union[OneOf, Between]


@dataclass(frozen=True)
class Case:
    """What a server says of a case; no voxels."""

    id: str
    modalities: tuple[str, ...]
    raters: tuple[str, ...]
    metadata: Mapping[str, Value]


@dataclass(frozen=True)
class Environment:
    """A selection of cases, and the rater whose masks count there."""

    rater: str = ""
    where: Mapping[str, Condition] = field(default_factory=dict)

    def selects(self, case: Case) -> bool:
        """Whether a case meets every condition and has a mask of the rater."""
        conditions = self.where.items()
        met = all(key in case.metadata and test.holds(case.metadata[key]) for key, test in conditions)
        return met and self.rater in case.raters

    def document(self) -> dict[str, Any]:
        """As the server takes it."""
        return {"rater": self.rater, "where": {key: test.document() for key, test in self.where.items()}}

    def __str__(self) -> str:
        conditions = ", ".join(f"{key} {test}" for key, test in self.where.items())
        return _("{value}; rater {rater}").format(value=conditions or _("all cases"), rater=self.rater)


@dataclass(frozen=True)
class Cohort:
    """A cohort's name and cases."""

    name: str
    cases: tuple[Case, ...]

    @property
    def raters(self) -> Mapping[str, int]:
        """Number of cases that each rater has drawn, by rater."""
        return _counted(rater for case in self.cases for rater in case.raters)

    @property
    def keys(self) -> tuple[str, ...]:
        """Metadata keys that tell cases apart, sorted; one that has a value of its own in every case is an id."""
        keys = sorted({key for case in self.cases for key in case.metadata})
        return tuple(key for key in keys if self.numeric(key) or 1 <= len(self.values(key)) < len(self.cases))

    def values(self, key: str) -> Mapping[Value, int]:
        """Distinct values of a metadata key, sorted, with the number of cases."""
        return _counted(case.metadata[key] for case in self.cases if key in case.metadata)

    def numeric(self, key: str) -> bool:
        """Whether all values of a key are numbers."""
        values = self.values(key)
        return bool(values) and not any(isinstance(value, str) for value in values)

    def selected(self, environment: Environment) -> tuple[Case, ...]:
        """The cases of an environment."""
        return tuple(case for case in self.cases if environment.selects(case))


def environment_of(document: Any) -> Environment:
    """The environment of its JSON. Raises `ValueError` for anything else."""
    try:
        where = {str(key): _condition(test) for key, test in document.get("where", {}).items()}
        return Environment(_text(document["rater"]), where)
    except (AttributeError, KeyError, TypeError) as error:
        msg = f"not an environment: {error!r}"
        raise ValueError(msg) from None


def cohort_of(document: Any) -> Cohort:
    """The cohort of a JSON answer. Raises `ValueError` when it is none."""
    try:
        return Cohort(_text(document["name"]), tuple(_case(one) for one in document["cases"]))
    except (AttributeError, KeyError, TypeError) as error:
        msg = f"not a cohort: {error!r}"
        raise ValueError(msg) from None


@dataclass(frozen=True)
class Cohorts:
    """The cohorts of a server by name, with their numbers of cases; `unusable` are folders that are none, with the
    reason.
    """

    sizes: Mapping[str, int]
    unusable: Mapping[str, str]


def cohorts_of(document: Any) -> Cohorts:
    """The list of a JSON answer. Raises `ValueError` when it is none."""
    try:
        sizes = {_text(one["name"]): int(one["cases"]) for one in document["cohorts"]}
        return Cohorts(sizes, {str(name): str(reason) for name, reason in document.get("unusable", {}).items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"not a list of cohorts: {error!r}"
        raise ValueError(msg) from None


def shown(value: Value) -> str:
    """A metadata value, for people."""
    return value if isinstance(value, str) else f"{value:g}"


def _case(document: Any) -> Case:
    metadata = {str(key): _value(value) for key, value in document["metadata"].items()}
    modalities, raters = (tuple(map(_text, document[name])) for name in ("modalities", "raters"))
    return Case(_text(document["id"]), modalities, raters, metadata)


def _condition(document: Any) -> Condition:
    if "values" in document:
        return OneOf(tuple(map(_value, document["values"])))
    ends = (document.get("minimum"), document.get("maximum"))
    if ends == (None, None):
        raise KeyError("values")
    return Between(*(None if end is None else float(end) for end in ends))


def _value(value: Any) -> Value:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _counted(values: Any) -> dict[Any, int]:
    counts: dict[Any, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return {value: counts[value] for value in sorted(counts, key=lambda value: (isinstance(value, str), value))}
