"""JSON that a client sends as a form field."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from slicerxai.errors import InputError, shortened


def json_object(text: str | None, what: str) -> dict[str, Any]:
    """The JSON object in a text; empty text is an empty object. Raises `InputError` naming the field."""
    if not text:
        return {}
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        msg = f"{what} is no valid JSON ({reason}): {shortened(text, 60)}"
        raise InputError(msg) from None
    if not isinstance(value, dict):
        msg = f"{what} must be a JSON object such as {{}}, got {shortened(text, 60)}"
        raise InputError(msg)
    return value


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is not a JSON number"
    raise ValueError(msg)
