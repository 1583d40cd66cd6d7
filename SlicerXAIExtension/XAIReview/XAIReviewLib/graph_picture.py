"""The picture of the distances between the maps, at the width of the panel."""

from __future__ import annotations

from typing import Any

import qt

WIDTH = 390


class GraphPicture:
    """Shows a PNG picture in a label."""

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
        picture = qt.QPixmap()
        picture.loadFromData(png, "PNG")
        self.label.setPixmap(picture.scaledToWidth(WIDTH, qt.Qt.SmoothTransformation))
        return True
