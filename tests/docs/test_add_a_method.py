"""The page “Add a method”: its code is run as it stands there."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from slicerxai.explain import registry
from slicerxai.explain.contract import Inputs
from slicerxai.explain.run import parse_parameters
from slicerxai.progress import silent
from tests.support.spots import SpotSegmenter, scan

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "add_a_method.md"


@pytest.fixture
def method(tmp_path, monkeypatch):
    """The page's files, as somebody would write them."""
    blocks = re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for name, code in blocks:
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "METHODS", dict(registry.METHODS))
    __import__("entry")
    yield "brightness"
    for name, _ in blocks:
        sys.modules.pop(name, None)


def explained(method, image, **values):
    inputs = Inputs("one", {"FLAIR": image}, {"FLAIR": "0" * 64}, SpotSegmenter())
    return registry.explainer(method).explain(inputs, parse_parameters(method, values), silent)


def test_a_result_with_its_verdict(method):
    image = scan()
    result = explained(method, image)
    found = np.asarray(SpotSegmenter().predict({"FLAIR": image}).labelmap.array) != 0
    values = np.asarray(image.array, dtype=np.float64)
    plain = values[found].mean() / values[(values != 0) & ~found].mean()
    assert result.metrics["ratio"] == pytest.approx(plain)
    assert result.verdict == "reliable"
    assert explained(method, scan(bright=2.0), ratio=5).verdict == "caution"
    json.dumps(result.parameters)


def test_nothing_to_find_is_not_called_reliable(method):
    result = explained(method, scan(bright=0.5))
    assert result.verdict == "unreliable"
    assert result.metrics == {}


def test_its_schema_makes_forms_and_options(method):
    field = registry.parameters_class(method).model_json_schema()["properties"]["ratio"]
    assert (field["default"], field["maximum"]) == (1.2, 5)
    assert "times" in field["description"]
