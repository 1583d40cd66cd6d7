"""What is done on a server while the panel stays usable. Touches neither MRML nor Qt: it runs in a thread."""

from __future__ import annotations

from threading import Event

from slicer.i18n import tr as _
from XAILib.client import Client, OnProgress
from XAILib.document import damaged
from XAILib.review import METHOD, fetch_image
from XAILib.run import run_explanation
from XAIPanels.errors import LoadError

from .prepared import Image, Prepared, image_of, prepare


def fetch(client: Client, image: str, stop: Event, progress: OnProgress) -> Image | None:
    """An image of the server; None when only the server can read its file.

    Raises:
        LoadError: its file is damaged.
        ServerError, Stopped: as `fetch_image`.
    """
    progress(0.0, _("Fetching the image"), None)
    try:
        volume = fetch_image(client, image, stop, progress)
    except ValueError as error:
        msg = _("The image “{image}” of the server cannot be read: {error}.").format(image=image, error=error)
        raise LoadError(msg) from error
    return None if volume is None else image_of(volume)


def explain(client: Client, image: str, model: str, stop: Event, progress: OnProgress) -> Prepared:
    """The maps of an image, ready for the scene; the server computes them once. Raises as `run_explanation`."""
    result = run_explanation(client, METHOD, {"image": image}, model, {}, stop, progress)
    if "classes" not in result.tables and "lesions" not in result.tables:
        raise damaged(_("it has neither a table of classes nor one of lesions"))
    progress(1.0, _("Loading the maps"), None)
    return prepare(result)
