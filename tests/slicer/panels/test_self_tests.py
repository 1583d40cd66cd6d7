"""The modules' self tests, run here as Slicer's “Reload and Test” runs them."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
EXTENSION = HERE.parents[2] / "SlicerXAIExtension"
MODULES = sorted(path.stem for path in EXTENSION.glob("*/XAI*.py") if path.stem == path.parent.name)
sys.path.insert(0, str(HERE))


@pytest.mark.parametrize("name", MODULES)
def test_the_self_test_of_a_module_passes(name: str, slicer_app: Any) -> None:
    from panel_widgets import opened

    with opened(EXTENSION / name / f"{name}.py") as (module, _root):
        loader = unittest.TestLoader()
        found = loader.loadTestsFromModule(module.python_module)  # as `slicer.testing.runUnitTest` finds them
        assert found.countTestCases() >= 4
        result = unittest.TestResult()
        found.run(result)
        assert [text for _, text in [*result.failures, *result.errors]] == []


def test_a_fault_is_found(slicer_app: Any) -> None:
    from panel_widgets import opened

    with opened(EXTENSION / "XAIShift" / "XAIShift.py") as (module, root):
        root.show()
        ui = module.widgetRepresentation().self().panel.ui
        ui.runButton.toolTip = ""
        test = module.python_module.XAIShiftTest("test_every_button_that_is_off_says_why")
        with pytest.raises(AssertionError, match="runButton"):
            test.test_every_button_that_is_off_says_why()
