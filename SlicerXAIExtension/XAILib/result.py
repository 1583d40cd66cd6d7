"""A finished explanation as it came from the server: one JSON document, and files that it describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .document import checked_document, overlay_entries, verify_parts
from .errors import ServerError
from .i18n import tr as _
from .multipart import split

PARAMS = "params"


@dataclass(frozen=True)
class OverlayInfo:
    """What the document says of a volume.

    Attributes:
        kind: image, labelmap, probability, saliency, counterfactual or difference.
        units: what one unit of the voxels means.
    """

    name: str
    kind: str
    units: str
    description: str


@dataclass(frozen=True)
class Check:
    """One self-test of the result; `reason` is a sentence for its reader."""

    name: str
    value: float | None
    limit: float
    verdict: str
    reason: str


@dataclass(frozen=True)
class Flag:
    """Something that a human should look at."""

    subject: str
    message: str


@dataclass(frozen=True)
class Table:
    """Rows of plain values under named columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Result:
    """A result whose parts have been verified.

    Attributes:
        document: the JSON as the server made it, numbers that JSON lacks (NaN, ±∞) restored.
        parts: bytes by part name: "NAME" of an overlay (NRRD), "NAME.png" of a figure.
        job: id of the job; empty for a result that did not come from one.
    """

    document: Mapping[str, Any]
    parts: Mapping[str, bytes]
    job: str = ""

    @classmethod
    def parse(cls, body: bytes, content_type: str, job: str = "") -> Result:
        """The result of a multipart/form-data body.

        Raises:
            ServerError: cut off, damaged or not an explanation, naming the part at fault.
        """
        parts = split(body, content_type)
        if PARAMS not in parts:
            msg = _("The result is incomplete: its part “{params}” is missing. Fetch it again.").format(params=PARAMS)
            raise ServerError(msg, "server_fault")
        document = checked_document(parts.pop(PARAMS))
        verify_parts(document, parts)
        return cls(document=document, parts=parts, job=job)

    @property
    def verdict(self) -> str:
        """reliable, caution or unreliable."""
        return str(self.document["verdict"])

    @property
    def image_id(self) -> str:
        """Id of the explained image; of an uploaded one, its session."""
        return str(self.document["image_id"])

    @property
    def parameters(self) -> Mapping[str, Any]:
        return dict(self.document["parameters"])

    @property
    def metrics(self) -> Mapping[str, float]:
        return {str(name): float(value) for name, value in self.document["metrics"].items()}

    @property
    def checks(self) -> tuple[Check, ...]:
        fields = ("name", "value", "limit", "verdict", "reason")
        return tuple(Check(*(check[field] for field in fields)) for check in self.document["checks"])

    @property
    def flags(self) -> tuple[Flag, ...]:
        return tuple(Flag(flag["subject"], flag["message"]) for flag in self.document["flags"])

    @property
    def tables(self) -> Mapping[str, Table]:
        return {
            str(name): Table(table["title"], tuple(table["columns"]), tuple(tuple(row) for row in table["rows"]))
            for name, table in self.document["tables"].items()
        }

    def overlays(self) -> tuple[OverlayInfo, ...]:
        """The volumes, in the server's order."""
        return tuple(
            OverlayInfo(name, entry["kind"], entry["units"], entry["description"])
            for name, entry in overlay_entries(self.document).items()
        )
