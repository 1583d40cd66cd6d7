"""What is loaded, asked, corrected and said by the sections of the page."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from desk import OBLIQUE, OTHER, SERVER, blocks, nifti, opened


def test_a_file_of_the_page_lies_where_its_header_says(desk: Any) -> None:
    from XAIPanels.volumes import affine_of, array_of

    content = nifti(blocks())
    desk.images.uploads.receive([{"name": "P.nii.gz", "size": len(content), "content": [content[:100], content[100:]]}])
    assert desk.images.chosen is None  # more may follow
    desk.images.uploads.receive([])
    desk.until(lambda: not desk.state.loading)
    volume = desk.images.chosen
    assert volume.GetName() == "P"
    np.testing.assert_allclose(affine_of(volume), OBLIQUE, atol=1e-4)
    np.testing.assert_array_equal(array_of(volume), blocks())
    assert desk.state.image_text == "P opened."
    assert desk.state.image_items == [{"title": "P", "value": volume.GetID()}]
    composites = desk.application.scene.GetNodesByClass("vtkMRMLSliceCompositeNode")
    assert all(node.GetBackgroundVolumeID() == volume.GetID() for node in composites)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("scan.png", b"\x89PNG\r\n\x1a\n", "“scan.png” is neither NIfTI nor NRRD"),
        ("cut.nii.gz", nifti(blocks())[:-20], "“cut.nii.gz” is damaged"),
        ("two.nii", b"", "“two.nii” is neither NIfTI nor NRRD"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_words(desk: Any, name: str, content: bytes, said: str) -> None:
    desk.images.open_files([("good.nii.gz", nifti(blocks())), (name, content)])
    desk.until(lambda: not desk.state.loading)
    assert said in desk.state.image_text
    assert desk.state.image_kind == "error"
    assert desk.state.image_items == []


def test_more_than_the_limit_is_not_kept(desk: Any) -> None:
    desk.images.uploads.limit = 1000
    for _ in range(2):
        desk.images.uploads.receive([{"name": "a.nii", "size": 600, "content": b"x" * 600}])
    desk.images.uploads.receive([])
    assert "larger than" in desk.state.image_text
    assert not desk.state.loading
    assert desk.images.chosen is None


def test_only_what_its_own_server_has_is_asked_by_name(desk: Any) -> None:
    from slicerxai.viewer.origins import mark_study, source_of, study_of

    volume = opened(desk)
    scene = desk.application.scene
    sent = source_of(scene, volume, SERVER, ("FLAIR",))
    assert sent.named == {}
    assert sent.sent is not None
    assert sent.sent.name == "FLAIR"  # the modality, never the name of the file
    mark_study(volume, SERVER, "a")
    assert source_of(scene, volume, SERVER, ()).named == {"image": "a"}
    assert study_of(volume, OTHER) == ""
    assert source_of(scene, volume, OTHER, ()).sent is not None


def test_a_correction_is_on_the_grid_of_its_image(desk: Any) -> None:
    from XAILib.nrrd import Volume

    volume = opened(desk)
    desk.correcting.begin(None)
    assert desk.correcting.labels(volume).array.shape == (12, 10, 8)
    assert not desk.correcting.labels(volume).array.any()
    desk.correcting.discard()
    assert desk.correcting.node is None
    cut = Volume((blocks() > 50).astype(np.uint8)[1:, 2:, :], OBLIQUE @ _moved(1, 2, 0))
    desk.correcting.begin(cut)
    labels = desk.correcting.labels(volume)
    np.testing.assert_array_equal(labels.array, (blocks() > 50).astype(np.uint8))
    np.testing.assert_allclose(labels.affine, OBLIQUE, atol=1e-4)
    assert desk.state.correcting
    assert desk.state.tool == "paint"
    node = desk.correcting.node
    desk.correcting.end()
    desk.correcting.begin(None)  # an earlier correction goes on
    assert desk.correcting.node is node


def test_another_image_ends_a_correction(desk: Any) -> None:
    first = opened(desk)
    desk.correcting.begin(None)
    opened(desk, "second.nii.gz")
    assert desk.images.chosen is not first
    assert not desk.state.correcting
    assert desk.state.tool == "look"


def test_a_label_is_saved_only_for_a_study_of_the_server(desk: Any) -> None:
    opened(desk)
    desk.correcting.begin(None)
    desk.correcting.save()
    assert desk.state.correct_text.startswith("Only a study of the server can be labelled")
    desk.connection.server = None
    desk.correcting.save()
    assert desk.state.correct_text == "Connect to a server first."


def test_a_prediction_replaces_the_earlier_one(desk: Any) -> None:
    from XAILib.nrrd import Volume

    from slicerxai.viewer.predicting import add_prediction, prediction_of, predictions

    volume, scene = opened(desk), desk.application.scene
    labels = Volume((blocks() > 50).astype(np.uint8), OBLIQUE)
    first = add_prediction(scene, volume, labels)
    before = scene.GetNumberOfNodes()
    second = add_prediction(scene, volume, labels)
    assert predictions(scene) == [second]
    assert prediction_of(scene, volume) is second is not first
    assert scene.GetNumberOfNodes() == before
    assert prediction_of(scene, None) is None


def test_what_goes_wrong_in_a_job_is_told_and_the_tray_has_it(desk: Any) -> None:
    from XAILib.errors import ServerError, Stopped
    from XAILib.tray_entry import Entry

    from slicerxai.viewer.messages import Messages

    said = Messages(desk.state, "test")
    faults = {
        "The queue is full.": ServerError("The queue is full.", "refused", 429),
        "Cancelled here.": Stopped(),
        "Unexpected fault: ZeroDivisionError('x'). Please report it.": ZeroDivisionError("x"),
        "Nothing listens there.": ServerError("Nothing listens there.", "unreachable"),
    }
    for words, fault in faults.items():

        def work(stop: Any, progress: Any, fault: Exception = fault) -> None:
            progress(0.5, "half done", None)
            raise fault

        desk.jobs.run(Entry("saliency", "Saliency", "P"), work, lambda _: None, said, "Cancelled here.")
        assert desk.state.test_percent == 0
        desk.until(lambda words=words: desk.state.test_text == words)
        assert desk.state.test_percent is None
    desk.jobs._look()
    assert [row["state"] for row in desk.state.jobs] == ["failed", "failed", "cancelled", "failed"]
    assert desk.connection.server is None  # the last fault ended the connection
    desk.jobs.clear()
    assert desk.state.jobs == []
    assert desk.state.jobs_can_undo
    desk.jobs.undo()
    assert len(desk.state.jobs) == 4


def test_an_address_that_is_none_is_told_at_once(desk: Any) -> None:
    desk.state.server_url = "nowhere"
    desk.connection.connect()
    assert desk.state.server_text.startswith("Not connected: The address “nowhere” has to start with")
    assert not desk.state.connecting


def test_timers_go_on_after_a_fault_and_stop_when_told(desk: Any) -> None:
    calls: list[str] = []

    def fails() -> None:
        calls.append("fails")
        raise ZeroDivisionError

    again = desk.tasks.timer(1, fails)
    once = desk.tasks.timer(1, lambda: calls.append("once"), once=True)
    again.start()
    once.start()
    desk.until(lambda: calls.count("fails") >= 3)
    again.stop()
    count = len(calls)
    end = time.monotonic() + 0.05
    desk.until(lambda: time.monotonic() > end)
    assert len(calls) == count
    assert calls.count("once") == 1


def _moved(*voxels: int) -> np.ndarray:
    moved = np.eye(4)
    moved[:3, 3] = voxels
    return moved
