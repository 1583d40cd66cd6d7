"""Result nodes: scripted module nodes that keep a result's JSON in a scene."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import slicer

from .nodes import nodes_of_class

_DOCUMENT = "document"


def add_result_node(scene: Any, kind: str, document: dict[str, Any], name: str) -> Any:
    """A new result node in the scene.

    Args:
        kind: value of the attribute "ModuleName", by which it is found; parameter nodes have the module's own name.
    """
    node = slicer.vtkMRMLScriptedModuleNode()
    node.SetAttribute("ModuleName", kind)
    node.SetName(name)
    replace(node, document)
    node.SetHideFromEditors(False)
    return scene.AddNode(node)


def text_of(node: Any) -> str:
    """The JSON of a result node as it is kept: the same after the result was removed and brought back."""
    return str(node.GetParameter(_DOCUMENT))


def replace(node: Any, document: dict[str, Any]) -> None:
    """Keep another document."""
    node.SetParameter(_DOCUMENT, json.dumps(document))


def result_nodes(scene: Any, kind: str) -> list[Any]:
    """All result nodes of a kind whose document can be read, oldest first."""
    nodes = nodes_of_class(scene, "vtkMRMLScriptedModuleNode")
    return [node for node in nodes if node.GetAttribute("ModuleName") == kind and _readable(node)]


def document_of(node: Any) -> dict[str, Any]:
    """The parsed JSON of a result node."""
    document: dict[str, Any] = json.loads(node.GetParameter(_DOCUMENT))
    return document


def anonymous(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without the image's id and file names, which may name the patient."""
    kept = {key: value for key, value in document.items() if key != "image_id"}
    provenance = kept.get("provenance")
    if provenance:
        inputs = {key.rsplit("/", 1)[-1]: digest for key, digest in provenance.get("inputs", {}).items()}
        kept["provenance"] = {**provenance, "inputs": inputs}
    return kept


def model_of(document: Mapping[str, Any]) -> str | None:
    """The model that a result came from."""
    return (document.get("provenance") or {}).get("model")


def rows(document: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Rows of a table by column; empty when there is no such table."""
    table = document.get("tables", {}).get(name)
    return [dict(zip(table["columns"], row)) for row in table["rows"]] if table else []


def same_image(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two results are of one image, by the digests of what was explained."""
    inputs = [(document.get("provenance") or {}).get("inputs") for document in (first, second)]
    return bool(inputs[0]) and inputs[0] == inputs[1]


def _readable(node: Any) -> bool:
    return _is_document(node.GetParameter(_DOCUMENT))


@lru_cache(maxsize=64)
def _is_document(text: str) -> bool:
    """Asked of every result of the scene whenever something is drawn."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
