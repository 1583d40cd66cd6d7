"""Reference pages: a line `<!-- modules: PACKAGE -->` becomes the reference of the package's public modules.

With names behind the package only these: `<!-- modules: PACKAGE NAME NAME -->`. Types in signatures are linked to where
they are defined, which the imports of the module say, also those for type checkers.
"""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

MARK = re.compile(r"<!-- modules: ([\w.]+)((?: \w+)*) -->")


def location(name: str) -> Path:
    """The folder of a package or the file of a module, found on the path of imports without importing it."""
    for root in sys.path:
        path = Path(root, *name.split("."))
        if path.is_dir():
            return path
        if path.with_suffix(".py").is_file():
            return path.with_suffix(".py")
    msg = f"no package or module {name!r} on the path of imports"
    raise FileNotFoundError(msg)


def modules(package: str) -> list[str]:
    """The public modules right below a package that define something, by name."""
    paths = sorted(location(package).glob("[!_]*.py"))
    return [path.stem for path in paths]


def reference(name: str) -> str:
    """One module's part of a page."""
    title = name.rpartition(".")[2]
    return (
        f"## {title}\n\n```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n   :ignore-module-all:\n"
        "   :show-inheritance:\n```\n"
    )


def read(app: Sphinx, document: str, source: list[str]) -> None:
    """Fill in the marks of a page."""

    def filled(match: re.Match[str]) -> str:
        names = match[2].split() or modules(match[1])
        return "\n".join(reference(f"{match[1]}.{name}") for name in names)

    source[0] = MARK.sub(filled, source[0])


@cache
def imported(module: str) -> dict[str, str]:
    """The full name behind each name that a module imports from another one."""
    tree = ast.parse(location(module).read_text(encoding="utf-8"))
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            found.update({name.asname or name.name: f"{origin}.{name.name}" for name in node.names})
    return found


def link_types(app: Sphinx, tree: nodes.document) -> None:
    """Give each bare name of a type its full one, rather than let Sphinx guess among those that end alike."""
    for node in tree.findall(pending_xref):
        if node.get("refdomain") == "py" and (module := node.get("py:module")):
            node.attributes.pop("refspecific", None)  # Sphinx asks only whether it is there
            first, dot, rest = node["reftarget"].partition(".")
            node["reftarget"] = imported(module).get(first, first) + dot + rest


def setup(app: Sphinx) -> dict[str, bool]:
    """Register."""
    app.connect("source-read", read)
    app.connect("doctree-read", link_types)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
