"""Damaged and hostile inputs, made from sound ones: bytes, tables and headers, JSON."""

from __future__ import annotations

import copy
import json
import math
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

NUMBERS = (0, 1, -1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
WORDS = ("", "\x00", "nan", "-inf", "../../secret.raw", "/etc/passwd", "\ud800", "é\u202e", "a" * 5000, "%s%n", "1e400")
HEADER = 512
"""Positions below this are as likely as all others together: it is the headers that decide."""

_NUMBER = re.compile(rb"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def _deep(levels: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(levels):
        made = [made]
    return made


VALUES: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 0.5, 1.5, 7, 1e308, -1e-320, math.nan, math.inf, -math.inf, 2**31, 2**63, 10**400),
    *WORDS,
    *([], {}, [[]], [None], [1] * 3, {"": {}}, {"$float": "nan"}, {"$float": []}, {"$float": 1, "a": 2}, _deep(300)),
)
"""What may stand where something else is expected."""


def damaged_bytes(random: Random, seeds: Sequence[bytes], tokens: Sequence[bytes] = (b"",)) -> bytes:
    """One of the seeds with up to five changes: numbers overwritten, bytes cut, repeated, inserted, joined."""
    data = bytearray(random.choice(seeds))
    for _ in range(random.randint(1, 5)):
        change = random.choice(("number", "number", "byte", "cut", "end", "repeat", "token", "text", "join"))
        at = random.randint(0, min(len(data), HEADER) if random.random() < 0.7 else len(data))
        if change == "number":
            form = random.choice(("<b", "<h", ">h", "<i", ">i", "<q", "<f", ">f", "<d"))
            data[at : at + struct.calcsize(form)] = _packed(form, random.choice((*NUMBERS, math.nan, -1e30)))
        elif change == "byte":
            data[at : at + 1] = bytes([random.randrange(256)])
        elif change == "cut":
            del data[at : at + random.randint(1, 64)]
        elif change == "end":
            del data[at:]
        elif change == "repeat":
            data[at:at] = data[at : at + random.randint(1, 64)] * random.choice((1, 2, 50))
        elif change == "token":
            data[at:at] = random.choice(tokens)
        elif change == "text":
            _renumber(random, data)
        elif change == "join":
            data[at:] = random.choice(seeds)[at:]
    return bytes(data)


def damaged_lines(random: Random, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Text of which numbers and lines are changed, dropped, repeated and swapped, sometimes bytes as well."""
    lines = random.choice(seeds).split(b"\n")
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(lines))
        change = random.choice(("number", "number", "drop", "repeat", "token", "value", "swap"))
        if change == "number":
            line = bytearray(lines[at])
            _renumber(random, line)
            lines[at] = bytes(line)
        elif change == "drop" and len(lines) > 1:
            del lines[at]
        elif change == "repeat":
            lines[at:at] = [lines[at]] * random.choice((1, 2, 200))
        elif change == "token":
            lines[at:at] = [random.choice(tokens)]
        elif change == "value":
            key, mark, _ = lines[at].partition(random.choice((b":", b"=", b",")))
            lines[at] = key + mark + random.choice(WORDS).encode("utf-8", "surrogatepass")
        elif change == "swap":
            other = random.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
    text = b"\n".join(lines)
    return damaged_bytes(random, [text], tokens) if random.random() < 0.2 else text


def damaged_json(random: Random, seeds: Sequence[Any]) -> bytes:
    """A JSON document with up to three values replaced, removed, renamed or moved, sometimes bytes as well."""
    value = random.choice(seeds)
    for _ in range(random.randint(1, 3)):
        value = _changed(random, value)
    text = encoded_json(value)
    return damaged_bytes(random, [text]) if random.random() < 0.1 else text


def parameters(random: Random, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a method, by the JSON schema of its model: each fits, lies at a limit, or is something else."""
    known = schema["properties"]
    needed = schema.get("required", []) if random.random() < 0.9 else []
    names = {*needed, *random.sample((*known, "unknown"), random.randint(0, min(4, len(known))))}
    made = {name: _value(random, known.get(name, {}), schema) for name in sorted(names)}
    return dict(_changed(random, made)) if made and random.random() < 0.25 else made


def encoded_json(value: object) -> bytes:
    """As a careless client sends it: NaN, and text that UTF-8 does not hold, are sent as they are."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _value(random: Random, schema: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0) -> Any:  # noqa: PLR0911
    if depth > 4 or random.random() < 0.15:
        return copy.deepcopy(random.choice(VALUES))
    if "$ref" in schema:
        return _value(random, root["$defs"][schema["$ref"].rpartition("/")[2]], root, depth + 1)
    if choices := schema.get("anyOf", schema.get("oneOf")):
        return _value(random, random.choice(choices), root, depth + 1)
    if "enum" in schema or "const" in schema:
        return random.choice(schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind in {"integer", "number"}:
        limits = [schema[key] for key in schema if key.lower().endswith("imum")] or [0, 1]
        near = random.choice(limits) + random.choice((-1, 0, 0, 1))
        return random.choice((near, near, random.uniform(min(limits), max(limits)), random.getrandbits(40)))
    if kind == "boolean":
        return random.random() < 0.5
    if kind == "array":
        items = schema.get("items", {})
        return [_value(random, items, root, depth + 1) for _ in range(random.randint(0, 4))]
    if kind == "object" and "properties" in schema:
        fields = schema["properties"]
        kept = [name for name in fields if random.random() < 0.6]
        return {name: _value(random, fields[name], root, depth + 1) for name in kept}
    if kind == "object":
        inner = schema.get("additionalProperties") or {}
        keys = random.sample(("centre", "age", "", "\x00", "é"), random.randint(0, 3))
        return {key: _value(random, inner, root, depth + 1) for key in keys}
    return "".join(random.choices("abc01 ./\x00é\ud800", k=random.randint(0, 20)))


def _changed(random: Random, value: Any) -> Any:
    """A value with one place of it changed; the value itself stays."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places:
        return copy.deepcopy(random.choice(VALUES))
    holder, key = random.choice(places)
    change = random.choice(("replace", "replace", "replace", "remove", "rename", "wrap", "move"))
    if change == "replace":
        holder[key] = copy.deepcopy(random.choice(VALUES))
    elif change == "remove":
        del holder[key]
    elif change == "rename" and isinstance(holder, dict):
        holder[random.choice(WORDS)] = holder.pop(key)
    elif change == "wrap":
        holder[key] = [holder[key]]
    elif change == "move":
        other, name = random.choice(places)
        holder[key] = copy.deepcopy(other[name])
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a value with each of its keys."""
    keys = range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _renumber(random: Random, data: bytearray) -> None:
    """One of the first numbers written in digits becomes another."""
    found = [match.span() for _, match in zip(range(60), _NUMBER.finditer(data), strict=False)]
    if found:
        start, end = random.choice(found)
        words = (*map(str, NUMBERS), "nan", "1e400", "-3.5", "9" * 30, "9" * 5000)
        data[start:end] = random.choice(words).encode()


def _packed(form: str, number: float) -> bytes:
    if form[1] in "fd":
        return struct.pack(form, number)
    whole = 0 if math.isnan(number) else int(number)
    return struct.pack(form.upper(), whole % 2 ** (8 * struct.calcsize(form)))
