"""The picture of the distances between the maps, at the width of the panel."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import qt

WIDTH = 390


class GraphPicture:
    """Shows a PNG picture in a label; Qt reads it from a file, which is removed at once."""

    def __init__(self, label: Any) -> None:
        self.label = label
        self._shown = b""

    def show(self, png: bytes, hint: str) -> bool:
        """Whether there is a picture."""
        self.label.toolTip = hint
        if png == self._shown:
            return bool(png)
        self._shown = png
        self.label.visible = bool(png)
        if not png:
            return False
        with TemporaryDirectory(prefix="xai-graph-") as folder:
            path = Path(folder) / "graph.png"
            path.write_bytes(png)
            picture = qt.QPixmap(str(path))
        self.label.setPixmap(picture.scaledToWidth(WIDTH, qt.Qt.SmoothTransformation))
        return True
