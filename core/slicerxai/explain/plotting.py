"""What all figures share. Colours are told apart by colour-blind eyes (Okabe and Ito 2008)."""

from __future__ import annotations

import io
from typing import Final

from matplotlib.figure import Figure

COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442")
TEXT, SOFT = "#1c1f24", "#5b626c"
DPI: Final = 130


def png(canvas: Figure) -> bytes:
    """The picture; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
