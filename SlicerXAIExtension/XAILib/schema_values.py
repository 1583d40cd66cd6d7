"""Values of fields: what is asked, whether it is accepted, and what a server says of it. Knows nothing of Qt or MRML.

Values are the JSON object of a request: a name that is missing has its default. Faults are told by path, such as
"source.where.age.minimum", in the words of the server, which checks the same once more and may know better.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .schema import Field, Limits

Faults = dict[str, str]
"""What is wrong, by path."""

MISSING = "Field required"
REFUSED = re.compile(r"bad parameters for [^:]+: (?P<faults>.*); accepted: ", re.DOTALL)
ANOTHER = re.compile(r"; (?=[\w.\-]+: [A-Z])")
GOT = re.compile(r" \(got .*\)$", re.DOTALL)
BY_VALIDATOR = "Value error, "
WHOLE = "parameters"
"""What a server calls the place of a fault that belongs to no single field."""
TYPE_WORDS = {
    "boolean": "boolean", "integer": "integer", "number": "number", "text": "string", "choices": "list",
    "point": "tuple", "numbers": "list", "texts": "list", "list": "list", "group": "dictionary", "map": "dictionary",
}  # fmt: skip


def start(field: Field) -> Any:
    """A value to begin with: the default, else one that is as near to accepted as its kind allows."""
    if field.default is not None:
        return field.default
    starts: Mapping[str, Callable[[Field], Any]] = {
        "boolean": lambda _: False,
        "integer": _start_number,
        "number": _start_number,
        "text": lambda _: "",
        "choice": lambda one: one.choices[0].value,
        "group": lambda one: started(one.fields),
        "either": lambda one: start(one.fields[0]),
        "map": lambda _: {},
        "json": lambda _: {},
    }
    return starts.get(field.kind, _start_list)(field)


def started(fields: Iterable[Field]) -> dict[str, Any]:
    """Values to begin with: what has to be said, and nothing else."""
    return {field.name: start(field) for field in fields if field.required}


def request(fields: Sequence[Field], values: Mapping[str, Any]) -> Any:
    """What is sent: the values that differ from their defaults, and those that have to be said.

    For the one field without a name it is that field's value.
    """
    if len(fields) == 1 and not fields[0].name:
        return values.get("", start(fields[0]))
    named = [(field, values[field.name]) for field in fields if field.name in values]
    return {field.name: value for field, value in named if _is_sent(field, value)}


def accepted(fields: Sequence[Field], document: Any) -> dict[str, Any]:
    """The values of an earlier request, of a scene say, as far as these fields accept them."""
    if len(fields) == 1 and not fields[0].name:
        document = {"": document}
    given = document if isinstance(document, Mapping) else {}
    named = [(field, given[field.name]) for field in fields if field.name in given]
    return {field.name: value for field, value in named if not check(field, value)}


def faults(fields: Iterable[Field], values: Mapping[str, Any]) -> Faults:
    """All that is wrong; empty when everything is accepted here."""
    found: Faults = {}
    for field in fields:
        if field.name in values:
            found.update(_below(field.name, check(field, values[field.name])))
        elif field.required:
            found[field.name] = MISSING
    return found


def check(field: Field, value: Any) -> Faults:
    """What is wrong with one value, by path within it; the value itself has the path ""."""
    if value is None:
        return {} if field.optional or field.kind == "json" else {"": MISSING if field.required else _wrong(field)}
    checks = {
        "boolean": _boolean,
        "integer": _number,
        "number": _number,
        "text": _text,
        "choice": _choice,
        "group": _group,
        "either": _either,
        "map": _map,
        "json": _json,
    }
    return checks.get(field.kind, _items)(field, value)


def alternative(field: Field, value: Any) -> int:
    """Place of the alternative that a value is of; of several the first that accepts it, else the likeliest."""
    if field.tag and isinstance(value, Mapping):
        names = [one.name for one in field.fields]
        return names.index(value[field.tag]) if value.get(field.tag) in names else 0
    found = [check(one, value) for one in field.fields]
    return min(range(len(found)), key=lambda place: ("" in found[place], len(found[place])))


def told(message: str, fields: Sequence[Field]) -> Faults:
    """What a server's refusal says, by the path of the field; by "" what belongs to none. Empty for another message."""
    refusal = REFUSED.search(message)
    if refusal is None:
        return {}
    found: Faults = {}
    for text in ANOTHER.split(refusal.group("faults")):
        place, _, words = text.partition(": ")
        words = GOT.sub("", words)
        if words.startswith(BY_VALIDATOR):
            words = words[len(BY_VALIDATOR) :]
        path = "" if place == WHOLE else known_path(fields, place.split("."))
        found[path] = f"{found[path]}; {words}" if path in found else words
    return found


def known_path(fields: Sequence[Field], keys: Sequence[str]) -> str:
    """The path of the innermost field that these keys lead to; the server puts names of alternatives between them."""
    for place, key in enumerate(keys):
        field = next((one for one in fields if one.name == key), None)
        if field is not None:
            return ".".join(filter(None, (field.name, _within(field, keys[place + 1 :]))))
    return ""


def _within(field: Field, keys: Sequence[str]) -> str:
    if not keys:
        return ""
    if field.kind == "group":
        return known_path(field.fields, keys)
    if field.kind == "either":
        inner = [found for one in field.fields if (found := _within(one, keys) or _within(one, keys[1:]))]
        return inner[0] if inner else ""
    if field.item is not None:
        return ".".join(filter(None, (keys[0], _within(field.item, keys[1:]))))
    return ""


def _is_sent(field: Field, value: Any) -> bool:
    if field.required:
        return True
    if value is None and not field.nullable:
        return False
    return not _same(_least(field, value), _least(field, field.default))


def _least(field: Field, value: Any) -> Any:
    """The value without what is the default anyway, so that two ways to say the same are equal."""
    if field.kind == "either" and value is not None:
        field = field.fields[alternative(field, value)]
    return request(field.fields, value) if field.kind == "group" and isinstance(value, Mapping) else value


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON, where 1 and true differ."""
    return bool(one == other) and json.dumps(one, sort_keys=True).count("true") == json.dumps(
        other, sort_keys=True
    ).count("true")


def _start_number(field: Field) -> Any:
    limits = field.limits
    low, high = limits.minimum, limits.maximum
    whole = field.kind == "integer"
    if low is not None and limits.above:
        low = math.floor(low) + 1 if whole else _between(low, high)
    if high is not None and limits.below:
        high = math.ceil(high) - 1 if whole else _between(low, high)
    value = max(0, low) if low is not None else 0
    value = min(value, high) if high is not None else value
    return math.ceil(value) if whole else float(value)


def _start_list(field: Field) -> list[Any]:
    """As many items as there have to be."""
    return [start(field.item) for _ in range(field.limits.shortest or 0)] if field.item is not None else []


def _between(low: float | None, high: float | None) -> float:
    """A number that is neither of its limits."""
    if low is None:
        return (high or 0.0) - 1.0
    return low + 1.0 if high is None else (low + high) / 2


def _wrong(field: Field) -> str:
    return f"Input should be a valid {TYPE_WORDS.get(field.kind, 'value')}"


def _boolean(field: Field, value: Any) -> Faults:
    return {} if isinstance(value, bool) else {"": _wrong(field)}


def _number(field: Field, value: Any) -> Faults:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return {"": _wrong(field)}
    if not math.isfinite(value):
        return {"": "Input should be a finite number"}
    if field.kind == "integer" and value != int(value):
        return {"": f"{_wrong(field)}, got a number with a fractional part"}
    return _limited(field.limits, value)


def _limited(limits: Limits, value: float) -> Faults:
    low, high, step = limits.minimum, limits.maximum, limits.step
    if step and abs(value / step - round(value / step)) > 1e-9:
        return {"": f"Input should be a multiple of {_shown(step)}"}
    if high is not None and (value > high or (limits.below and value == high)):
        return {"": f"Input should be less than {'' if limits.below else 'or equal to '}{_shown(high)}"}
    if low is not None and (value < low or (limits.above and value == low)):
        return {"": f"Input should be greater than {'' if limits.above else 'or equal to '}{_shown(low)}"}
    return {}


def _shown(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)


def _text(field: Field, value: Any) -> Faults:
    if not isinstance(value, str):
        return {"": _wrong(field)}
    limits = field.limits
    if limits.shortest is not None and len(value) < limits.shortest:
        return {"": f"String should have at least {_counted(limits.shortest, 'character')}"}
    if limits.longest is not None and len(value) > limits.longest:
        return {"": f"String should have at most {_counted(limits.longest, 'character')}"}
    if limits.pattern and not _matches(limits.pattern, value):
        return {"": f"String should match pattern '{limits.pattern}'"}
    return {}


def _matches(pattern: str, text: str) -> bool:
    """Whether it matches; a pattern that Python cannot read is left to the server."""
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return True


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'s' * (count != 1)}"


def _choice(field: Field, value: Any) -> Faults:
    if any(_same(value, choice.value) for choice in field.choices):
        return {}
    *rest, last = [repr(choice.value) for choice in field.choices]
    return {"": f"Input should be {', '.join(rest)} or {last}" if rest else f"Input should be {last}"}


def _items(field: Field, value: Any) -> Faults:
    """Of lists of every kind."""
    if not isinstance(value, list):
        return {"": _wrong(field)}
    found: Faults = {}
    for place, item in enumerate(value):
        if field.item is not None:
            found.update(_below(str(place), check(field.item, item)))
    short, long = field.limits.shortest, field.limits.longest
    if short is not None and short == long and len(value) < short:  # places of their own
        return {**found, str(len(value)): MISSING}
    if short is not None and len(value) < short:
        found[""] = f"List should have at least {_counted(short, 'item')} after validation, not {len(value)}"
    if long is not None and len(value) > long:
        found[""] = f"List should have at most {_counted(long, 'item')} after validation, not {len(value)}"
    return found


def _group(field: Field, value: Any) -> Faults:
    return faults(field.fields, value) if isinstance(value, Mapping) else {"": _wrong(field)}


def _map(field: Field, value: Any) -> Faults:
    if not isinstance(value, Mapping):
        return {"": _wrong(field)}
    found: Faults = {}
    for name, item in value.items():
        if field.item is not None:
            found.update(_below(str(name), check(field.item, item)))
    return found


def _either(field: Field, value: Any) -> Faults:
    if field.tag and isinstance(value, Mapping):
        names = [one.name for one in field.fields]
        if field.tag not in value:
            return {"": f"Unable to extract tag using discriminator '{field.tag}'"}
        if value[field.tag] not in names:
            known = ", ".join(map(repr, names))
            said = f"Input tag {str(value[field.tag])!r} found using '{field.tag}'"
            return {"": f"{said} does not match any of the expected tags: {known}"}
    return check(field.fields[alternative(field, value)], value)


def _json(_: Field, value: Any) -> Faults:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return {"": "Input should be a finite number"}
    return {}


def _below(name: str, found: Faults) -> Faults:
    return {f"{name}.{path}" if path else name: words for path, words in found.items()}
