"""The images that clients may name: ids of the datastore and uploaded sessions, never paths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slicerxai.data.io import READABLE, stem_of, suffix_of
from slicerxai.errors import InputError, NotFoundError
from slicerxai.server.monailabel.image_files import channel_paths, image_path
from slicerxai.server.schemas import ExplainRequest

ID = re.compile(r"(?!\.)(?!.*\.\.)[^/\\\x00-\x1f\x7f\ud800-\udfff]{1,200}")
"""Names of images and cohorts: no path, nothing hidden, no control character, nothing that UTF-8 cannot hold."""
SUBMITTED = "final"
"""MONAI Label's tag of the labels that annotators have submitted."""
_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


@dataclass(frozen=True)
class Sources:
    """MONAI Label's datastore and sessions, each confined to its folder.

    Attributes:
        datastore, sessions: MONAI Label's own; `sessions` is None when they are switched off.
        images_root, sessions_root: folders outside of which no image is read, wherever a link points.
    """

    datastore: Any
    images_root: Path
    sessions: Any = None
    sessions_root: Path | None = None

    def resolve(self, request: ExplainRequest, channels: Sequence[str]) -> tuple[str, dict[str, Path]]:
        """What a request names: an id for display, and the file of each channel of the model.

        Raises:
            InputError: a malformed id, modalities other than the model's, a file outside its folder.
            NotFoundError: no such image or session.
        """
        if request.session is not None:
            return request.session, self._of_session(request.session, channels)
        if request.images is not None:
            return self._of_images(request.images, channels)
        image = checked(request.image or "", ID, "image id")
        paths = channel_paths(self.datastore, image, tuple(channels))
        return image, {channel: _confined(path, self.images_root, image) for channel, path in paths.items()}

    def mask(self, request: ExplainRequest, channels: Sequence[str]) -> Path | None:
        """File of the label that was submitted for the image of a request (the first channel's); None without one.

        Raises `InputError` when it lies outside the images' folder.
        """
        image = request.image if request.images is None else request.images.get(channels[0])
        if image is None:
            return None
        found = self.datastore.get_label_uri(image, SUBMITTED)
        return _confined(Path(found), self.images_root, image) if found else None

    def sequence(self, request: ExplainRequest) -> tuple[Path, ...]:
        """Files of the images of a request's sequence. Raises as `resolve`."""
        found = []
        for name in request.sequence or ():
            image = checked(name, ID, "image id")
            found.append(_confined(image_path(self.datastore, image), self.images_root, image))
        return tuple(found)

    def _of_images(self, images: Mapping[str, str], channels: Sequence[str]) -> tuple[str, dict[str, Path]]:
        if set(images) != set(channels):
            msg = f"the model needs images of {', '.join(channels)}, got {', '.join(map(repr, images)) or 'none'}"
            raise InputError(msg, accepted=channels)
        paths = {}
        for channel in channels:
            image = checked(images[channel], ID, "image id")
            paths[channel] = _confined(image_path(self.datastore, image), self.images_root, image)
        return images[channels[0]], paths

    def _of_session(self, session_id: str, channels: Sequence[str]) -> dict[str, Path]:
        checked(session_id, _SESSION_ID, "session id")
        session = None if self.sessions is None else self.sessions.get_session(session_id)
        if session is None or self.sessions_root is None:
            msg = f"no session {session_id!r}; upload the image with PUT /session/"
            raise NotFoundError(msg)
        image = _confined(Path(session.image), self.sessions_root / session_id, session_id)
        if not image.is_dir():
            if len(channels) > 1:
                msg = f"the model needs {', '.join(channels)}; upload one file of each, named after it"
                raise InputError(msg, accepted=channels)
            return {channels[0]: image}
        files = {stem_of(path).upper(): path for path in sorted(image.iterdir()) if suffix_of(path) in READABLE}
        if set(files) != set(channels):
            msg = (
                f"the session holds {', '.join(files) or 'no image'}; the model needs files named {', '.join(channels)}"
            )
            raise InputError(msg, accepted=channels)
        return {channel: _confined(files[channel], image, session_id) for channel in channels}


def monai_label_sources() -> Sources:
    """The sources of the running MONAI Label app."""
    from monailabel.interfaces.utils.app import app_instance

    return sources_of(app_instance())


def sources_of(app: Any, datastore: Any = None) -> Sources:
    """The sources of a MONAI Label app, with its own datastore by default."""
    datastore, sessions = datastore or app.datastore(), app.sessions()
    root = getattr(datastore, "_datastore_path", app.studies)  # the cache of a DICOMweb datastore lies elsewhere
    sessions_root = None if sessions is None else Path(sessions.store_path)
    return Sources(datastore, Path(root), sessions, sessions_root)


def checked(value: str, pattern: re.Pattern[str], what: str) -> str:
    """The value when it matches. Raises `InputError` that says what kind of name is accepted."""
    if not pattern.fullmatch(value):
        shown = repr(value if len(value) <= 60 else value[:57] + "...")
        msg = f"bad {what} {shown}; an id is accepted, never a path"
        raise InputError(msg)
    return value


def _confined(path: Path, root: Path, name: str) -> Path:
    """The path with links followed. Raises `InputError` when it leaves the folder, `NotFoundError` without a file."""
    real, folder = path.resolve(), root.resolve()
    if not real.is_relative_to(folder):
        msg = f"{name!r} lies outside the folder of the images, which is not accepted"
        raise InputError(msg)
    if not real.exists():
        msg = f"the file of {name!r} is gone"
        raise NotFoundError(msg)
    return real
