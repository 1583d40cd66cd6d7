"""Clients that go away in the middle, and clients that write to the studies while something breaks."""

from __future__ import annotations

import io
import json
import socket
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.server_faults_site import Cell, Site, filled, is_whole, told
from slicerxai.data.io import write_volume
from slicerxai.data.volume import Volume
from tests.support.small_studies import AFFINE, SHAPE

LEFT_BYTES = 8192
"""Of a label of about 14 kB, so that writing it stops halfway."""


def leave_everywhere(site: Site) -> None:
    """Leave while an image is sent, while a result is waited for, and while a result comes."""
    content = (site.studies / "one.nii.gz").read_bytes()
    body = _form("file", "left.nii.gz", content)
    head = "Content-Type: multipart/form-data; boundary=part\r\n"
    for sent in (0, len(body) // 2, len(body) - 1):
        _leave(site, "PUT", "/datastore/?image=left", head, body, sent)
        _leave(site, "PUT", "/session/", head, body, sent)
    request = json.dumps({"image": "two", "parameters": {"method": "integrated_gradients", "steps": 300}}).encode()
    _leave(site, "POST", "/explain/saliency?wait=true", "Content-Type: application/json\r\n", request, len(request))
    for job_id in list(site.done)[:1]:
        _leave(site, "GET", f"/explain/jobs/{job_id}/result", "", b"", 0)


def labels_on_a_full_disk(site: Site) -> Cell:
    """A label in the place of another, and a new image, when the disk of the studies has no space for them."""
    old, new = _labelmap(1), _labelmap(2)
    assert site.ask("PUT", "/datastore/label?image=one&tag=final", 60, files={"label": ("l.nii", old)}).ok  # type: ignore[union-attr]
    with filled(site.studies, LEFT_BYTES):
        answered = site.answers()
        label = site.ask("PUT", "/datastore/label?image=one&tag=final", 60, files={"label": ("l.nii", new)})
        image = site.ask("PUT", "/datastore/?image=new", 60, files={"file": ("new.nii", new)})
        ready = site.ask("GET", "/health/ready")
    kept = site.ask("GET", "/datastore/label?label=one&tag=final", 60)
    assert kept is not None
    images = site.ask("GET", "/datastore/?output=all", 60)
    assert images is not None
    same = kept.content == old
    listed = "new" in images.json()["objects"]
    again = site.ask("PUT", "/datastore/label?image=one&tag=final", 60, files={"label": ("l.nii", new)})
    now = site.ask("GET", "/datastore/label?label=one&tag=final", 60)
    assert now is not None
    said = f"label {told(label)}; image {told(image)}; readiness {told(ready)}"
    then = "the old label is whole, the new image is not listed" if same and not listed else "the old label is LOST"
    taken = again is not None and again.ok and now.content == new
    return Cell(
        "label and image on a full disk",
        "during",
        answered,
        said,
        then + ("; sent again, it is taken" if taken else "; sent again, it FAILS"),
        int(not same),
        site.corrupt(),
    )


def labels_while_the_server_is_killed(site: Site, kills: int) -> Cell:
    """The server killed while it takes labels one after the other, several times at another moment."""
    import threading
    import time

    contents = [_labelmap(seed) for seed in (1, 2)]
    broken, answered, serves = 0, 0.0, 0.0
    for kill in range(kills):
        stop = threading.Event()

        def send(stop: threading.Event = stop) -> None:
            number = 0
            while not stop.is_set():
                number += 1
                label = {"label": ("l.nii", contents[number % 2])}
                site.ask("PUT", "/datastore/label?image=one&tag=final", 10, files=label)

        sender = threading.Thread(target=send)
        sender.start()
        time.sleep(0.6 + 0.07 * kill)
        site.server.kill()
        stop.set()
        sender.join()
        broken += len(site.corrupt())
        site.server.start()
        answered = max(answered, site.server.answered_after or 0.0)
        serves = max(serves, site.server.ready_after)
        kept = site.ask("GET", "/datastore/label?label=one&tag=final", 60)
        broken += kept is None or kept.content not in contents
    return Cell(
        "server killed while labels are written",
        "during",
        answered,
        f"killed {kills} times; the slowest restart is given",
        "the label is one of those that were sent" if not broken else f"{broken} files BROKEN",
        corrupt=site.corrupt(),
        serves=serves,
    )


def _labelmap(seed: int) -> bytes:
    """The file of a labelmap on the grid of the small studies, not compressed."""
    array = np.random.default_rng(seed).integers(0, 2, SHAPE).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "label.nii"
        write_volume(path, Volume(array, AFFINE))
        assert is_whole(path)
        return path.read_bytes()


def _form(field: str, filename: str, content: bytes) -> bytes:
    body = io.BytesIO()
    body.write(f'--part\r\nContent-Disposition: form-data; name="{field}"; filename="{filename}"\r\n\r\n'.encode())
    body.write(content + b"\r\n--part--\r\n")
    return body.getvalue()


def _leave(site: Site, method: str, path: str, headers: str, body: bytes, sent: int) -> None:
    """Send so many bytes of the body, read nothing or a little, and go."""
    with socket.create_connection(("127.0.0.1", site.server.port), timeout=10) as connection:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{site.server.port}\r\n{headers}"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:sent])
        if method == "GET":
            connection.recv(256)
