"""Docstrings as they are written here: plain text in which only `backticks` mean something.

Sphinx would read asterisks, bars and trailing underscores as markup. Fields of a pydantic model are listed with their
bounds and descriptions, which are its documentation.
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx

CODE = re.compile(r"(``[^`]+``|`[^`]+`)")
BULLET = re.compile(r" *[*-] ")
MARKUP = re.compile(r"(\*|\||\\|(?<=\w)_(?=\W|$))")
SECTION = re.compile(r"(Args|Arguments|Attributes|Returns|Yields|Raises|Example|Examples|Note|Notes):$")
LIMITS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "min_length": "length ≥", "max_length": "length ≤"}


def plain(line: str) -> str:
    """One line with markup taken literally, but for the star of a list, and code in double backticks."""
    bullet = BULLET.match(line)
    start = bullet[0] if bullet else ""
    parts = CODE.split(line[len(start) :])
    return start + "".join(
        f"``{part.strip('`')}``" if number % 2 else MARKUP.sub(r"\\\1", part) for number, part in enumerate(parts)
    )


def joined(lines: list[str]) -> list[str]:
    """The lines, with a code span that goes over the end of one kept on a single line."""
    result: list[str] = []
    for line in lines:
        if result and result[-1].count("`") % 2:
            result[-1] += " " + line.strip()
        else:
            result.append(line)
    return result


def spaced(lines: list[str]) -> list[str]:
    """The lines before the first section, with a blank one wherever the indentation changes: a block of its own."""
    result: list[str] = []
    for number, line in enumerate(lines):
        if SECTION.match(line):
            return result + lines[number:]
        before = result[-1] if result else ""
        if line.strip() and before.strip() and indentation(line) != indentation(before):
            item = BULLET.match(before) and indentation(line) == indentation(before) + 2
            result += [] if item else [""]
        result.append(line)
    return result


def indentation(line: str) -> int:
    """Leading blanks."""
    return len(line) - len(line.lstrip())


def bounds(field: FieldInfo) -> str:
    """The limits of a field, such as "≥ 0, < 1"."""
    found = [
        f"{sign} {getattr(rule, name)}"
        for rule in field.metadata
        for name, sign in LIMITS.items()
        if hasattr(rule, name)
    ]
    return ", ".join(found)


def field_lines(model: type[BaseModel]) -> list[str]:
    """A list of the fields that have a description."""
    lines = ["", ":Fields:", ""]
    for name, field in model.model_fields.items():
        if field.description:
            default = (
                "required" if field.is_required() else f"default `{field.get_default(call_default_factory=True)!r}`"
            )
            facts = "; ".join(part for part in (default, bounds(field)) if part)
            lines += [f"   - `{name}` ({facts}): {field.description}"]
    return [*lines, ""] if len(lines) > 3 else []


def process(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Before napoleon finds the sections."""
    if what == "class" and isinstance(value, type) and issubclass(value, BaseModel):
        lines += field_lines(value)
    lines[:] = [plain(line) for line in spaced(joined(lines))]


def shorten(
    app: Sphinx, what: str, name: str, value: Any, options: Any, arguments: str | None, result: str | None
) -> tuple[str, None] | None:
    """A parameter model without its signature: the fields are listed below it."""
    return ("", None) if isinstance(value, type) and issubclass(value, BaseModel) else None


def skip(app: Sphinx, what: str, name: str, value: Any, skipped: bool, options: Any) -> bool | None:
    """Leave out pydantic's own attributes."""
    return True if name in {"model_config", "model_fields", "model_computed_fields"} else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register."""
    app.connect("autodoc-process-docstring", process, priority=100)
    app.connect("autodoc-process-signature", shorten)
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
