"""Bad requests against the real server: a 4xx that names the fault, and nothing outside the studies folder."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume

AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def nifti(array: np.ndarray, affine: np.ndarray = AFFINE) -> bytes:
    return gzip.compress(nib.Nifti1Image(array, affine).to_bytes())


def volume(shape=(40, 44, 36), value=1.0) -> np.ndarray:
    return np.full(shape, value, np.float32)


def with_nan() -> np.ndarray:
    array = volume()
    array[3, 3, 3] = np.nan
    return array


def evil_tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("../../../escaped.nii.gz")
        content = nifti(volume())
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


GOOD = nifti(volume())


@dataclass
class Bad:
    """One request and what its answer must be."""

    method: str
    path: str
    status: int
    says: str
    files: Any = None
    data: Any = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def image(path: str, status: int, says: str, content: bytes = GOOD, name: str = "x.nii.gz", **more: Any) -> Bad:
    return Bad("PUT", path, status, says, files={"file": (name, content)}, **more)


def label(path: str, status: int, says: str, content: bytes = GOOD, name: str = "x.nii.gz") -> Bad:
    return Bad("PUT", path, status, says, files={"label": (name, content)})


def session(status: int, says: str, content: bytes = GOOD, name: str = "x.nii.gz", query: str = "") -> Bad:
    return Bad("PUT", f"/session/{query}", status, says, files={"files": (name, content)})


def infer(path: str, status: int, says: str, params: str | None = None, **more: Any) -> Bad:
    return Bad("POST", path, status, says, data=None if params is None else {"params": params}, **more)


def outside_params(root: Path) -> str:
    return json.dumps({"image": str(root / "secret.nii.gz")})


CASES: dict[str, Bad | Callable[[Path], Bad]] = {
    # names
    "image id with ../": image("/datastore/image?image=../escaped", 422, "image id"),
    "image id with encoded ../": image("/datastore/image?image=..%2Fescaped", 422, "image id"),
    "image id that is absolute": image("/datastore/image?image=/tmp/escaped", 422, "image id"),
    "image id with a backslash": image("/datastore/image?image=..%5Cescaped", 400, "backslash"),
    "image id with NUL": image("/datastore/image?image=a%00b", 400, "control character"),
    "image id that is huge": image(f"/datastore/image?image={'a' * 5000}", 422, "image id"),
    "image id of dots": image("/datastore/image?image=..", 422, "image id"),
    "deprecated route, ../": image("/datastore/?image=../escaped", 422, "image id"),
    "file name with a path": image("/datastore/image", 422, "file name", name="../../escaped.nii.gz"),
    "file name without suffix": image("/datastore/image?image=n1", 422, "accepted are", name="escaped"),
    "file of another format": image("/datastore/image?image=n1", 422, "accepted are", name="x.py"),
    "label tag ../": label("/datastore/label?image=one&tag=../../escaped", 422, "tag"),
    "label tag absolute": label("/datastore/label?image=one&tag=/tmp/escaped", 422, "tag"),
    "label of an unknown image": label("/datastore/label?image=nobody", 404, "nobody"),
    "label of a path": label("/datastore/label?image=../one", 404, "../one"),
    "session id ..": Bad("GET", "/session/%2e%2e%2fmodels", 404, "no route"),
    "session id of dots": Bad("DELETE", "/session/..%2e", 404, "session"),
    "session unknown": Bad("GET", "/session/00000000-0000-0000-0000-000000000000", 404, "session"),
    "delete an unknown image": Bad("DELETE", "/datastore/image?id=../one", 404, "../one"),
    "delete an unknown label": Bad("DELETE", "/datastore/label?id=one&tag=nothing", 404, "nothing"),
    "download an unknown image": Bad("GET", "/datastore/image?image=/etc/passwd", 404, "/etc/passwd"),
    "download a label, tag ../": Bad("GET", "/datastore/label?label=one&tag=..", 422, "tag"),
    "info of an unknown image": Bad("GET", "/datastore/image/info?image=nobody", 404, "nobody"),
    "bad checksum": Bad("GET", "/datastore/dataset?limit_cases=-1", 422, "limit_cases"),
    # inference
    "infer: unknown model": infer("/infer/nothing?image=one", 404, "nothing"),
    "infer: model ../": infer("/infer/..%2ftiny?image=one", 404, "no route"),
    "infer: unknown image": infer("/infer/tiny?image=nobody", 404, "nobody"),
    "infer: absolute path": lambda root: infer(f"/infer/tiny?image={root / 'secret.nii.gz'}", 404, "secret.nii.gz"),
    "infer: path of an image in the store": lambda root: infer(
        f"/infer/tiny?image={root / 'studies' / 'one.nii.gz'}", 404, "one.nii.gz"
    ),
    "infer: relative path": infer("/infer/tiny?image=studies/one.nii.gz", 404, "studies/one.nii.gz"),
    "infer: params override the image": lambda root: infer(
        "/infer/tiny?image=one", 422, "must not hold image", outside_params(root)
    ),
    "infer: params override the model": infer("/infer/tiny?image=one", 422, "model", '{"model": "slow"}'),
    "infer: params name a session": infer("/infer/tiny?image=one", 422, "session", '{"session": {"image": "/etc"}}'),
    "infer: label tag ../": infer("/infer/tiny?image=one", 422, "tag", '{"save_label": true, "label_tag": "../x"}'),
    "infer: result of another format": infer("/infer/tiny?image=one", 422, ".sh", '{"result_extension": ".sh"}'),
    "infer: params no JSON": infer("/infer/tiny?image=one", 422, "no valid JSON", "{"),
    "infer: params a list": infer("/infer/tiny?image=one", 422, "JSON object", "[1]"),
    "infer: params nested deeply": infer("/infer/tiny?image=one", 422, "deeply", "[" * 100_000),
    "infer: params NaN": infer("/infer/tiny?image=one", 422, "NaN", '{"a": NaN}'),
    "infer: no image": infer("/infer/tiny", 422, "name the image"),
    "infer: unknown session": infer("/infer/tiny?session_id=abc", 404, "session"),
    "infer: bad output": infer("/infer/tiny?image=one&output=pdf", 422, "output"),
    "infer: DICOM output": infer("/infer/tiny?image=one&output=dicom_seg", 422, "dicom_seg"),
    "infer: a file beside": infer("/infer/tiny", 422, "PUT /session/", files={"file": ("x.nii.gz", GOOD)}),
    "infer: slides": Bad("POST", "/infer/wsi/tiny?image=/etc/passwd", 404, "no route"),
    "batch: unknown model": Bad("POST", "/batch/infer/nothing", 404, "nothing"),
    "batch: images by path": Bad("POST", "/batch/infer/tiny", 422, "images", body={"images": ["/etc/passwd"]}),
    # contents
    "image: truncated": image("/datastore/image?image=n2", 422, "x.nii.gz", GOOD[: len(GOOD) // 2]),
    "image: empty": image("/datastore/image?image=n2", 422, "x.nii.gz", b""),
    "image: text": image("/datastore/image?image=n2", 422, "x.nrrd", b"hello", "x.nrrd"),
    "image: 4-D": image("/datastore/image?image=n2", 422, "(8, 8, 8, 3)", nifti(volume((8, 8, 8, 3)))),
    "image: 2-D": image("/datastore/image?image=n2", 422, "3D", nifti(volume((8, 8)))),
    "image: NaN": image("/datastore/image?image=n2", 422, "NaN", nifti(with_nan())),
    "image: too large": image("/datastore/image?image=n2", 413, "bytes", bytes(5 * 1024**2)),
    "image: params no JSON": image("/datastore/image?image=n2", 422, "JSON", data={"params": "{"}),
    "image: reserved params": image("/datastore/image?image=n2", 422, "strategy", data={"params": '{"strategy": 3}'}),
    "label: another shape": label("/datastore/label?image=one", 422, "(8, 8, 8)", nifti(volume((8, 8, 8)))),
    "label: another place": label(
        "/datastore/label?image=one", 422, "affine", nifti(volume(), np.diag([2.0, 2.0, 3.0, 1.0]))
    ),
    "label: fractions": label("/datastore/label?image=one", 422, "whole numbers", nifti(volume(value=0.5))),
    "label: truncated": label("/datastore/label?image=one", 422, "x.nii.gz", GOOD[:100]),
    "session: truncated": session(422, "x.nii.gz", GOOD[:100]),
    "session: 4-D": session(422, "(8, 8, 8, 3)", nifti(volume((8, 8, 8, 3)))),
    "session: archive": session(422, "uncompress", evil_tar(), "x.tar", "?uncompress=true"),
    "session: archive without uncompress": session(422, "accepted are", evil_tar(), "x.tar"),
    "session: file name with a path": session(422, "file name", GOOD, "../../escaped.nii.gz"),
    "session: no file": Bad("PUT", "/session/", 422, "files"),
    # other tasks
    "train: unknown": Bad("POST", "/train/nothing", 404, "nothing"),
    "train: bad parameter": Bad("POST", "/train/fast", 422, "steps", body={"steps": -1}),
    "train: unknown parameter": Bad("POST", "/train/fast", 422, "colour", body={"colour": 1}),
    "train: name with ../": Bad("POST", "/train/fast", 422, "name", body={"name": "../escaped"}),
    "train: no reviews": Bad("POST", "/train/classifier", 409, "review"),
    "train: labels beside the reviews": Bad("POST", "/train/classifier", 422, "targets", body={"targets": "a,b"}),
    "train: in the server": Bad("POST", "/train/fast?run_sync=true", 422, "run_sync"),
    "train: python path": Bad("POST", "/train/fast", 422, "bundle_path", body={"bundle_path": "/tmp"}),
    "train: body a list": Bad("POST", "/train/fast", 422, "dictionary", body=[1]),
    "train: body no JSON": Bad(
        "POST", "/train/fast", 400, "JSON", data="{", headers={"Content-Type": "application/json"}
    ),
    "scoring: unknown": Bad("POST", "/scoring/nothing", 404, "nothing"),
    "scoring: tag ../": Bad("POST", "/scoring/agreement", 422, "tag", body={"y": "../x"}),
    "next sample: unknown": Bad("POST", "/activelearning/nothing", 404, "nothing"),
    "next sample: unknown model": Bad("POST", "/activelearning/uncertainty", 404, "nobody", body={"model": "nobody"}),
    "next sample: strategy in the body": Bad("POST", "/activelearning/random", 422, "strategy", body={"strategy": {}}),
    "model upload": Bad("PUT", "/model/tiny", 409, "slicerxai train", files={"file": ("x.pt", b"x")}),
    "model deletion": Bad("DELETE", "/model/tiny", 409, "slicerxai train"),
    "reload": Bad("POST", "/reload", 404, "no route"),
    "DICOM proxy": Bad("GET", "/proxy/dicom/wado/x", 404, "no route"),
    "GPU of a machine without": Bad("GET", "/logs/gpu", 404, "GPU"),
    "unknown route": Bad("GET", "/nothing", 404, "no route"),
    "wrong method": Bad("PATCH", "/info/", 405, "PATCH"),
    # senders
    "page of another origin": Bad("GET", "/info/", 403, "evil.example", headers={"Origin": "https://evil.example"}),
    "page without origin": Bad("GET", "/info/", 403, "null", headers={"Origin": "null"}),
    "host name of another site": Bad("GET", "/info/", 403, "evil.example", headers={"Host": "evil.example"}),
}


def listing(folder: Path) -> dict[str, int]:
    """Every file, with its size, that a request may not change; job list, logs and key are the server's own."""
    own = ("home/audit/", "home/jobs", "home/monailabel_app/logs", "home/pseudonym.key", "stderr", "stdout")
    own += ("studies/datastore_v2.json", "studies/.lock")
    return {
        relative: path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not (relative := path.relative_to(folder).as_posix()).startswith(own)
    }


@pytest.fixture(scope="module")
def confined(server):
    write_volume(server.root / "secret.nii.gz", Volume(volume(), AFFINE))
    before, neighbours = listing(server.root), sorted(server.root.parent.iterdir())
    temporary = sorted(Path("/tmp").glob("*escaped*"))
    yield server
    assert listing(server.root) == before
    assert sorted(server.root.parent.iterdir()) == neighbours
    assert sorted(Path("/tmp").glob("*escaped*")) == temporary


@pytest.mark.parametrize("name", CASES)
def test_bad_request(confined, name):
    case = CASES[name]
    bad = case(confined.root) if callable(case) else case
    if name.startswith("GPU"):
        import shutil

        if shutil.which("nvidia-smi"):
            pytest.skip("this machine has a GPU")
    response = confined.request(
        bad.method, bad.path, files=bad.files, data=bad.data, json=bad.body, headers=bad.headers
    )
    assert response.status_code == bad.status, response.text
    problem = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["status"] == bad.status
    assert bad.says in problem["detail"], problem["detail"]
    assert "Traceback" not in response.text
    assert str(confined.root / "home") not in response.text


def test_a_body_without_announced_size_is_counted(confined):
    def chunks():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="x.nii"\r\n\r\n'
        for _ in range(6):
            yield bytes(1024**2)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    response = confined.request("PUT", "/datastore/image?image=n3", data=chunks(), headers=headers)
    assert response.status_code == 413
    assert "bytes" in response.json()["detail"]


def test_an_image_with_labels_is_not_replaced(confined):
    folder = confined.studies / "labels" / "final"
    image, label = folder.parent.parent / "kept.nii.gz", folder / "kept.nii.gz"
    content = GOOD
    try:
        put = confined.request("PUT", "/datastore/image?image=kept", files={"file": ("k.nii.gz", content)})
        assert put.status_code == 200, put.text
        put = confined.request("PUT", "/datastore/label?image=kept", files={"label": ("k.nii.gz", content)})
        assert put.status_code == 200, put.text
        again = confined.request("PUT", "/datastore/image?image=kept", files={"file": ("k.nii.gz", content)})
        assert again.status_code == 409
        assert "labels" in again.json()["detail"]
    finally:
        deleted = confined.request("DELETE", "/datastore/image?id=kept")
    assert deleted.status_code == 200
    assert not image.exists()
    assert not label.exists()


def test_no_page_may_read_across_origins(confined):
    response = confined.request("GET", "/info/", headers={"Origin": confined.url})
    assert response.status_code == 200
    assert "access-control-allow-origin" not in response.headers
