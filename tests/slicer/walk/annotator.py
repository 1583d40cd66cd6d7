"""The annotator: the next image by the server's choice, why it was chosen, its lesions redrawn, the label submitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from monailabel.client import MONAILabelClient

from .desk import Desk, Site, Step, Walk
from .drawing import drawn_label, grow
from .people import Reviewer


def walk(desk: Desk, site: Site, folder: Path) -> Walk:
    """From the next sample to the submitted label; files pass through `folder`, as in MONAI Label's own module."""
    user = desk.open("XAISaliency", Reviewer, tab=1)
    user.connect_to(site.url)
    user.waits(lambda: not user.panel.feed.fetching)
    user.choose(user.ui.modelCombo, site.classifier)
    user.waits(lambda: user.panel.feed.worklist is not None and user.panel.feed.worklist.model == site.classifier)
    if any(not item.scored for item in user.panel.feed.worklist.items):
        user.scores()
    client = MONAILabelClient(site.url, tmpdir=str(folder), client_id="annotator")
    sample = user.waits_in_a_thread(lambda: client.next_sample("suspicion", {"model": site.classifier}))
    image = str(sample["id"])
    user.chooses(image)
    assert image == user.rows()[0]
    yield Step("next", "The server proposes the image whose prediction is most likely to be wrong.", user)
    user.click(user.ui.openButton)
    user.waits_for_the_image(image)
    user.folds("model")
    assert "the maps for" in user.sees()
    yield Step("reason", "Why this image: which decision is suspicious, and the maps it was made from.", user)
    segmentation = _predicts(user, client, site, image)
    yield Step(
        "predict",
        "A segmenter's lesions, fetched as MONAI Label's module fetches them: segments over the image, to be edited.",
        user,
    )
    before = drawn_label(segmentation, user.panel.logic.shown.image)
    grow(segmentation, 1)
    after = drawn_label(segmentation, user.panel.logic.shown.image)
    assert after.sum() > before.sum()
    yield Step("draw", "The same lesions after an edit: drawn one voxel larger all around.", user)
    label = folder / f"{image}_label.nii.gz"
    _write(segmentation, user.panel.logic.shown.image, label)
    answer = user.waits_in_a_thread(lambda: client.save_label(image, str(label), "final", {"label_info": []}))
    assert answer["image"] == image
    known = user.waits_in_a_thread(client.datastore)
    assert "final" in known["objects"][image]["labels"]
    user.click(user.ui.acceptButton)
    user.waits_for(f"Written: {image} is accepted.")
    yield Step("submit", "The label is submitted and the decision written; the next image is being opened.", user)


def _predicts(user: Reviewer, client: Any, site: Site, image: str) -> Any:
    """As MONAI Label's module does: infer, and load the answer's file as a segmentation."""
    file, _ = user.waits_in_a_thread(lambda: client.infer(site.segmenter, image, {}))
    node = slicer.util.loadSegmentation(str(file), {"name": "lesions"})
    node.SetReferenceImageGeometryParameterFromVolumeNode(user.panel.logic.shown.image)
    user.app.processEvents()
    return node


def _write(segmentation: Any, image: Any, path: Path) -> None:
    """The segments as a label map in the image's grid, as MONAI Label's module submits them."""
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "label")
    slicer.modules.segmentations.logic().ExportVisibleSegmentsToLabelmapNode(segmentation, labels, image)
    assert slicer.util.saveNode(labels, str(path))
    slicer.mrmlScene.RemoveNode(labels)
