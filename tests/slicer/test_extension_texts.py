"""Texts of the extension are marked for translation, in the way in which Slicer's tools find them.

Names of nodes and of their attributes are not: a scene is read by people with other languages, and looked up by name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

EXTENSION = Path(__file__).resolve().parents[2] / "SlicerXAIExtension"
FILES = sorted(path for path in EXTENSION.rglob("*.py") if "Testing" not in path.parts)
NAMES = [path.relative_to(EXTENSION).as_posix() for path in FILES]

SHOWN_ATTRIBUTES = {
    "text",
    "toolTip",
    "title",
    "windowTitle",
    "placeholderText",
    "accessibleName",
    "accessibleDescription",
}
"""Attributes of widgets that people read, hear or are told."""
SHOWN_CALLS = {
    "setText", "setToolTip", "setWindowTitle", "setTitle", "setPlaceholderText", "setAccessibleName", "setStatusTip",
    "setAccessibleDescription", "addItem", "setItemText", "setHorizontalHeaderLabels", "setVerticalHeaderLabels",
    "coloured", "say", "fail", "succeed", "QLabel", "QPushButton", "QCheckBox", "QTableWidgetItem", "QAction",
    "ServerError", "SceneError",
}  # fmt: skip
"""Functions whose texts people read."""
LOOKING = {"get", "startswith", "endswith", "compile", "replace", "column", "findText"}
"""Functions whose first argument is looked for."""
MARKS = {"_", "tr", "translate"}
NODE_FILES = re.compile(
    r"/(results|loading|opened|segments|parameters|logic|curve|case_node)\.py$|/(map_display|image_result|picking|side_views)\.py$"
)
"""Files whose sentences are names and roles of nodes."""
OTHERS_WORDS = {
    "XAILib/nrrd.py",  # fields of the format
    "XAILib/upload.py",  # fields of the protocol, faults of a caller
    "XAILib/schema_values.py",  # compared with what the server says, word by word
    "XAILib/schema.py",  # units in descriptions of the server
    "XAIPanels/self_test.py",  # what a test says to a programmer
}
"""Files whose sentences are somebody else's."""
LAYOUT = re.compile(r"<[^>]*>|&nbsp;|\{[^}]*\}")
PROSE = re.compile(r"[a-z’]{2,}[,;:.!]? +[A-Za-z]{2,}|[a-z]{2,} …")
PROGRAMMERS = re.compile(
    r"not an? [a-z ]+: |The slicerxai developers|^no change$|^not resolved$|^changes, but$|"
    r"verify=False|^only $| of  bytes came|unsigned |signed |long long|short int|^XAILib |Content-|^Bearer |"
    r"nodename|Name or service|array has shape|^order |an affine is|accepted: 0 to 1|GE Discovery|Siemens|Philips|"
    r"may only be|must be (called|given)|this is a fault|domain domain|border|font-|QLabel|color"
)
"""Beginnings and parts of texts that only programmers see: faults of a caller, protocols, names of scanners."""


def literal(node: ast.AST) -> str | None:
    """The fixed text of a string or f-string; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value for part in node.values if isinstance(part, ast.Constant))
    return None


def name_of(function: ast.AST) -> str:
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def has_words(text: str) -> bool:
    """Whether people could want it in their language: units, numbers and signs need no translation."""
    return bool(re.search(r"[A-Za-z]{3,}", LAYOUT.sub(" ", text)))


def is_prose(text: str) -> bool:
    return bool(PROSE.search(LAYOUT.sub(" ", text))) and not PROGRAMMERS.search(text)


def texts(node: ast.AST) -> Iterator[ast.AST]:
    """The strings that an expression may be, without those that are handed to other functions."""
    if literal(node) is not None:
        yield node
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)
    elif isinstance(node, ast.BinOp):
        yield from texts(node.left)
        yield from texts(node.right)
    elif isinstance(node, (ast.List, ast.Tuple)):
        for one in node.elts:
            yield from texts(one)


def unmarked_in_sinks(tree: ast.Module) -> Iterator[str]:
    """Texts given as they are to what shows them."""
    for node in ast.walk(tree):
        values: list[ast.AST] = []
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Attribute) and target.attr in SHOWN_ATTRIBUTES for target in node.targets
        ):
            values = [node.value]
        elif isinstance(node, ast.Call) and name_of(node.func) in SHOWN_CALLS:
            values = list(node.args[:2] if name_of(node.func) == "setItemText" else node.args[:1])
        for value in values:
            for text in texts(value):
                if has_words(literal(text) or ""):
                    yield f"line {text.lineno}: {literal(text)!r} is shown as it is"  # type: ignore[attr-defined]


def unmarked_sentences(tree: ast.Module) -> Iterator[str]:
    """Sentences anywhere, such as constants that are shown later."""
    skipped = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # documentation
    for node in ast.walk(tree):
        if isinstance(node, (ast.Compare, ast.Subscript)):  # looked for, as a server or a library words it
            parts = [node.left, *node.comparators] if isinstance(node, ast.Compare) else [node.slice]
            skipped |= {id(part) for part in parts}
        if isinstance(node, ast.Call) and name_of(node.func) in LOOKING:
            skipped |= {id(part) for part in node.args[:1]}
        if isinstance(node, ast.Call) and name_of(node.func) in MARKS:
            skipped |= {id(part) for part in ast.walk(node)}
        if isinstance(node, ast.JoinedStr):
            skipped |= {id(part) for part in node.values if isinstance(part, ast.Constant)}
        if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
            skipped |= {id(part) for part in ast.walk(node.annotation)}
    for node in ast.walk(tree):
        text = literal(node)
        if text is not None and id(node) not in skipped and is_prose(text):
            yield f"line {node.lineno}: {text!r} is not marked"  # type: ignore[attr-defined]


def unfindable(tree: ast.Module) -> Iterator[str]:
    """Marks around something that is computed: Slicer's tools read the source."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node.func) in MARKS and isinstance(node.func, ast.Name):
            for argument in node.args:
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    yield f"line {node.lineno}: {ast.unparse(node)} is not a plain text"


def hidden_marks(tree: ast.Module) -> Iterator[str]:
    """Other meanings of `_` in a file that uses it as the mark."""
    imported = any(isinstance(node, ast.ImportFrom) and any(a.asname == "_" for a in node.names) for node in tree.body)
    for node in ast.walk(tree) if imported else ():
        if (isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store)) or (
            isinstance(node, ast.arg) and node.arg == "_"
        ):
            yield f"line {node.lineno}: `_` is bound to something else"


def faults(name: str, source: str) -> list[str]:
    """Everything that is wrong with the texts of a file."""
    tree = ast.parse(source)
    found = [*unmarked_in_sinks(tree), *unfindable(tree), *hidden_marks(tree)]
    if not NODE_FILES.search(name) and name not in OTHERS_WORDS:
        found += unmarked_sentences(tree)
    return found


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_every_text_is_marked(path: Path) -> None:
    name = path.relative_to(EXTENSION).as_posix()
    assert faults(name, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line",
    [
        "self.ui.runButton.text = 'Run'",
        "self.ui.runButton.toolTip = f'Run {name}'",
        "self.ui.runButton.toolTip = 'Run' if ready else _('Wait')",
        "button.setText('Run')",
        "self.state.fail('Nothing was found.')",
        "table.setHorizontalHeaderLabels(['', 'Case'])",
        "raise ServerError(f'The server at {url} is busy.', 'refused')",
        "WORDS = {'a': 'The scene was closed.'}",
        "def f():\n    return f'{n} lesions are open'",
        "_(f'{name} is open')",
        "_(name)",
        "_('{name}'.format(name=name))",
        "from slicer.i18n import tr as _\nfor _ in x: pass",
        "from slicer.i18n import tr as _\nf = lambda *_: 1",
    ],
)
def test_an_unmarked_text_is_found(line: str) -> None:
    assert len(faults("XAIPanels/some.py", line)) >= 1


@pytest.mark.parametrize(
    "line",
    [
        "self.ui.runButton.text = _('Run')",
        "self.ui.amount.text = f'{value:.2f} ml'",
        "self.ui.legend.text = f'<b>{words.legend()}</b>'",
        "button.connect('clicked()', run)",
        "def f():\n    'Does this and that.'\n    return _('{n} lesions are open').format(n=n)",
        "for _ in x: pass",
        "node.SetAttribute('XAI.Server', url)",
    ],
)
def test_what_needs_no_mark_is_none(line: str) -> None:
    assert faults("XAIPanels/some.py", line) == []
