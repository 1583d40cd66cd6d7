"""Equations as MathML, which browsers draw by themselves: no script, no font and no picture has to be fetched."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.util import logging

log = logging.getLogger(__name__)
SIZES = re.compile(r"\\(?:big|Big|bigg|Bigg)[lrm]?(?![A-Za-z])")
"""Sizes of brackets, which MathML stretches by itself."""
UNKNOWN = {re.compile(r"\\arg(?![A-Za-z])"): r"\\operatorname{arg}"}
"""Commands that the converter does not know, with ones that it knows."""
LEFT_OVER = re.compile(r">[^<]*\\[A-Za-z]")


def mathml(latex: str, display: str, node: nodes.Node) -> str:
    """The equation; a warning, and its source, where it cannot be converted."""
    known = SIZES.sub("", latex)
    for command, other in UNKNOWN.items():
        known = command.sub(other, known)
    try:
        made = convert(known, display=display)
    except Exception as error:
        log.warning("equation %r is not understood: %s", latex, error, location=node)
        return f"<code>{latex}</code>"
    if LEFT_OVER.search(made):
        log.warning("a command of equation %r is not understood", latex, location=node)
    return made


def visit_inline(writer: Any, node: nodes.math) -> None:
    """Within a line."""
    writer.body.append(mathml(node.astext(), "inline", node))
    raise nodes.SkipNode


def visit_display(writer: Any, node: nodes.math_block) -> None:
    """On a line of its own."""
    writer.body.append(mathml(node.astext(), "block", node))
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer and choose it."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_display, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
