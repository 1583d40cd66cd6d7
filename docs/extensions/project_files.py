"""Files of the project's root as pages of the site, and links to them.

A page that consists of the comment `<!-- FILE -->` alone shows that file. Links are written for readers of the
repository: in the site, those to a file that is a page lead to the page, those to code stay downloads.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from sphinx.application import Sphinx

STUB = re.compile(r"\s*<!-- (\S+) -->\s*")
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)((?:#[^)\s]*)?(?=\)))")


def pages(source: Path) -> dict[Path, Path]:
    """Page of each file that is shown by one."""
    found = {}
    for page in sorted(source.glob("about/*.md")):
        if match := STUB.fullmatch(page.read_text(encoding="utf-8")):
            found[(page.parent / match[1]).resolve()] = page
    return found


def relinked(text: str, file: Path, page: Path, shown: dict[Path, Path]) -> str:
    """The text of a file with its links as the page needs them."""

    def target(match: re.Match[str]) -> str:
        path = Path(os.path.normpath(file.parent / match[1]))
        if path == file.parent or not path.exists():
            return match[0]
        return Path(os.path.relpath(shown.get(path, path), page.parent)).as_posix() + match[2]

    return LINK.sub(target, text)


def read(app: Sphinx, document: str, source: list[str]) -> None:
    """Fill in the file of a stub and turn the links."""
    page = Path(app.env.doc2path(document))
    shown = pages(Path(app.srcdir))
    file = next((file for file, stub in shown.items() if stub == page), page)
    text = source[0] if file == page else file.read_text(encoding="utf-8")
    if file != page:
        app.env.note_dependency(file)
    source[0] = relinked(text, file, page, shown)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register."""
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
