"""What a server can explain, as it says itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CASE, COHORT = "case", "cohort"


@dataclass(frozen=True)
class Method:
    """A method of explanation.

    Attributes:
        parameters: the JSON schema of what it can be asked.
        subject: what it explains, CASE (one image) or COHORT; a word that this version does not know stays as it is.
    """

    name: str
    title: str
    summary: str
    parameters: Mapping[str, Any]
    subject: str = CASE


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
                Method(
                    name=_text(one["name"]),
                    title=_text(one["title"]),
                    summary=_text(one["summary"]),
                    parameters=dict(one["parameters"]),
                    subject=_text(one.get("subject", CASE)),
                )
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
