"""Validation of parameters, with one message that names every bad field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from slicerxai.errors import InputError

M = TypeVar("M", bound=BaseModel)


def validate_parameters(model: type[M], values: Mapping[str, Any], what: str) -> M:
    """An instance of a parameter model. Raises `InputError` naming every bad field, its value and what is accepted."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'parameters'}: {e['msg']} (got {_short(e['input'])})"
            for e in error.errors()
        )
        msg = f"bad parameters for {what}: {problems}; accepted: {', '.join(model.model_fields)}"
        raise InputError(msg) from None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
