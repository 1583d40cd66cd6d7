"""Colours of outlines."""

from __future__ import annotations

LESIONS = "#b5ffa6"
EXPLAINED = "#bf4dac"
"""Outlines; they differ from both sides of the map and from each other for colour-blind readers too."""
