"""Validation of parameters, with one message that names the bad fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from slicerxai.errors import InputError, dotted, shortened

M = TypeVar("M", bound=BaseModel)
_NAMED = 10
"""Bad fields that a message names."""


def validate_parameters(model: type[M], values: Mapping[str, Any], what: str) -> M:
    """An instance of a parameter model. Raises `InputError` naming the bad fields, their values, what is accepted."""
    try:
        made = model.model_validate(dict(values))
    except ValidationError as error:
        problems = "; ".join(
            f"{dotted(e['loc']) or 'parameters'}: {e['msg']} (got {shortened(e['input'], 80)})"
            for e in error.errors()[:_NAMED]
        )
        msg = f"bad parameters for {what}: {problems}; accepted: {', '.join(model.model_fields)}"
        raise InputError(msg) from None
    try:
        made.model_dump_json()
    except PydanticSerializationError:
        msg = f"bad parameters for {what}: {shortened(dict(values))} has text that UTF-8 cannot hold"
        raise InputError(msg) from None
    return made
