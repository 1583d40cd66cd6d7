"""Everything public says what it is: each module, class and function, of the extension's libraries each method too."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXTENSION = ROOT / "SlicerXAIExtension"
LIBRARIES = sorted(path for path in (*EXTENSION.glob("XAI*/XAI*Lib"), EXTENSION / "XAILib", EXTENSION / "XAIPanels"))
CODE = [ROOT / "core" / "slicerxai", *LIBRARIES]
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(tree: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    """Definitions right below a module or a class, but for those that are private or spelt out for type checkers."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node


def says_nothing(tree: ast.Module) -> list[str]:
    """Public classes and functions without a docstring."""
    return [node.name for node in public(tree) if ast.get_docstring(node) is None]


def plain_accessor(node: Definition) -> bool:
    """A property, whose name says it; what is inherited from Slicer or shared bases is described there."""
    names = {part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in node.decorator_list}
    return bool(names & {"property", "setter", "cached_property", "overload", "override"})


def silent_methods(tree: ast.Module) -> list[str]:
    """Methods without a docstring of classes that stand for themselves."""
    classes = [node for node in public(tree) if isinstance(node, ast.ClassDef) and not node.bases]
    return [
        f"{owner.name}.{node.name}"
        for owner in classes
        for node in public(owner)
        if ast.get_docstring(node) is None and not plain_accessor(node)
    ]


@pytest.mark.parametrize("folder", CODE, ids=lambda path: path.name)
def test_modules_classes_and_functions(folder):
    silent = {}
    for path in sorted(folder.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        missing = says_nothing(tree)
        if tree.body and path.name != "__init__.py" and ast.get_docstring(tree) is None:
            missing.append("the module")
        if missing:
            silent[str(path.relative_to(ROOT))] = missing
    assert not silent


@pytest.mark.parametrize("folder", LIBRARIES, ids=lambda path: path.name)
def test_methods_of_the_libraries(folder):
    found = {path.name: silent_methods(ast.parse(path.read_text(encoding="utf-8"))) for path in folder.rglob("*.py")}
    assert not {name: methods for name, methods in found.items() if methods}


def test_the_search_finds_what_is_missing():
    tree = ast.parse('"""M."""\nclass A:\n    """A."""\n    def f(self): ...\n    def _g(self): ...\ndef h(): ...\n')
    assert says_nothing(tree) == ["h"]
    assert silent_methods(tree) == ["A.f"]


def test_every_library_has_its_page():
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "api").glob("*.md"))
    assert len(LIBRARIES) > 6
    assert not [folder.name for folder in LIBRARIES if f"<!-- modules: {folder.name} -->" not in pages]
