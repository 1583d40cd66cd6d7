"""Unique identifiers derived from content: the same result gets the same ones; sending it again adds nothing."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

import numpy as np


def content_uid(*content: Any) -> str:
    """A UID below 2.25 (DICOM PS3.5 B.2) from the SHA-256 of JSON values and arrays."""
    total = hashlib.sha256()
    for part in content:
        total.update(_digest(part))
    return f"2.25.{uuid.UUID(bytes=total.digest()[:16], version=5).int}"


def _digest(part: Any) -> bytes:
    if isinstance(part, np.ndarray):
        head = f"{part.dtype.str}{part.shape}".encode()
        return hashlib.sha256(head + np.ascontiguousarray(part).tobytes()).digest()
    return hashlib.sha256(json.dumps(part, sort_keys=True, allow_nan=False).encode()).digest()
