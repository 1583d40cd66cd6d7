"""A whole brain at 1 mm with four maps: the window answers while they become nodes (the guard watches)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

SHAPE = (182, 218, 182)
AFFINE = np.array([[-1.0, 0, 0, 90], [0, 1, 0, -126], [0, 0, 1, -72], [0, 0, 0, 1]])
LABELS = ("periventricular", "juxtacortical", "infratentorial", "deep white matter")


@pytest.fixture
def opened(user: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A person whose server answers at once, with large volumes."""
    from XAILib.catalogue import Catalogue, Method, Model
    from XAILib.client import Client
    from XAILib.nrrd import Volume
    from XAILib.worklist import ClassItem, Item, Worklist
    from XAIReviewLib import feed, opener
    from XAIReviewLib.prepared import Map, Prepared, image_of
    from XAIReviewLib.server import ReviewServer

    rng = np.random.default_rng(0)
    brain = np.asfortranarray(rng.normal(100, 10, SHAPE).astype(np.float32))
    volumes = [Volume(np.roll(brain, shift, axis=0) - 100, AFFINE) for shift in range(len(LABELS))]
    maps = {label: Map(volume, 30.0, (0.0, 0.0, 0.0)) for label, volume in zip(LABELS, volumes, strict=True)}
    document = {"tables": {}, "checks": [], "verdict": "caution", "figures": {}}
    prepared = Prepared(document, "1", maps, {}, b"", None)
    classes = tuple(ClassItem(label, 0.5, True, 0.2, 0.4, False, "alike") for label in LABELS)
    item = Item("brain", True, 1.6, classes, (), "", None)
    worklist = Worklist("regions", "d", "classifier", LABELS, None, False, (item,))
    monkeypatch.setattr(feed, "fetch_worklist", lambda *_: worklist)
    monkeypatch.setattr(opener, "fetch", lambda *_: image_of(Volume(brain, AFFINE)))
    monkeypatch.setattr(opener, "explain", lambda *_: prepared)
    catalogue = Catalogue("1", (Method("quality", "", "", {}),), (Model("regions", "classifier", (), LABELS),), {})
    user.panel.server._follows = True  # nobody listens there: the other tab is not to connect too, and lose the server
    user.panel.server._connected(ReviewServer(Client("http://127.0.0.1:1"), catalogue))
    user.waits(lambda: user.rows() == ["brain"])
    user.opens_image("brain")
    return user


def test_every_way_to_draw_large_maps(opened: Any) -> None:
    user = opened
    shown = user.panel.logic.shown
    assert list(shown.maps) == list(LABELS)
    user.click(user.ui.blendButton)
    user.waits(lambda: shown.blended_pair == LABELS[:2])
    user.click(user.ui.sideButton)
    user.ui.thresholdSlider.value = 55.0
    user.ui.opacitySlider.value = 40.0
    user.click(user.ui.oneButton)
    user.choose(user.ui.firstCombo, LABELS[3])
    assert user.panel.logic.parameters().drawing.threshold == 0.55
