"""The routes of the worklist as functions: scoring, decisions, and the images themselves. For any thread."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from threading import Event
from typing import Any

from .client import Client, OnProgress
from .connection import Received, megabytes, quoted
from .document import restored
from .errors import ServerError
from .i18n import tr as _
from .nifti import decode_image
from .nrrd import Volume
from .worklist import Item, Worklist, item_of, worklist_of

ROUTE = "/explain/worklist"
METHOD = "quality"
"""The method of explanation and of scoring."""
OUTDATED = _("{} Press “Refresh” and score the images again: a decision holds for one version of a model.")


def fetch_worklist(client: Client, model: str, stop: Event | None = None) -> Worklist:
    """The images of the server under a model. Raises `ServerError`, `Stopped`."""
    answer = client.ask("GET", f"{ROUTE}?{_model(model)}", stop=stop, transfer=True)
    try:
        return worklist_of(restored(answer.json()))
    except ValueError:
        raise client.not_understood() from None


def start_scoring(client: Client, model: str) -> None:
    """Let the server score all images under a model; returns at once. Raises `ServerError`."""
    client.ask("POST", f"/scoring/{METHOD}", json={"model": model})


def stop_scoring(client: Client) -> None:
    """Stop the scoring of the server; scores that it has stay. Raises `ServerError`."""
    client.ask("DELETE", "/scoring/")


def decide(
    client: Client,
    worklist: Worklist,
    image: str,
    decision: str,
    labels: Mapping[str, bool] | None,
    comment: str,
) -> Item:
    """Write what a reader decided, and return the image's item.

    Args:
        decision: one of `worklist.DECISIONS`.
        labels: every class, when they were corrected.

    Raises:
        ServerError: with status 409 when the model is not the worklist's any more.
    """
    body: dict[str, Any] = {
        "model": worklist.model,
        "digest": worklist.digest,
        "decision": decision,
        "comment": comment,
    }
    if labels is not None:
        body["labels"] = dict(labels)
    try:
        answer = client.ask("PUT", f"{ROUTE}/{quoted(image)}", json=body)
    except ServerError as error:
        if error.status == 409:
            raise ServerError(OUTDATED.format(error.message), error.kind, 409) from error
        raise
    return _item(client, answer.json())


def undo(client: Client, model: str, image: str) -> Item:
    """Take back the decision on an image, and return its item. Raises `ServerError`."""
    return _item(client, client.ask("DELETE", f"{ROUTE}/{quoted(image)}?{_model(model)}").json())


def fetch_image(
    client: Client, image: str, stop: Event | None = None, progress: OnProgress | None = None
) -> Volume | None:
    """An image of the server's datastore; None when its file is of a kind that only the server can read.

    Raises:
        ServerError, Stopped: it cannot be fetched.
        ValueError: it is damaged.
    """
    received = Received()

    def watch() -> None:
        if progress is not None and received.total:
            progress(
                min(1.0, received.size / received.total),
                _("Fetching the image ({total})").format(total=megabytes(received.total)),
                None,
            )

    route = f"/datastore/image?{urllib.parse.urlencode({'image': image})}"
    answer = client.ask("GET", route, stop=stop, transfer=True, watch=watch, received=received)
    return decode_image(answer.body)


def _item(client: Client, document: Any) -> Item:
    try:
        return item_of(restored(document))
    except ValueError:
        raise client.not_understood() from None


def _model(model: str) -> str:
    return urllib.parse.urlencode({"model": model})
