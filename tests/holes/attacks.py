"""What is tried on both servers: each attack sends its requests and says whether it got through."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import tarfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np
import requests

from tests.support.server import Server
from tests.support.small_studies import AFFINE, SHAPE, image

SECRET = "secret.nii.gz"
GOOD = gzip.compress(nib.Nifti1Image(image().array, AFFINE).to_bytes())
EVIL = "https://evil.example"


@dataclass(frozen=True)
class Tried:
    """How an attack ended.

    Attributes:
        through: it had its effect.
        response: to the request that should have been refused.
    """

    through: bool
    response: requests.Response


Attack = Callable[[Server], Tried]


def put_image(server: Server, query: str, content: bytes = GOOD, name: str = "x.nii.gz") -> requests.Response:
    return server.request("PUT", f"/datastore/image{query}", files={"file": (name, content)})


def put_label(server: Server, query: str, content: bytes = GOOD, name: str = "x.nii.gz") -> requests.Response:
    return server.request("PUT", f"/datastore/label{query}", files={"label": (name, content)})


def infer(server: Server, query: str, **params: Any) -> requests.Response:
    return server.request("POST", f"/infer/segmentation{query}", data={"params": json.dumps(params)})


# files outside of the studies


def image_id_with_a_path(server: Server) -> Tried:
    response = put_image(server, "?image=../escaped")
    return Tried((server.root / "escaped.nii.gz").exists(), response)


def label_tag_with_a_path(server: Server) -> Tried:
    response = put_label(server, "?image=one&tag=../../escaped-tag")
    return Tried((server.root / "escaped-tag" / "one.nii.gz").exists(), response)


def absolute_image(server: Server) -> Tried:
    response = infer(server, f"?image={server.root / SECRET}")
    return Tried(response.ok, response)


def params_override_the_image(server: Server) -> Tried:
    response = infer(server, "?image=one", image=str(server.root / SECRET))
    return Tried(response.ok, response)


def tar_that_unpacks_anywhere(server: Server) -> Tried:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("../../escaped-tar.nii.gz")
        member.size = len(GOOD)
        archive.addfile(member, io.BytesIO(GOOD))
    files = {"files": ("x.tar", buffer.getvalue())}
    response = server.request("PUT", "/session/?uncompress=true", files=files)
    return Tried((server.root / "escaped-tar.nii.gz").exists(), response)


def link_out_of_the_studies(server: Server) -> Tried:
    response = server.request("GET", "/datastore/image?image=link")
    return Tried(response.content == (server.root / SECRET).read_bytes(), response)


def label_that_is_a_link_out(server: Server) -> Tried:
    response = server.request("GET", "/datastore/label?label=link&tag=final")
    return Tried(response.content == (server.root / SECRET).read_bytes(), response)


def label_written_through_a_link(server: Server) -> Tried:
    outside = server.root / "elsewhere"
    outside.mkdir()
    (server.studies / "labels" / "through").symlink_to(outside)
    response = put_label(server, "?image=one&tag=through", labelmap())
    return Tried(any(outside.iterdir()), response)


def header_that_names_another_file(server: Server) -> Tried:
    """NRRD may keep its voxels in a file that its header names: here one that belongs to nobody's studies."""
    raw = server.root / "private.raw"
    raw.write_bytes(np.arange(np.prod(SHAPE), dtype="<i2").tobytes())
    response = put_image(server, "?image=detached", nrrd(f"encoding: raw\ndata file: {raw}"), "x.nrrd")
    return Tried(response.ok and infer(server, "?image=detached").ok, response)


# content


def label_that_is_no_volume(server: Server) -> Tried:
    response = put_label(server, "?image=one&tag=text", b"no volume")
    return Tried((server.studies / "labels" / "text" / "one.nii.gz").exists(), response)


def image_that_is_a_page(server: Server) -> Tried:
    response = put_image(server, "?image=page", b"<script>alert(1)</script>", "x.html")
    return Tried((server.studies / "page.html").exists(), response)


def image_with_huge_dimensions(server: Server) -> Tried:
    response = put_image(server, "?image=huge", huge_nifti(), "x.nii")
    return Tried(response.ok, response)


def packed_image_that_unpacks_to_20_gb(server: Server) -> Tried:
    """A header that announces the 20 GB, and the first megabytes of them in some kB, as any prefix would do."""
    response = put_image(server, "?image=bomb", gzip.compress(huge_nifti((2048, 2048, 1200)) + bytes(2**24)))
    return Tried(response.ok, response)


def packed_voxels_beyond_the_header(server: Server) -> Tried:
    """NRRD whose bzip2 data unpack to 400 times what its header announces."""
    data = bz2.compress(bytes(400 * 2 * int(np.prod(SHAPE))))
    response = put_image(server, "?image=packed", nrrd("encoding: bzip2", data), "x.nrrd")
    return Tried(response.ok, response)


def body_without_limit(server: Server) -> Tried:
    content = gzip.compress(np.random.default_rng(0).bytes(5 * 1024**2), compresslevel=0)
    response = put_image(server, "?image=large", content)
    return Tried(response.ok, response)


# models


def model_uploaded(server: Server) -> Tried:
    """TorchScript that makes a file wherever it likes, run by the next inference."""
    import torch

    class Writer(torch.nn.Module):
        def __init__(self, path: str) -> None:
            super().__init__()
            self.path = path

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            written = torch.from_file(self.path, True, 4, dtype=torch.float32)
            return torch.cat([x, x + written.sum()], dim=1)

    target, buffer = server.root / "made-by-a-model", io.BytesIO()
    torch.jit.save(torch.jit.script(Writer(str(target))), buffer)
    response = server.request("PUT", "/model/slow", files={"file": ("x.ts", buffer.getvalue())})
    server.request("POST", "/infer/slow?image=one", data={"params": "{}"})
    return Tried(target.exists(), response)


def model_deleted(server: Server) -> Tried:
    response = server.request("DELETE", "/model/slow")
    return Tried("slow" not in server.request("GET", "/info/").json()["models"], response)


# who may ask


def reload_without_a_token(server: Server) -> Tried:
    response = server.request("POST", "/reload")
    return Tried(response.ok, response)


def page_of_another_origin(server: Server) -> Tried:
    response = server.request("GET", "/info/", headers={"Origin": EVIL})
    allowed = response.headers.get("access-control-allow-origin") in {EVIL, "*"}
    return Tried(allowed and response.headers.get("access-control-allow-credentials") == "true", response)


def rebound_host_name(server: Server) -> Tried:
    response = server.request("GET", "/info/", headers={"Host": "evil.example"})
    return Tried(response.ok, response)


def labels_lost_by_a_second_upload(server: Server) -> Tried:
    response = put_image(server, "?image=labelled")
    everything = server.request("GET", "/datastore/?output=all").json()
    return Tried(not everything["objects"]["labelled"]["labels"], response)


# what is told


def log_with_paths(server: Server) -> Tried:
    response = server.request("GET", "/logs/?lines=100000&html=false")
    return Tried(str(server.root) in response.text, response)


def image_information_with_a_path(server: Server) -> Tried:
    response = server.request("GET", "/datastore/image/info?image=one")
    return Tried(str(server.root) in response.text, response)


def session_information_with_a_path(server: Server) -> Tried:
    response = server.request("PUT", "/session/", files={"files": ("x.nii.gz", GOOD)})
    return Tried(str(server.root) in response.text, response)


def next_sample_with_a_path(server: Server) -> Tried:
    response = server.request("POST", "/activelearning/random", json={})
    return Tried(str(server.root) in response.text, response)


# faults


def unknown_model(server: Server) -> Tried:
    response = server.request("POST", "/infer/nothing?image=one", data={"params": "{}"})
    return Tried(response.status_code == 500, response)


def unknown_image(server: Server) -> Tried:
    response = infer(server, "?image=nobody")
    return Tried(response.status_code == 500, response)


def parameters_that_are_no_json(server: Server) -> Tried:
    response = server.request("POST", "/infer/segmentation?image=one", data={"params": "{"})
    return Tried(response.status_code == 500, response)


def inference_that_freezes_the_server(server: Server) -> Tried:
    """Whether a route that costs nothing is answered only after an inference that began before it."""
    infer(server, "?image=one")  # libraries are loaded
    with ThreadPoolExecutor(1) as other:
        inference = other.submit(server.request, "POST", "/infer/slow?image=big", data={"params": "{}"})
        time.sleep(0.2)
        assert not inference.done(), "the inference is too short to tell"
        response = server.request("GET", "/explain/jobs" if server.home.exists() else "/session/nothing")
        return Tried(inference.done(), response)


# what is closed below MONAI Label by now, in both


def zip_that_unpacks_anywhere(server: Server) -> Tried:
    """Python's own unpacking skips such members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../escaped-zip.nii.gz", GOOD)
    files = {"files": ("x.zip", buffer.getvalue())}
    response = server.request("PUT", "/session/?uncompress=true", files=files)
    return Tried((server.root / "escaped-zip.nii.gz").exists(), response)


def session_file_with_a_path(server: Server) -> Tried:
    response = upload_named(server, "../../../escaped-session.nii.gz")
    return Tried(any(path.parent == server.root for path in server.root.rglob("escaped-session*")), response)


def file_name_that_ends_a_header(server: Server) -> Tried:
    """Starlette quotes the names of downloads."""
    response = upload_named(server, 'x";%0D%0AX-Evil: 1;.nii.gz')
    if not response.ok:
        return Tried(False, response)
    session = response.json()["session_id"]
    download = server.request("GET", f"/session/{session}?image=true")
    return Tried("x-evil" in download.headers, response)


def upload_named(server: Server, name: str) -> requests.Response:
    """An upload to a session under a file name that no client would write."""
    head = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = head.encode() + GOOD + b"\r\n--b--\r\n"
    return server.request("PUT", "/session/", data=body, headers={"Content-Type": "multipart/form-data; boundary=b"})


# made things


def labelmap() -> bytes:
    return gzip.compress(nib.Nifti1Image(np.ones(SHAPE, np.uint8), AFFINE).to_bytes())


def huge_nifti(shape: tuple[int, int, int] = (20000, 20000, 20000)) -> bytes:
    """A header that announces so many float32, and none of them."""
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.float32)
    header.set_sform(AFFINE, code="scanner")
    header["magic"], header["vox_offset"] = b"n+1", 352
    return bytes(header.binaryblock) + bytes(4)


def nrrd(more: str, data: bytes = b"") -> bytes:
    """A header of `SHAPE` int16 voxels of 2 mm with more lines, and data behind it."""
    sizes = " ".join(map(str, SHAPE))
    lines = [
        *("NRRD0005", "type: short", "dimension: 3", "space: left-posterior-superior", f"sizes: {sizes}"),
        *("space directions: (2,0,0) (0,2,0) (0,0,2)", "kinds: domain domain domain", "endian: little"),
        *("space origin: (0,0,0)", more, "", ""),
    ]
    return "\n".join(lines).encode() + data
