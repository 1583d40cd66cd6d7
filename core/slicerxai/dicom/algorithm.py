"""Who made a result: the model and the method, as every DICOM result names them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from slicerxai import __version__

MANUFACTURER = "SlicerXAI"
RESEARCH_USE = "research use only"


@dataclass(frozen=True)
class Algorithm:
    """The model and the method behind a result.

    Attributes:
        name: of the model, such as "fast-ms".
        digest: SHA-256 of the model, hexadecimal; the version of the algorithm.
        method: explain method, such as "saliency".
        created: when the result was computed, ISO 8601 with offset; the study's date is written when it is None, never
            the time of writing, so that the same result is written the same.
        parameters: the method's parameters as JSON text, for the reader of the object.
    """

    name: str
    digest: str
    method: str = "prediction"
    created: str | None = None
    parameters: str = "{}"

    @property
    def time(self) -> datetime | None:
        """`created` in local time, which DICOM dates are in."""
        return None if self.created is None else datetime.fromisoformat(self.created).astimezone()

    @property
    def identity(self) -> dict[str, str]:
        """What decides the content of a result, for its UIDs; the time is no part of it."""
        return {name: value for name, value in asdict(self).items() if name != "created"}

    @property
    def software(self) -> str:
        """Name and version of this package."""
        return f"slicerxai {__version__}"
