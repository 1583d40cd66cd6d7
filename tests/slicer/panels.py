"""Which module shows a panel: some are tabs of a module, and are known by the name of their library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

EXTENSION = Path(__file__).resolve().parents[2] / "SlicerXAIExtension"
TABS = {"XAIReview": ("XAISaliency", 1), "XAIProperty": ("XAICounterfactual", 1)}
"""Module and number of the tab."""


def open_panel(name: str) -> Any:
    """Load the module that has a panel, show it as when the user chooses it, and its tab; returns the module."""
    from slicer_double.scripted import load_module

    module_name, tab = TABS.get(name, (name, 0))
    module = load_module(EXTENSION / module_name / f"{module_name}.py")
    module.enter()
    if tab:
        module.widgetRepresentation().self().panel.choose(tab)
    return module


def seen_panel(module: Any) -> Any:
    """The panel that a module shows now."""
    panel = module.widgetRepresentation().self().panel
    return getattr(panel, "current", panel)
