"""Infer, next-sample, scoring and training through the real server."""

import json
import threading
import time

import numpy as np
import pytest
import requests
from requests_toolbelt.multipart import decoder

from slicerxai.data.io import read_volume, write_volume
from slicerxai.data.volume import Volume


def test_one_line_says_where_the_server_is(server):
    assert server.line == f"SlicerXAI server at {server.url} (models: slow, tiny); Ctrl+C stops it\n"


def test_info_lists_the_stored_models_and_tasks(server):
    info = server.request("GET", "/info/").json()
    assert set(info["models"]) >= {"tiny", "slow"}
    tiny = info["models"]["tiny"]
    assert (tiny["type"], tiny["labels"], tiny["dimension"]) == ("segmentation", {"lesion": 1}, 3)
    assert set(info["trainers"]) == {"fast", "nnunet", "classifier", "aligned"}
    assert set(info["strategies"]) == {"random", "suspicion", "uncertainty"}
    assert set(info["scoring"]) == {"agreement", "quality"}


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_a_result_lies_on_the_grid_of_the_oblique_left_handed_image(server, tmp_path, suffix):
    data = {"params": json.dumps({"result_extension": suffix})}
    response = server.request("POST", "/infer/tiny?image=turned&output=image", data=data)
    assert response.status_code == 200, response.text
    result = tmp_path / f"result{suffix}"
    result.write_bytes(response.content)
    label, image = read_volume(result), read_volume(server.studies / "turned.nii.gz")
    assert label.shape == image.shape
    assert label.array.dtype == np.uint8
    np.testing.assert_allclose(label.affine, image.affine, atol=1e-5)


def test_the_default_answer_holds_report_and_image_as_the_stock_client_expects(server):
    response = server.request("POST", "/infer/tiny?image=two")
    assert response.status_code == 200, response.text
    parts = decoder.MultipartDecoder.from_response(response).parts
    params, image = (part for part in parts)
    report = json.loads(params.content)
    assert report["label_names"] == {"lesion": 1}
    assert report["latencies"]["total"] > 0
    assert b'name="image"' in image.headers[b"Content-Disposition"]


def test_an_uploaded_session_gives_the_same_labelmap_as_the_datastore(server):
    with (server.studies / "one.nii.gz").open("rb") as file:
        created = server.request("PUT", "/session/", files={"files": ("flair.nii.gz", file)})
    session = created.json()["session_id"]
    answers = [
        server.request("POST", f"/infer/tiny?output=image&{source}")
        for source in ("image=one", f"session_id={session}")
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert server.request("DELETE", f"/session/{session}").status_code == 200
    assert server.request("POST", f"/infer/tiny?session_id={session}").status_code == 404


def test_a_stored_prediction_appears_in_the_datastore(server):
    data = {"params": json.dumps({"save_label": True, "label_tag": "original"})}
    assert server.request("POST", "/infer/tiny?image=two&output=json", data=data).status_code == 200
    assert (server.studies / "labels" / "original" / "two.nii.gz").is_file()


def test_a_model_stored_meanwhile_is_served_without_a_restart(server):
    import shutil

    shutil.copytree(server.home / "models" / "tiny", server.home / "models" / "later")
    try:
        assert "later" in server.request("GET", "/info/").json()["models"]
        assert server.request("POST", "/infer/later?image=one&output=json").status_code == 200
        checksum = server.request("GET", "/model/info/later").json()["checksum"]
        assert checksum.startswith("SHA256:")
    finally:
        shutil.rmtree(server.home / "models" / "later")


def test_other_routes_answer_while_an_inference_runs(server):
    """With MONAI Label's own endpoints no other route answers before the inference has ended."""
    outcome = {}

    def run() -> None:
        outcome["response"] = server.request("POST", "/infer/slow?image=big&output=json")

    server.request("POST", "/infer/slow?image=one&output=json")  # the worker is warm
    thread = threading.Thread(target=run)
    thread.start()
    answered = 0
    while thread.is_alive():
        for path in ("/info/", "/datastore/", "/explain/jobs"):
            assert requests.get(server.url + path, timeout=60).status_code == 200
            answered += thread.is_alive()
    thread.join()
    assert outcome["response"].status_code == 200, outcome["response"].text
    assert answered >= 2  # one may come in the moment between the end of the inference and that of the thread


def test_a_file_renamed_into_the_studies_folder_is_noticed(server):
    write_volume(server.studies / "renamed.nii.gz", Volume(np.ones((32, 32, 32), np.float32), np.eye(4)))  # by renaming
    deadline = time.monotonic() + 30
    while "renamed" not in server.request("GET", "/datastore/?output=all").json()["objects"]:
        assert time.monotonic() < deadline, "not noticed within 30 s"
        time.sleep(0.2)
    assert server.request("DELETE", "/datastore/image?id=renamed").status_code == 200


def test_next_sample_is_the_most_uncertain_one_with_the_reason(server):
    first = server.request("POST", "/activelearning/uncertainty", json={"model": "tiny"})
    assert first.status_code == 200, first.text
    answer = first.json()
    infos = {
        name: server.request("GET", f"/datastore/image/info?image={name}").json()
        for name in ("one", "two", "turned", "big")
    }
    scores = {name: next(iter(info["uncertainty"].values())) for name, info in infos.items() if "uncertainty" in info}
    assert len(scores) >= 3
    assert answer["id"] == max(scores, key=scores.get)
    assert answer["score"] == pytest.approx(max(scores.values()))
    assert "entropy" in answer["reason"]
    assert server.request("POST", "/activelearning/random").json()["id"] in infos


def test_batch_inference_stores_predictions_and_survives_an_unusable_image(server):
    empty = server.root / "empty.nii.gz"
    write_volume(empty, Volume(np.zeros((32, 32, 32), np.float32), np.eye(4)))
    with empty.open("rb") as file:
        put = server.request("PUT", "/datastore/image?image=empty", files={"file": (empty.name, file)})
    assert put.status_code == 200, put.text
    body = {"save_label": True, "label_tag": "batch", "max_batch_size": 3, "max_workers": 1}
    answer = server.request("POST", "/batch/infer/tiny?run_sync=true", json=body)
    server.request("DELETE", "/datastore/image?id=empty")
    assert answer.status_code == 200, answer.text
    assert sorted(answer.json()) == ["big", "empty", "one"]
    assert "error" in answer.json()["empty"]
    stored = [path.name for path in (server.studies / "labels" / "batch").iterdir()]
    assert sorted(stored) == ["big.nii.gz", "one.nii.gz"]


def labelled(server, name: str) -> None:
    suffix = ".nrrd" if name == "two" else ".nii.gz"
    image = read_volume(server.studies / f"{name}{suffix}")
    mask = np.zeros(image.shape, np.uint8)
    mask[15:20, 15:20, 15:20] = 1
    path = server.root / f"{name}-label.nii.gz"
    write_volume(path, Volume(mask, image.affine))
    with path.open("rb") as file:
        answer = server.request("PUT", f"/datastore/label?image={name}", files={"label": (path.name, file)})
    assert answer.status_code == 200, answer.text


def finished(server, route: str, seconds: float = 120) -> dict:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        task = server.request("GET", route).json()
        if task["status"] in {"DONE", "ERROR", "STOPPED"}:
            return task
        time.sleep(0.3)
    pytest.fail(f"{route} did not end: {task}")


def test_train_score_and_cancel(server):
    no_labels = server.request("POST", "/train/fast", json={"steps": 2})
    assert no_labels.status_code == 409
    assert "submit labels" in no_labels.json()["detail"]
    labelled(server, "one")
    labelled(server, "two")

    small = {"name": "site", "spacing": 2.0, "patch": 32, "features": "4,8", "batch": 1, "steps": 4}
    assert server.request("POST", "/train/fast", json=small).status_code == 200
    task = finished(server, "/train/")
    details = "\n".join(task["details"])
    assert task["status"] == "DONE", details
    assert " % " in details
    assert "site" in server.request("GET", "/info/").json()["models"]
    assert server.request("POST", "/infer/site?image=one&output=json").status_code == 200
    provenance = server.request("GET", "/model/info/site").json()["train_stats"]
    assert provenance["parameters"]["steps"] == 4

    endless = small | {"name": "endless", "steps": 1_000_000}
    assert server.request("POST", "/train/fast", json=endless).status_code == 200
    while not any(" % " in line for line in server.request("GET", "/train/").json().get("details", [])):
        time.sleep(0.2)
    assert server.request("DELETE", "/train/").json()["status"] == "STOPPED"
    assert finished(server, "/train/")["status"] == "STOPPED"
    assert "endless" not in server.request("GET", "/info/").json()["models"]

    data = {"params": json.dumps({"save_label": True})}
    assert server.request("POST", "/infer/tiny?image=one&output=json", data=data).status_code == 200
    scores = server.request("POST", "/scoring/agreement?run_sync=true").json()
    label = read_volume(server.studies / "labels" / "final" / "one.nii.gz").array > 0
    predicted = read_volume(server.studies / "labels" / "original" / "one.nii.gz").array > 0
    expected = 2 * (label & predicted).sum() / (label.sum() + predicted.sum())
    assert scores["one"]["dice"] == pytest.approx(expected)
    assert scores["one"]["submitted_ml"] == pytest.approx(label.sum() * 8 / 1000)
