"""Words that fit the value representations of DICOM."""

from __future__ import annotations

LONG_STRING = 64
"""Length of an LO value."""


def shortened(words: str, length: int = LONG_STRING) -> str:
    """At most so many bytes of UTF-8, which is what some readers count where the standard counts characters.

    Dots stand for the rest; a backslash would separate values and becomes a slash.
    """
    words = " ".join(words.replace("\\", "/").split())
    if len(words.encode()) <= length:
        return words
    return words.encode()[: length - 3].decode(errors="ignore") + "..."
