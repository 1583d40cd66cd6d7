"""What the extension's Python files may do: Slicer's own libraries only, Python 3.9, and three layers that stay apart.

The oldest supported Slicer, 5.8, runs Python 3.9 with requests, urllib3, numpy and vtk; nothing is installed into it.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

EXTENSION = Path(__file__).resolve().parents[2] / "SlicerXAIExtension"
FILES = sorted(EXTENSION.rglob("*.py"))
NAMES = [path.relative_to(EXTENSION).as_posix() for path in FILES]
every_file = pytest.mark.parametrize("path", FILES, ids=NAMES)

OWN = {path.stem if path.is_file() else path.name for path in EXTENSION.glob("*/*")} | {"XAILib", "XAIPanels"}
QT = {"qt", "ctk"}
SLICER = QT | {"slicer"}
HTTP = {"requests", "urllib3"}
VTK = {"vtk", "vtkmodules"}
SHIPPED = HTTP | VTK | {"numpy"}
DYNAMIC = {"__import__", "import_module", "pip_install", "pip_uninstall"}
TYPES = {
    "int",
    "float",
    "complex",
    "bool",
    "str",
    "bytes",
    "list",
    "dict",
    "set",
    "frozenset",
    "tuple",
    "type",
    "object",
}


def imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Top-level names of all imports, at any depth of the file; relative ones stay within their own package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).split(".")[0], node.lineno


def foreign_imports(source: str) -> list[str]:
    """Imports of anything that Slicer does not bring, and ways around an import statement."""
    tree = ast.parse(source)
    allowed = sys.stdlib_module_names | SLICER | SHIPPED | OWN
    found = [f"line {line}: imports {name}" for name, line in imported(tree) if name not in allowed]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in DYNAMIC:
            found.append(f"line {node.lineno}: uses {node.attr}")
        elif isinstance(node, ast.Name) and node.id in DYNAMIC | {"exec", "eval"}:  # dialogs have a method `exec`
            found.append(f"line {node.lineno}: uses {node.id}")
    return found


def evaluated(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but the annotations, which a file with `from __future__ import annotations` never evaluates."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child
                yield from evaluated(child)


def is_type(node: ast.AST) -> bool:
    """Whether an operand of `|` is a type as far as the syntax tells."""
    if isinstance(node, ast.Subscript):
        return is_type(node.value)
    return (isinstance(node, ast.Constant) and node.value is None) or (isinstance(node, ast.Name) and node.id in TYPES)


def newer_syntax(source: str) -> list[str]:
    """Syntax of Python 3.10 and later, and `X | Y` between types where it is evaluated."""
    try:
        tree = ast.parse(source, feature_version=(3, 9))
    except SyntaxError as error:
        return [f"line {error.lineno}: {error.msg}"]
    found = []
    future = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
    for node in evaluated(tree) if future else ast.walk(tree):
        if (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.BitOr)
            and (is_type(node.left) or is_type(node.right))
        ):
            found.append(f"line {node.lineno}: {ast.unparse(node)} is evaluated")
    return found


SELF_TESTS = {"XAIPanels/self_test.py"}
"""They stand for the person who fills and closes the scene while a panel is open."""


def crossed_layers(name: str, source: str) -> list[str]:
    """HTTP in XAILib without Slicer; MRML without Qt or HTTP; Qt without VTK or HTTP."""
    tree = ast.parse(source)
    has = {module for module, _ in imported(tree)}
    found = []
    if name.startswith("XAILib/") and has & SLICER:
        found.append(f"XAILib imports {', '.join(sorted(has & SLICER))}")
    if not name.startswith("XAILib/") and has & HTTP:
        found.append("HTTP outside XAILib")
    if has & QT and has & VTK:
        found.append(f"one file imports {', '.join(sorted(has & (QT | VTK)))}")
    if has & QT and name not in SELF_TESTS:
        found += [f"line {line}: a Qt file changes the scene: {call}" for call, line in scene_calls(tree)]
    return found


def scene_calls(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Methods of the scene that are called or taken (its events are names to observe, not calls)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not node.attr.endswith("Event"):
            text = ast.unparse(node)
            if text.startswith(("slicer.mrmlScene.", "slicer.app.mrmlScene().")):
                yield text, node.lineno


def reached(name: str, sources: dict[str, str]) -> set[str]:
    """Top-level modules that importing a file imports, through the extension's own files."""
    todo, seen, modules = [name], set(), set()
    while todo:
        current = todo.pop()
        seen.add(current)
        tree = ast.parse(sources[current])
        modules |= {module for module, _ in imported(tree)}
        todo += [other for other in local_imports(current, tree, sources) if other not in seen]
    return modules


def local_imports(name: str, tree: ast.Module, sources: dict[str, str]) -> Iterator[str]:
    """The extension's files that a file imports directly."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = Path(name).parts[: -node.level] if node.level else ()
            base = ".".join((*package, *([node.module] if node.module else [])))
            dotted = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for path in (text.replace(".", "/") for text in dotted):
            yield from (
                other
                for other in sources
                if any(other == end or other.endswith("/" + end) for end in (f"{path}.py", f"{path}/__init__.py"))
            )


SOURCES = {name: path.read_text(encoding="utf-8") for name, path in zip(NAMES, FILES, strict=True)}


@every_file
def test_imports_only_what_slicer_brings(path: Path) -> None:
    assert foreign_imports(path.read_text(encoding="utf-8")) == []


@every_file
def test_syntax_of_python_3_9(path: Path) -> None:
    assert newer_syntax(path.read_text(encoding="utf-8")) == []


@every_file
def test_layers_stay_apart(path: Path) -> None:
    assert crossed_layers(path.relative_to(EXTENSION).as_posix(), path.read_text(encoding="utf-8")) == []


@every_file
def test_no_signal_is_declared(path: Path) -> None:
    """PythonQt has no `qt.Signal` that a Python class could declare; Slicer crashes on it."""
    source = path.read_text(encoding="utf-8")
    assert [name for name in ("qt.Signal", "pyqtSignal", "QtCore.Signal") if name in source] == []


def scoped_enums(text: str) -> list[str]:
    """Enumerators as Qt 6's Designer writes them; the loader of Qt 5 drops the property without a word."""
    return re.findall(r"<(?:enum|set)>([^<]*::[^<|]*::[^<]*)<", text)


@pytest.mark.parametrize("path", sorted(EXTENSION.rglob("*.ui")), ids=lambda path: path.name)
def test_forms_are_readable_by_qt_5(path: Path) -> None:
    assert scoped_enums(path.read_text(encoding="utf-8")) == []


def test_scoped_enums_are_found() -> None:
    form = "<enum>Qt::Orientation::Vertical</enum><set>Qt::A|Qt::B</set><enum>Qt::Vertical</enum>"
    assert scoped_enums(form) == ["Qt::Orientation::Vertical"]


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("XAILib/") or name.endswith("/logic.py")])
def test_importing_lib_or_logic_never_imports_qt(name: str) -> None:
    forbidden = SLICER if name.startswith("XAILib/") else QT
    assert reached(name, SOURCES) & forbidden == set()


def test_library_of_python_3_9() -> None:
    """`vermin` knows in which version each module, function and argument of the standard library came."""
    assert newer_library(EXTENSION) == []


def newer_library(*paths: Path) -> list[str]:
    """Uses of the standard library that Python 3.9 lacks, as `file:line:…` texts."""
    pytest.importorskip("vermin", reason="the package `vermin` is not installed")
    options = ["--target=3.9-", "--lint", "--no-tips", "--no-parse-comments", "--format", "parsable"]
    command = [sys.executable, "-c", "import vermin; vermin.main()", *options, *map(str, paths)]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert result.returncode in (0, 1), result.stderr
    found = [line for line in result.stdout.splitlines() if not line.endswith(":")]  # not the summary of a file
    assert bool(found) == bool(result.returncode), result.stdout + result.stderr
    return found


@pytest.mark.parametrize(
    "line",
    [
        "import torch",
        "from slicerxai.data import io",
        "def f():\n    import scipy.ndimage",
        "import importlib; importlib.import_module('monai')",
        "__import__('SimpleITK')",
        "slicer.util.pip_install('torch')",
        "exec('import torch')",
    ],
)
def test_a_foreign_import_is_found(line: str) -> None:
    assert len(foreign_imports(line)) == 1
    assert foreign_imports("import json, requests, numpy, vtk, slicer, qt, ctk\nfrom XAILib.client import Client") == []


@pytest.mark.parametrize(
    "line",
    [
        "match x:\n    case 1:\n        pass",
        "try:\n    pass\nexcept* ValueError:\n    pass",
        "isinstance(x, int | float)",
        "Parts = dict[str, bytes] | None",
        "Maybe = None | Path",
        "def f(x=cast(str | None, y)): ...",
    ],
)
def test_newer_syntax_is_found(line: str) -> None:
    assert len(newer_syntax("from __future__ import annotations\n" + line)) == 1


def test_annotations_may_be_newer_when_they_are_not_evaluated() -> None:
    line = "def f(x: int | None, *, y: list[str] | None = None) -> str | None:\n    z: int | None = x | 4"
    assert newer_syntax("from __future__ import annotations\n" + line) == []
    assert len(newer_syntax(line)) == 4


@pytest.mark.parametrize(
    "line",
    [
        "zip(a, b, strict=True)",
        "from dataclasses import dataclass\n@dataclass(slots=True)\nclass A: ...",
        "from dataclasses import dataclass\n@dataclass(kw_only=True)\nclass A: ...",
        "import tomllib",
        "from typing import Self",
        "from itertools import pairwise",
    ],
)
def test_newer_library_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "newer.py").write_text(line)
    assert len(newer_library(tmp_path / "newer.py")) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("XAILib/client.py", "import slicer"),
        ("XAILib/client.py", "def f():\n    import qt"),
        ("XAISaliency/XAISaliencyLib/logic.py", "import requests"),
        ("XAISaliency/XAISaliencyLib/logic.py", "import qt\nimport vtk"),
        ("XAISaliency/XAISaliencyLib/widget.py", "import qt\nfrom vtk.util import numpy_support"),
        ("XAISaliency/XAISaliencyLib/widget.py", "import qt\nslicer.mrmlScene.RemoveNode(node)"),
    ],
)
def test_a_crossed_layer_is_found(name: str, source: str) -> None:
    assert len(crossed_layers(name, source)) == 1


def test_imports_are_followed_through_own_files() -> None:
    sources = {
        "XAIPanel/XAIPanelLib/__init__.py": "",
        "XAIPanel/XAIPanelLib/logic.py": "from . import volumes\nfrom XAILib import run",
        "XAIPanel/XAIPanelLib/volumes.py": "from .widget import Widget",
        "XAIPanel/XAIPanelLib/widget.py": "import qt",
        "XAILib/run.py": "import requests",
    }
    assert reached("XAIPanel/XAIPanelLib/logic.py", sources) >= {"qt", "requests"}
    assert "qt" not in reached("XAILib/run.py", sources)
