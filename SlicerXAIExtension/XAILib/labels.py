"""Writing a label of an image to a server's datastore. For any thread."""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from threading import Event

from .client import Client
from .upload import Upload

FINAL = "final"
"""Tag of a label that a person has approved; labels of other tags are drafts."""


def submit_label(client: Client, image: str, path: Path, stop: Event | None = None, tag: str = FINAL) -> str:
    """Write a label map to the server as the label of an image, in place of an earlier one; returns its id.

    Args:
        image: id in the server's datastore.
        path: NIfTI or NRRD on the grid of the image; whole numbers, 0 for none.

    Raises:
        ServerError: in words, such as that the grid is another one. Stopped.
    """
    body = Upload([path], field="label")
    query = urllib.parse.urlencode({"image": image, "tag": tag})
    answer = client.ask(
        "PUT",
        f"/datastore/label?{query}",
        data=body,
        headers={"Content-Type": body.content_type},
        stop=stop,
        transfer=True,
    ).json()
    identifier = answer.get("label") if isinstance(answer, dict) else None
    if not isinstance(identifier, str):
        raise client.not_understood()
    return identifier
