"""Notebooks as pages of the site: their text and code. They are kept without outputs; the tests execute them."""

from __future__ import annotations

import json
from pathlib import Path

from sphinx.application import Sphinx


def page(notebook: str, name: str) -> str:
    """A notebook's JSON as MyST."""
    parts = []
    for cell in json.loads(notebook)["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    parts.insert(1, f"{{download}}`This page as a notebook <{name}>`.")
    return "\n\n".join(parts) + "\n"


def read(app: Sphinx, document: str, source: list[str]) -> None:
    """Replace a notebook's JSON by its page."""
    path = Path(app.env.doc2path(document))
    if path.suffix == ".ipynb":
        source[0] = page(source[0], path.name)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the ending; the text is read by MyST."""
    app.add_source_suffix(".ipynb", "markdown")
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
