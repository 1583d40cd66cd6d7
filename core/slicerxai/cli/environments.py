"""An environment on the command line: conditions such as `centre=01,07` and `age=30..50`, and a rater."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import click

_NUMBER = r"[-+]?\d+(?:\.\d+)?"
_RANGE = re.compile(rf"(?P<minimum>{_NUMBER})?\.\.(?P<maximum>{_NUMBER})?")


class Condition(click.ParamType):
    """`KEY=VALUE,VALUE,…` or `KEY=MINIMUM..MAXIMUM`, one side of which may be left out."""

    name = "KEY=VALUES|KEY=MIN..MAX"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, dict[str, Any]]:
        if isinstance(value, tuple):
            return value
        key, equals, text = (part.strip() for part in value.partition("="))
        values = [part.strip() for part in text.split(",")]
        if not key or not equals or not all(values) or text == "..":
            self.fail(f"{value!r}; accepted: KEY=VALUE,VALUE,… or KEY=MINIMUM..MAXIMUM", param, ctx)
        found = _RANGE.fullmatch(text)
        if found is None:
            return key, {"values": values}
        return key, {side: float(bound) for side, bound in found.groupdict().items() if bound is not None}


def environment_options(name: str, help_text: str) -> list[click.Parameter]:
    """The two options of a parameter `name`: `--NAME` (repeatable, all conditions hold) and `--NAME-rater`."""
    flag = f"--{name.replace('_', '-')}"
    conditions = f"{help_text} Such as {flag} centre=01,07 or {flag} age=30..50; repeated, all must hold.".strip()
    return [
        click.Option([flag, name], type=Condition(), multiple=True, help=conditions),
        click.Option([f"{flag}-rater", rater_of(name)], help=f"Whose masks count in {name}. [default: consensus]"),
    ]


def rater_of(name: str) -> str:
    """Name of the option that holds the rater of an environment's parameter."""
    return f"{name}_rater"


def environment(
    name: str, conditions: Sequence[tuple[str, dict[str, Any]]], rater: str | None
) -> dict[str, Any] | None:
    """The value of the parameter; None when neither option was given. Raises `click.UsageError` for a repeated key."""
    if not conditions and rater is None:
        return None
    where: dict[str, dict[str, Any]] = {}
    for key, test in conditions:
        if key in where:
            raise click.UsageError(f"--{name.replace('_', '-')}: {key!r} is given twice; name all values at once")
        where[key] = test
    return {"where": where} | ({} if rater is None else {"rater": rater})
