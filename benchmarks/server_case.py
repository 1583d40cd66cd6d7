"""A server over one image, ours or stock MONAI Label's, for the benchmarks that compare the two."""

from __future__ import annotations

import gzip
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from benchmarks.server_load import head
from benchmarks.server_load_clients import NIFTI_HEADER_BYTES
from benchmarks.server_load_large import store_network
from slicerxai.data.io import write_volume
from tests.support.server import Server

IMAGE = "image"
PATIENCE_SECONDS = 900.0


@contextmanager
def running(
    kind: Callable[..., Server], model: str, network: Mapping[str, Any], settings: Mapping[str, str]
) -> Iterator[Server]:
    """A server that has started.

    Args:
        kind: of the server; stock MONAI Label brings its own network.
        model, network: name and size of ours, which is not trained.
        settings: environment variables.
    """
    with tempfile.TemporaryDirectory(prefix="server-case-") as folder:
        server = kind(Path(folder), **settings)
        if kind is Server:
            store_network(server, model, **network)
        write_volume(server.studies / f"{IMAGE}.nii.gz", head(0))
        server.start()
        try:
            yield server
        finally:
            with suppress(ProcessLookupError):
                os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()


def segmented(server: Server, model: str) -> bytes:
    """Voxels of the image's segmentation."""
    query = {"image": IMAGE, "output": "image"}
    answer = requests.post(f"{server.url}/infer/{model}", params=query, timeout=PATIENCE_SECONDS)
    answer.raise_for_status()
    content = answer.content
    return (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)[NIFTI_HEADER_BYTES:]
