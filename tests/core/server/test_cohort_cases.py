"""The cases of a cohort: what is listed, their images and masks, one case explained, and hostile names."""

import time

import numpy as np
import pytest
from fastapi.testclient import TestClient
from small_server import FolderDatastore, make_app, make_home, make_pool

from slicerxai.data.io import read_volume, write_volume
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.explain.multipart import decode
from slicerxai.server.cohorts import Cohorts, server_cohorts
from slicerxai.server.sources import Sources
from tests.support.cohort_method import NAME, write_cohort

WAIT = 60


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    place = tmp_path_factory.mktemp("place")
    make_home(place / "home")
    (place / "studies").mkdir()
    cohorts = place / "cohorts"
    write_cohort(cohorts / "patients", patients=2)
    table = cohorts / "patients" / "cases.csv"
    table.write_text(table.read_text().replace("p1,p1_image", "ward 3/José,p1_image"))
    write_cohort(cohorts / "broken scan", patients=2)
    (cohorts / "broken scan" / "p1_mask1.nii.gz").write_bytes(b"no image")
    (cohorts / "broken scan" / "p0_image.nii.gz").unlink()
    write_cohort(place / "outside", patients=2)
    (cohorts / "linked").symlink_to(place / "outside", target_is_directory=True)
    write_cohort(cohorts / "one link out", patients=2)
    (cohorts / "one link out" / "p0_mask1.nii.gz").unlink()
    (cohorts / "one link out" / "p0_mask1.nii.gz").symlink_to(place / "outside" / "p0_mask1.nii.gz")
    write_cohort(cohorts / "twice", patients=2)
    table = cohorts / "twice" / "cases.csv"
    table.write_text(table.read_text() + table.read_text().splitlines()[-1] + "\n")
    write_cohort(cohorts / "only T1", patients=2, modality="T1")
    (place / "secret.nii.gz").write_bytes((place / "outside" / "p0_image.nii.gz").read_bytes())
    return place


@pytest.fixture(scope="module")
def pool(place):
    pool = make_pool(place / "home")
    yield pool
    pool.shutdown()


@pytest.fixture
def client(place, pool, cohort_method):
    app = make_app(pool, Sources(FolderDatastore(place / "studies"), place / "studies"))
    cohorts = Cohorts(place / "cohorts")
    app.dependency_overrides[server_cohorts] = lambda: cohorts
    return TestClient(app, raise_server_exceptions=False)


def volumes(answer):
    assert answer.status_code == 200, answer.text
    return decode(answer.content, answer.headers["content-type"])


def test_cases_are_listed(client, place):
    answer = client.get("/explain/cohorts/patients")
    assert answer.json() == {
        "name": "patients",
        "cases": [
            {"id": "p0", "modalities": ["FLAIR"], "raters": ["1", "2"], "metadata": {"age": 30, "centre": "01"}},
            {
                "id": "ward 3/José",
                "modalities": ["FLAIR"],
                "raters": ["1", "2"],
                "metadata": {"age": 31, "centre": "07"},
            },
        ],
    }
    assert str(place) not in answer.text


def test_image_and_masks_of_a_case(client, place):
    found = volumes(client.get("/explain/cohorts/patients/cases/p0"))
    assert (found.method, found.image_id) == ("case", "patients/p0")
    assert found.parameters["images"] == {"FLAIR": "image_1"}
    assert found.parameters["masks"] == {"1": "mask_1", "2": "mask_2"}
    assert found.parameters["metadata"] == {"age": 30, "centre": "01"}
    folder = place / "cohorts" / "patients"
    for name, file in (("image_1", "p0_image"), ("mask_1", "p0_mask1"), ("mask_2", "p0_mask2")):
        expected = read_volume(folder / f"{file}.nii.gz")
        np.testing.assert_array_equal(found.overlays[name].volume.array, expected.array)
        np.testing.assert_allclose(found.overlays[name].volume.affine, expected.affine)
    assert found.overlays["mask_1"].volume.array.sum() == 11


def test_some_of_them(client):
    case = {"modality": "FLAIR", "rater": ["2"]}
    found = volumes(client.get("/explain/cohorts/patients/cases/ward 3%2FJosé", params=case))
    assert found.image_id == "patients/ward 3/José"
    assert set(found.overlays) == {"image_1", "mask_1"}
    assert found.parameters["masks"] == {"2": "mask_1"}


def test_labels_of_a_mask_are_one_outline(tmp_path):
    folder = write_cohort(tmp_path / "many labels", patients=1)
    array = np.zeros((8, 8, 8), np.int16)
    array[0, 0, :3] = (1, 2, -7)
    write_volume(folder / "p0_mask1.nii.gz", Volume(array, np.eye(4)))
    found = Cohorts(tmp_path).volumes("many labels", "p0", [], ["1"])
    assert found.overlays["mask_1"].volume.array.dtype == np.uint8
    assert found.overlays["mask_1"].volume.array.sum() == 3


HOSTILE = [
    ("nobody", 404),
    ("", 404),
    ("../p0", 404),
    ("../../secret.nii.gz", 404),
    ("..%2F..%2Fsecret.nii.gz", 404),
    ("%2Fetc%2Fpasswd", 404),
    ("p0_image.nii.gz", 404),
    ("p0%00", 404),
    ("P0", 404),
    ("x" * 5000, 404),
]


@pytest.mark.parametrize(("case", "status"), HOSTILE)
def test_a_case_is_an_id_never_a_path(client, place, case, status):
    answer = client.get(f"/explain/cohorts/patients/cases/{case}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert str(place) not in answer.text
    assert len(answer.text) < 12_000


@pytest.mark.parametrize(
    ("cohort", "status"),
    [("%2E%2E", 422), ("..%2Foutside", 404), ("linked", 422), ("one link out", 422), (".hidden", 422), ("nosuch", 404)],
)
def test_a_cohort_is_a_name_never_a_path(client, place, cohort, status):
    for route in (f"/explain/cohorts/{cohort}", f"/explain/cohorts/{cohort}/cases/p0"):
        answer = client.get(route)
        assert answer.status_code == status, answer.text
        assert str(place) not in answer.text


@pytest.mark.parametrize(
    ("query", "says"),
    [({"rater": "9"}, "it has 1, 2"), ({"rater": "../1"}, "it has 1, 2"), ({"modality": "T1"}, "it has FLAIR")],
)
def test_what_a_case_lacks_is_named(client, query, says):
    answer = client.get("/explain/cohorts/patients/cases/p0", params=query)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(("case", "status", "says"), [("p0", 404, "p0_image.nii.gz"), ("p1", 422, "p1_mask1.nii.gz")])
def test_files_that_cannot_be_read(client, place, case, status, says):
    answer = client.get(f"/explain/cohorts/broken scan/cases/{case}")
    assert answer.status_code == status
    assert says in answer.json()["detail"]
    assert str(place) not in answer.text


def test_an_ambiguous_case(client):
    answer = client.get("/explain/cohorts/twice/cases/p1")
    assert (answer.status_code, "2 cases" in answer.json()["detail"]) == (422, True)


def test_a_file_behind_a_link_that_came_later(tmp_path):
    """Links are looked for when the cohort is read; what is opened afterwards is looked at again."""
    folder = write_cohort(tmp_path / "cohorts" / "patients", patients=1)
    secret = tmp_path / "secret.nii.gz"
    (folder / "p0_mask1.nii.gz").rename(secret)
    (folder / "p0_mask1.nii.gz").symlink_to(secret)
    cohorts = Cohorts(tmp_path / "cohorts")
    cohorts._check_links = lambda folder, name: None
    with pytest.raises(InputError, match="outside"):
        cohorts.volumes("patients", "p0", None, None)


def test_one_case_is_explained(client, place):
    body = {"cohort": "patients", "case": "p0", "parameters": {"steps": 2}}
    job = client.post("/explain/saliency", json=body)
    assert job.status_code == 202, job.text
    deadline = time.monotonic() + WAIT
    while (state := client.get(f"/explain/jobs/{job.json()['id']}").json())["state"] in {"queued", "running"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert state["state"] == "done", state
    assert state["request"] == body | {"model": "tiny"}
    assert str(place) not in str(state)
    result = client.get(f"/explain/jobs/{state['id']}/result", params={"part": "params"}).json()
    assert result["image_id"] == "patients/p0"
    other = client.post("/explain/saliency", json=body | {"case": "ward 3/José"}).json()
    assert other["key"] != state["key"]


BAD = [
    ("saliency", {"case": "p0"}, 422, "exactly one"),
    ("saliency", {"image": "x", "case": "p0"}, 422, "give cohort as well"),
    ("saliency", {"cohort": "patients", "case": "../p0"}, 404, "p0"),
    ("saliency", {"cohort": "../cohorts/patients", "case": "p0"}, 422, "never a path"),
    ("saliency", {"cohort": "patients", "case": ""}, 404, "it has p0"),
    ("saliency", {"cohort": "patients", "case": 5}, 422, "case"),
    ("saliency", {"cohort": "only T1", "case": "p0"}, 422, "it has T1"),
    ("saliency", {"cohort": "patients"}, 422, "or one case of it, with case"),
    ("saliency", {"cohort": "broken scan", "case": "p0"}, 404, "p0_image.nii.gz"),
    (NAME, {"cohort": "patients", "case": "p0"}, 422, "give cohort without a case"),
]


@pytest.mark.parametrize(("method", "content", "status", "says"), BAD)
def test_bad_requests(client, pool, place, method, content, status, says):
    before = len(pool.jobs.newest(200))
    answer = client.post(f"/explain/{method}", json=content)
    assert answer.status_code == status, answer.text
    assert says in answer.text
    assert str(place) not in answer.text
    assert len(pool.jobs.newest(200)) == before
