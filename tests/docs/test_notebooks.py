"""The notebooks run as they are, and are kept without what they print."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NAMES = ("saliency", "shift", "property")


def test_all_are_known():
    assert sorted(NAMES) == sorted(path.stem for path in FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("name", NAMES)
def test_kept_without_outputs(name):
    for cell in json.loads((FOLDER / f"{name}.ipynb").read_text())["cells"]:
        assert not cell.get("outputs"), cell["id"]
        assert cell.get("execution_count") is None


@pytest.mark.slow
def test_they_run(tmp_path, monkeypatch):
    """One after the other in one kernel, which forgets all names in between: PyTorch is imported once."""
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SLICERXAI_THREADS", "1")
    books = [nbformat.read(FOLDER / f"{name}.ipynb", as_version=4) for name in NAMES]
    together = books[0]
    for book in books[1:]:
        together.cells += [nbformat.v4.new_code_cell("%reset -f"), *book.cells]
    NotebookClient(together, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in together.cells for output in cell.get("outputs", [])]
    printed = "".join(output["text"] for output in outputs if output.get("name") == "stdout")
    pictures = sum("image/png" in output.get("data", {}) for output in outputs)
    assert printed.count("verdict: ") == len(NAMES)
    assert "annotation" in printed
    assert pictures == 4
