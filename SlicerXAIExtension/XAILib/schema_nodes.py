"""Parts of a JSON schema as they are meant: references followed, parts put together, null taken apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

LONGEST = 32
"""References that are followed one after the other; a chain that is longer goes in a circle."""
OWN = ("title", "description", "default", "advanced", "unit")
"""What is said beside alternatives, and holds for the one that is not null."""


def resolved(node: Any, root: Schema) -> Schema:
    """The node with its references followed and its `allOf` put together; what stands beside a reference wins.

    An unknown reference gives a schema that accepts anything.
    """
    for _ in range(LONGEST):
        if not isinstance(node, Mapping):
            return {}
        if isinstance(node.get("$ref"), str):
            beside = {key: value for key, value in node.items() if key != "$ref"}
            node = {**_target(node["$ref"], root), **beside}
        elif isinstance(node.get("allOf"), list):
            node = _together(node, root)
        else:
            return dict(node)
    return {}


def references(node: Any, root: Schema) -> tuple[str, ...]:
    """The references that `resolved` follows from a node, and from the one alternative beside null."""
    found: list[str] = []
    while isinstance(node, Mapping) and len(found) < LONGEST:
        rest = [part for part in alternatives_of(node) if part.get("type") != "null"]
        if isinstance(node.get("$ref"), str):
            found.append(node["$ref"])
            node = _target(node["$ref"], root)
        elif isinstance(node.get("allOf"), list) and len(node["allOf"]) == 1:
            node = node["allOf"][0]
        elif len(rest) == 1 and rest[0] is not node and len(alternatives_of(node)) > 1 and "type" not in node:
            node = rest[0]
        else:
            break
    return tuple(found)


def alternatives_of(node: Schema) -> list[Schema]:
    """What a value may be instead of one thing; empty where it is one thing."""
    for key in ("oneOf", "anyOf"):
        if isinstance(node.get(key), list):
            return [part for part in node[key] if isinstance(part, Mapping)]
    kinds = node.get("type")
    if isinstance(kinds, list):
        return [{**_said(node, False), "type": kind} for kind in kinds]
    return []


def without_null(node: Schema, root: Schema) -> tuple[Schema, bool]:
    """The node without its alternative null, and whether it had it. One alternative that is left is the node itself."""
    parts = [resolved(part, root) for part in alternatives_of(node)]
    if not parts:
        return node, None in node.get("enum", ()) or node.get("type") == "null"
    rest = [part for part in parts if part.get("type") != "null" and part.get("const", "") is not None]
    nullable = len(rest) < len(parts)
    if len(rest) == 1:
        inner, within = without_null(rest[0], root)
        told = " ".join(
            text for text in (node.get("description"), inner.get("description")) if isinstance(text, str) and text
        )
        own = {key: node[key] for key in OWN if key in node}
        return {**inner, **own, **({"description": told} if told else {})}, nullable or within
    if not nullable:
        return node, False
    return {**_said(node, True), "anyOf": rest}, True


def _said(node: Schema, but_type: bool) -> dict[str, Any]:
    """What a node says beside its alternatives."""
    left = ("oneOf", "anyOf", "type") if but_type else ("oneOf", "anyOf")
    return {key: value for key, value in node.items() if key not in left}


def _together(node: Schema, root: Schema) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for part in (*node["allOf"], {key: value for key, value in node.items() if key != "allOf"}):
        found = resolved(part, root)
        properties = {**made.get("properties", {}), **found.get("properties", {})}
        needed = [*made.get("required", ()), *found.get("required", ())]
        made = {**made, **found}
        made.update({key: value for key, value in (("properties", properties), ("required", needed)) if value})
    return made


def _target(pointer: str, root: Schema) -> Schema:
    """What a reference within the document points to; a schema that accepts anything where there is none."""
    if not pointer.startswith("#"):
        return {}
    found: Any = root
    for part in pointer[1:].strip("/").split("/") if pointer != "#" else ():
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, Mapping) and name in found:
            found = found[name]
        else:
            return {}
    return found if isinstance(found, Mapping) else {}
