"""How Sphinx builds the site: `python tasks.py docs`. Nothing is fetched, neither while building nor while reading."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs" / "extensions"))
EXTENSION = ROOT / "SlicerXAIExtension"
sys.path += [
    str(ROOT / "core"),
    str(EXTENSION),
    *(str(folder.parent) for folder in sorted(EXTENSION.glob("XAI*/XAI*Lib"))),
]

from slicerxai import __version__  # noqa: E402

project = "slicerxai"
author = "the slicerxai contributors"
copyright = "Apache-2.0"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "api_pages",
    "docstrings",
    "mathml",
    "notebook_pages",
    "project_files",
]
exclude_patterns = ["extensions", "images"]

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

autodoc_mock_imports = ["slicer", "qt", "ctk", "vtk", "SampleData"]
"""What only Slicer has; the pages of its modules are made without it."""
autodoc_typehints = "signature"
napoleon_attr_annotations = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_module_names = False
python_maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"
nitpicky = False

html_theme = "furo"
html_title = f"slicerxai {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "monokai"
