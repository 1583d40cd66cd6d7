"""From the JSON schema of a method's parameters to the fields of a form. Knows nothing of Qt, MRML or HTTP.

A schema is the server's, and any construct of JSON Schema may come. What a form has no control for becomes a field of
the kind "json", a text that is checked to be JSON: nothing that can be asked is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from .i18n import tr as _
from .schema_nodes import Schema, alternatives_of, references, resolved, without_null

Kind = Literal[
    "boolean", "integer", "number", "text", "choice", "choices", "point", "numbers", "texts",
    "group", "either", "list", "map", "json",
]  # fmt: skip

DEEPEST, MOST = 40, 1000
"""Names and references that a field may lie within, and number of fields of a schema: beyond, and where a schema refers
to itself, a field has the kind "json"."""
FIRST = 6
"""Fields of a method that are not advanced unless the schema says so: authors name first what matters most."""
SEED = "seed"
"""Every method has it, and few people want another one."""
UNIT_IN_NAME = re.compile(r"_(mm|ml|ms|s|hz|percent)$")
UNIT_IN_WORDS = re.compile(r"(?:,| in) (mm³|mm|ml|seconds|minutes|voxels|per cent)\b")
UNITS: Mapping[str, str] = {"seconds": "s", "minutes": "min", "per cent": "%", "percent": "%"}
RAS = re.compile(r"\bRAS\b|\bR, ?A,? (?:and )?S\b")
WORD_WITHIN = re.compile(r"(?<=[a-z])(?=[A-Z])")
"""Between the words of the name of a class, which pydantic makes a title."""
TYPES: Mapping[str, Kind] = {"boolean": "boolean", "integer": "integer", "number": "number", "string": "text"}
PLAIN = (str, int, float, bool)
ALTERNATIVES: Mapping[str, str] = {
    "boolean": _("Yes or no"),
    "integer": _("Whole number"),
    "number": _("Number"),
    "text": _("Text"),
    "choice": _("One of a list"),
    "choices": _("Some of a list"),
    "point": _("Point"),
    "numbers": _("Numbers"),
    "texts": _("Texts"),
    "list": _("List"),
    "map": _("Values by name"),
    "group": _("Values"),
    "either": _("Other"),
    "json": _("JSON"),
}
"""Of an alternative that has no title of its own, by its kind."""


@dataclass(frozen=True)
class Choice:
    """One of the values that a field accepts; `title` is for people."""

    value: Any
    title: str
    help: str = ""


@dataclass(frozen=True)
class Limits:
    """What a value has to keep; None where there is no limit.

    Attributes:
        minimum, maximum: of a number; `above` and `below` say that the limit itself is not accepted.
        shortest, longest: number of characters of a text, or of items of a list.
        step: a number has to be a multiple of it.
        pattern: regular expression that a text has to match somewhere.
    """

    minimum: float | None = None
    maximum: float | None = None
    above: bool = False
    below: bool = False
    shortest: int | None = None
    longest: int | None = None
    step: float | None = None
    pattern: str = ""


@dataclass(frozen=True)
class Field:
    """One thing that can be asked. A value of it is what stands in the JSON of a request.

    Attributes:
        name: its key in the request; empty for a whole document that is no list of named parameters.
        title: for people.
        kind: boolean, integer, number, text; choice (one of `choices`), choices (a list of them); point (R, A, S in
            mm); numbers, texts (lists); group (named `fields`), either (one of `fields`), list and map (each value is
            an `item`), json (anything).
        default: what holds when nothing is said; None also where the schema names no default.
        required: it has to be said.
        optional: it may be left open, and is None then.
        nullable: None may be sent.
        limits: what a value has to keep.
        choices: what is accepted.
        unit: of a number, such as "mm"; empty where the schema does not tell.
        help: a sentence or more about it.
        advanced: few people need it.
        fields: of a group, or the alternatives of an either.
        item: of lists and maps.
        tag: of an either: the key whose value names the alternative; each alternative's `name` is that value.
    """

    name: str
    title: str
    kind: Kind
    default: Any = None
    required: bool = False
    optional: bool = False
    nullable: bool = False
    limits: Limits = Limits()
    choices: tuple[Choice, ...] = ()
    unit: str = ""
    help: str = ""
    advanced: bool = False
    fields: tuple[Field, ...] = ()
    item: Field | None = None
    tag: str = ""

    @property
    def fixed(self) -> bool:
        """Whether just one value is accepted, so that there is nothing to ask."""
        return self.kind == "choice" and len(self.choices) == 1 and not self.optional


def fields_of(schema: Schema) -> tuple[Field, ...]:
    """The fields of a schema of parameters, those that have to be said first, advanced ones last."""
    reader = _Reader(schema)
    root = resolved(schema, schema)
    if _is_group(root):
        return _ordered(reader.named(root, ()))
    return () if _is_empty(root) else (reader.field("", "Parameters", root, True, ()),)


def fields_of_options(options: Mapping[str, Any]) -> tuple[Field, ...]:
    """The fields of MONAI Label's own form of options: defaults by name, choices as a list with the default first."""
    return tuple(_option(str(name), default) for name, default in options.items())


def titled(name: str) -> str:
    """A key for people: "control_steps" is "Control steps"."""
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def _ordered(fields: list[Field]) -> tuple[Field, ...]:
    return tuple(sorted(fields, key=lambda field: (field.advanced, not field.required)))


class _Reader:
    """Reads the fields of one schema.

    Args:
        root: the whole schema, which references point into.
    """

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._left = MOST

    def named(self, node: Schema, within: Sequence[str]) -> list[Field]:
        """The fields of an object.

        Args:
            within: references that the object lies within.
        """
        needed, found, told = node.get("required") or (), [], 0
        for name, schema in node["properties"].items():
            required = name in needed
            told += name != SEED and not required
            field = self.field(str(name), _text(schema, "title"), schema, required, within)
            said = _part(schema, "advanced")
            usual = not required and (name == SEED or told > FIRST)
            found.append(replace(field, advanced=said if isinstance(said, bool) else usual))
        return found

    def field(self, name: str, title: str, schema: Any, required: bool, within: Sequence[str]) -> Field:
        """One field.

        Args:
            title: for people; empty for one that is made from the name.
            required: it has to be said.
            within: references that the schema lies within; one that comes again is not followed.
        """
        self._left -= 1
        node, nullable = without_null(resolved(schema, self._root), self._root)
        beyond = references(schema, self._root)
        known = bool(set(beyond) & set(within)) or len(within) > DEEPEST or self._left < 0
        kind, more = ("json", {}) if known else self._shape(node, (*within, *beyond, name))
        default, description = node.get("default"), _text(node, "description")
        if kind == "choice" and required and len(more["choices"]) == 1:
            default = more["choices"][0].value
        return Field(
            name=name,
            title=title if title and not _made_of(title, name) else titled(UNIT_IN_NAME.sub("", name)) or title,
            kind=kind,
            default=default,
            required=required,
            optional=nullable or (default is None and not required),
            nullable=nullable,
            limits=_limits(node),
            unit=_unit(name, node, description) if kind in ("integer", "number", "numbers", "point") else "",
            help=description,
            **more,
        )

    def _shape(self, node: Schema, within: Sequence[str]) -> tuple[Kind, dict[str, Any]]:
        """The kind of a field, and what belongs to that kind."""
        choices, several = self._choices(node), alternatives_of(node)
        if choices or several:
            return ("choice", {"choices": choices}) if choices else ("either", self._either(node, several, within))
        kind = TYPES.get(str(node.get("type")))
        if kind is not None:
            return kind, {}
        return self._list(node, within) if node.get("type") == "array" else self._object(node, within)

    def _object(self, node: Schema, within: Sequence[str]) -> tuple[Kind, dict[str, Any]]:
        if _is_group(node):
            return "group", {"fields": tuple(self.named(node, within))}
        if node.get("type") == "object" and "patternProperties" not in node and not node.get("properties"):
            values = node.get("additionalProperties", True)
            if values is not False:
                return "map", {"item": self.field("", "Value", values, True, within)}
        return "json", {}

    def _choices(self, node: Schema) -> tuple[Choice, ...]:
        """The values that are accepted, where they are listed; those of a `oneOf` with their titles."""
        parts = [resolved(part, self._root) for part in alternatives_of(node)]
        if parts and all(isinstance(part.get("const"), PLAIN) for part in parts):
            return tuple(
                Choice(part["const"], _text(part, "title") or _shown(part["const"]), _text(part, "description"))
                for part in parts
            )
        values = [node["const"]] if "const" in node else node.get("enum")
        if not isinstance(values, list):
            return ()
        named = [value for value in values if value is not None]
        return tuple(Choice(value, _shown(value)) for value in named) if _all(named, PLAIN) else ()

    def _either(self, node: Schema, several: list[Schema], within: Sequence[str]) -> dict[str, Any]:
        discriminator = node.get("discriminator")
        tag = _text(discriminator, "propertyName") if isinstance(discriminator, Mapping) else ""
        fields = []
        for schema in several:
            part = resolved(schema, self._root)
            value = _part((part.get("properties") or {}).get(tag), "const") if tag else None
            name = value if isinstance(value, str) else ""
            field = self.field(name, _text(part, "title"), schema, True, within)
            if name:  # it is told by its tag, which is sent whether the schema calls it required or not
                told = (replace(one, required=True, default=name) if one.name == tag else one for one in field.fields)
                field = replace(field, fields=tuple(told))
            title = WORD_WITHIN.sub(" ", _text(part, "title")).capitalize() or field.title
            fields.append(replace(field, title=title or ALTERNATIVES[field.kind]))
        return {"fields": tuple(fields), "tag": tag if all(field.name for field in fields) else ""}

    def _list(self, node: Schema, within: Sequence[str]) -> tuple[Kind, dict[str, Any]]:
        places = node.get("prefixItems")
        if isinstance(places, list):
            return self._places(node, places, within)
        if not isinstance(node.get("items"), Mapping):
            return "json", {}
        item = self.field("", "", node["items"], True, within)
        if item.kind == "choice" and not item.optional:
            return "choices", {"choices": item.choices, "item": item}
        lists: Mapping[str, Kind] = {"number": "numbers", "integer": "numbers", "text": "texts"}
        return lists.get("" if item.optional else item.kind, "list"), {"item": item}

    def _places(self, node: Schema, places: list[Any], within: Sequence[str]) -> tuple[Kind, dict[str, Any]]:
        """A list whose items have each its own meaning: so many numbers, such as a point."""
        parts = [resolved(part, self._root) for part in places]
        count = len(parts)
        if not parts or any(part != parts[0] for part in parts) or node.get("maxItems") != count:
            return "json", {}
        item = self.field("", "", parts[0], True, within)
        if item.kind not in ("number", "integer") or node.get("minItems") != count:
            return "json", {}
        is_point = count == 3 and item.kind == "number" and RAS.search(_text(node, "description"))
        return ("point" if is_point else "numbers"), {"item": item}


def _made_of(title: str, name: str) -> bool:
    """Whether a title is just the name with capitals, as pydantic makes it."""
    return title.replace(" ", "").lower() == name.replace("_", "").lower()


def _is_group(node: Schema) -> bool:
    """Whether all that an object may hold is known by name."""
    further = isinstance(node.get("additionalProperties"), Mapping) or "patternProperties" in node
    return isinstance(node.get("properties"), Mapping) and not further and not alternatives_of(node)


def _is_empty(node: Schema) -> bool:
    """Whether a schema of an object names nothing that could be said."""
    return not set(node) - {"type", "title", "description", "additionalProperties", "$defs"} and not isinstance(
        node.get("additionalProperties"), Mapping
    )


def _shown(value: Any) -> str:
    """A value for people."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value.replace("_", " ") if isinstance(value, str) else f"{value:g}"


def _limits(node: Schema) -> Limits:
    low, high = _number(node, "minimum"), _number(node, "maximum")
    above, below = _number(node, "exclusiveMinimum"), _number(node, "exclusiveMaximum")
    is_above = above is not None and (low is None or above >= low)
    is_below = below is not None and (high is None or below <= high)
    short, long = (node.get(name, node.get(other)) for name, other in (("minLength", "minItems"),
                                                                       ("maxLength", "maxItems")))  # fmt: skip
    return Limits(
        minimum=above if is_above else low,
        maximum=below if is_below else high,
        above=is_above,
        below=is_below,
        shortest=short if isinstance(short, int) else None,
        longest=long if isinstance(long, int) else None,
        step=_number(node, "multipleOf"),
        pattern=str(node.get("pattern") or ""),
    )


def _part(node: Any, name: str) -> Any:
    return node.get(name) if isinstance(node, Mapping) else None


def _text(node: Any, name: str) -> str:
    value = _part(node, name)
    return value if isinstance(value, str) else ""


def _all(values: Iterable[Any], kinds: tuple[type, ...]) -> bool:
    return all(isinstance(value, kinds) for value in values)


def _number(node: Schema, name: str) -> float | None:
    value = node.get(name)
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _unit(name: str, node: Schema, description: str) -> str:
    """What the schema says, else what the name or the first sentence tells."""
    if isinstance(node.get("unit"), str):
        return str(node["unit"])
    found = UNIT_IN_NAME.search(name) or UNIT_IN_WORDS.search(description.split(". ", maxsplit=1)[0])
    unit = found.group(1) if found else ""
    return "" if unit == name else UNITS.get(unit, unit)


def _option(name: str, default: Any) -> Field:
    title = titled(name)
    if isinstance(default, list) and default and all(isinstance(value, PLAIN) for value in default):
        choices = tuple(Choice(value, _shown(value)) for value in default)
        return Field(name, title, "choice", default[0], choices=choices)
    kinds: list[tuple[type, Kind]] = [(bool, "boolean"), (int, "integer"), (float, "number"), (str, "text")]
    kind = next((kind for made, kind in kinds if isinstance(default, made)), None)
    return Field(name, title, kind or "json", default, optional=default is None, nullable=default is None)
