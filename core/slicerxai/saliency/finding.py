"""The outcome of one check of a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["reliable", "caution", "unreliable"]


@dataclass(frozen=True)
class Finding:
    """One measured number against its bound.

    Attributes:
        value: None where it is undefined.
        limit: bound up to which the verdict is "reliable".
        reason: full sentences for a radiologist.
    """

    name: str
    value: float | None
    limit: float
    verdict: Verdict
    reason: str
