"""What a server can explain, as it says itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Method:
    """A method of explanation; `parameters` is the JSON schema of what it can be asked."""

    name: str
    title: str
    summary: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Model:
    """A trained model.

    Attributes:
        kind: how it was made.
        channels: modality of each image that it needs.
        labels: what it tells apart, the background included.
    """

    name: str
    kind: str
    channels: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Catalogue:
    """Methods and models of a server; `unusable` are stored models that cannot be read, with the reason."""

    version: str
    methods: tuple[Method, ...]
    models: tuple[Model, ...]
    unusable: Mapping[str, str]


def catalogue_of(document: Any) -> Catalogue:
    """The catalogue of a JSON answer. Raises `ValueError` when it is none."""
    try:
        return Catalogue(
            version=_text(document["version"]),
            methods=tuple(
                Method(_text(one["name"]), _text(one["title"]), _text(one["summary"]), dict(one["parameters"]))
                for one in document["methods"]
            ),
            models=tuple(
                Model(_text(one["name"]), _text(one["kind"]), _texts(one["channels"]), _texts(one["labels"]))
                for one in document["models"]
            ),
            unusable={str(name): str(reason) for name, reason in document.get("unusable", {}).items()},
        )
    except (AttributeError, KeyError, TypeError) as error:
        msg = f"not a catalogue: {error!r}"
        raise ValueError(msg) from None


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError
    return tuple(_text(value) for value in values)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
