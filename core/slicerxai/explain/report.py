"""One self-contained HTML page per explanation: no script, no network, printable."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from jinja2 import Template
from markupsafe import Markup
from pydantic.fields import FieldInfo

from slicerxai.data.cohort import Environment as Selection
from slicerxai.explain import registry
from slicerxai.explain.contract import VERDICTS, Check, Explanation, Verdict
from slicerxai.explain.numbers import number
from slicerxai.explain.slice_tables import data_uri, slice_tables
from slicerxai.explain.slices import shown_name
from slicerxai.pages import page_templates

LISTED_INPUTS = 12
"""More input files than these are folded away."""

VERDICT_WORDS: dict[Verdict, tuple[str, str, str]] = {
    "reliable": ("✓", "Reliable", "Every self-check of this result passed."),
    "caution": ("!", "Caution", "At least one self-check asks for caution: read the reasons before relying on it."),
    "unreliable": ("✕", "Unreliable", "At least one self-check failed: do not draw conclusions from this result."),
}
UNCHECKED = "No self-check was made, so this result is not called reliable."


def render(explanation: Explanation) -> str:
    """The page. Whatever the explanation holds is shown as text, never interpreted as HTML."""
    symbol, word, sentence = VERDICT_WORDS[explanation.verdict]
    entry = registry.METHODS.get(explanation.method)
    return _template().render(
        explanation=explanation,
        title=entry.title if entry else explanation.method,
        of_cohort=entry is not None and entry.subject == "cohort",
        listed_inputs=LISTED_INPUTS,
        summary=entry.summary if entry else None,
        symbol=symbol,
        word=word,
        sentence=sentence if explanation.checks else UNCHECKED,
        slice_tables=slice_tables(explanation),
        words=VERDICT_WORDS,
        metrics=[(shown_name(name), number(value), "") for name, value in explanation.metrics.items()],
        parameters=_parameters(explanation),
        digest=_digest,
        figures=[(figure, data_uri(figure.png)) for figure in explanation.figures.values()],
    )


def check_bound(check: Check) -> str:
    """The measured value beside its limit."""
    return f"measured {number(check.value)}, limit {number(check.limit)}"


def _parameters(explanation: Explanation) -> list[tuple[str, str, str]]:
    """Name, value and meaning of each parameter."""
    known = explanation.method in registry.METHODS
    fields = registry.parameters_class(explanation.method).model_fields if known else {}
    return [
        (
            name,
            "default" if value is None else _shown_parameter(value, fields.get(name)),
            (fields[name].description or "") if name in fields else "",
        )
        for name, value in explanation.parameters.items()
    ]


def _shown_parameter(value: Any, field: FieldInfo | None) -> str:
    if field is not None and isinstance(value, dict) and Selection in (field.annotation, *get_args(field.annotation)):
        return str(Selection.model_validate(value))
    if isinstance(value, list | tuple) and not any(isinstance(item, dict | list | tuple) for item in value):
        return ", ".join(map(number, value)) or "none"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | tuple) else number(value)


def _digest(value: str) -> Markup:
    return Markup('<code title="{}">{}</code>').format(value, value[:12] + "…" * (len(value) > 12))


def _moment(started: str) -> str:
    try:
        return f"{datetime.fromisoformat(started):%Y-%m-%d %H:%M %Z}".strip()
    except ValueError:
        return started


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text.endswith((".", "!", "?")) else text + "."


def _by_verdict(checks: list[Check]) -> list[Check]:
    """The worst first."""
    return sorted(checks, key=lambda check: VERDICTS.index(check.verdict), reverse=True)


def _numeric(rows: list[list[Any]], index: int) -> bool:
    cells = [row[index] for row in rows if index < len(row) and row[index] is not None]
    return bool(cells) and all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells)


@lru_cache
def _template() -> Template:
    environment = page_templates(Path(__file__).parent)
    environment.filters |= {
        "number": number,
        "bound": check_bound,
        "moment": _moment,
        "sentence": _sentence,
        "by_verdict": _by_verdict,
    }
    environment.tests["numeric"] = _numeric
    return environment.get_template("report.html.jinja")
