"""What the slice views show of a case: a modality each or the same in all, and the map of agreement over it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from XAIPanels.nodes import nodes_of_class

Before = tuple[str, str, float]
"""Ids of background and label volume, and opacity of the label, of a view before a case was shown."""


class CaseLayers:
    """Changes backgrounds and label layers of all slice views, and puts back what was there; foregrounds stay."""

    def __init__(self, scene: Any) -> None:
        self.scene = scene
        self._before: dict[str, Before] = {}

    def show(self, own: Mapping[str, Any], image: Any) -> bool:
        """Put volumes into the backgrounds.

        Args:
            own: by the id of a view's composite node.
            image: for all other views.

        Returns:
            Whether the background of a view changed, so that the caller may want to fit the views to it.
        """
        changed = False
        for composite in nodes_of_class(self.scene, "vtkMRMLSliceCompositeNode"):
            self._remember(composite)
            wanted = own.get(composite.GetID(), image)
            if composite.GetBackgroundVolumeID() != wanted.GetID():
                composite.SetBackgroundVolumeID(wanted.GetID())
                changed = True
        return changed

    def lay(self, labels: Any, opacity: float) -> None:
        """Put a label map over the images; None takes it away."""
        for composite in nodes_of_class(self.scene, "vtkMRMLSliceCompositeNode"):
            if labels is not None:
                self._remember(composite)
                composite.SetLabelVolumeID(labels.GetID())
                composite.SetLabelOpacity(opacity)
            elif composite.GetID() in self._before:
                self._put_back_label(composite)

    def hide(self) -> None:
        """Put back what each view showed before."""
        for composite in nodes_of_class(self.scene, "vtkMRMLSliceCompositeNode"):
            if composite.GetID() in self._before:
                self._put_back_label(composite)
                background, _, _ = self._before.pop(composite.GetID())
                composite.SetBackgroundVolumeID(self._there(background))
        self._before.clear()

    def forget(self) -> None:
        """The scene was closed: there is nothing to put back."""
        self._before.clear()

    def _remember(self, composite: Any) -> None:
        kept = (
            composite.GetBackgroundVolumeID() or "",
            composite.GetLabelVolumeID() or "",
            composite.GetLabelOpacity(),
        )
        self._before.setdefault(composite.GetID(), kept)

    def _put_back_label(self, composite: Any) -> None:
        _, label, opacity = self._before[composite.GetID()]
        composite.SetLabelVolumeID(self._there(label))
        composite.SetLabelOpacity(opacity)

    def _there(self, volume: str) -> str | None:
        return volume if volume and self.scene.GetNodeByID(volume) else None
