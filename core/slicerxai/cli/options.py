"""Command-line options made from a pydantic model, so that parameters are written down once."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from slicerxai.cli.environments import environment, environment_options, rater_of
from slicerxai.data.cohort import Environment

UNIONS = (Union, types.UnionType)


class CommaSeparated(click.ParamType):
    """Values separated by commas, such as `FLAIR,T1`."""

    name = "a,b,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        return value if isinstance(value, tuple) else tuple(part.strip() for part in value.split(",") if part.strip())


def options(model: type[BaseModel]) -> list[click.Parameter]:
    """The options of each field. A value that is not given is absent, so that the model's own default holds.

    Fields that hold a mapping have no command-line form and keep their default; an `Environment` has two options.
    """
    found: list[click.Parameter] = []
    for name, field in model.model_fields.items():
        if _is_environment(field.annotation):
            found += environment_options(name, (field.description or "").strip())
        elif get_origin(field.annotation) is not dict:
            found.append(_option(name, field))
    return found


def given(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """The parameters that the user typed."""
    found = dict(values)
    for name, field in model.model_fields.items():
        if _is_environment(field.annotation):
            found[name] = environment(name, values[name], values[rater_of(name)])
    return {name: found[name] for name in model.model_fields if found.get(name) is not None}


def _is_environment(annotation: Any) -> bool:
    """Whether it is `Environment` or `Environment | None`."""
    return Environment in {annotation, *(get_args(annotation) if get_origin(annotation) in UNIONS else ())}


def _option(name: str, field: FieldInfo) -> click.Option:
    flag = f"--{name.replace('_', '-')}"
    kind, nargs = _click_type(field.annotation)
    text = (field.description or "").strip()
    if field.default not in (None, PydanticUndefined):
        text = f"{text} [default: {_shown(field.default)}]"
    elif field.is_required():
        text = f"{text} [required]"
    if kind is bool:
        return click.Option([f"{flag}/--no-{name.replace('_', '-')}"], default=None, help=text)
    return click.Option([flag], type=kind, nargs=nargs, default=None, help=text, required=field.is_required())


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _click_type(annotation: Any) -> tuple[Any, int]:
    """The click type and the number of values of an annotation."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _click_type(arguments[0])
    if origin in UNIONS and len(arguments) == 2 and type(None) in arguments:
        return _click_type(next(argument for argument in arguments if argument is not type(None)))
    if origin is Literal:
        return click.Choice([str(argument) for argument in arguments]), 1
    if origin in {tuple, list, typing.Sequence}:
        if origin is tuple and arguments and arguments[-1] is not Ellipsis:
            return _click_type(arguments[0])[0], len(arguments)
        return CommaSeparated(), 1
    if annotation in {int, float, bool, str, Path}:
        return annotation, 1
    msg = f"no command-line form for {annotation!r}"
    raise TypeError(msg)
