"""What this server keeps of an image that lies on a DICOMweb server: its information, and its labels as files."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock
from pydantic import BaseModel, Field

from slicerxai.data.files import replaced_text
from slicerxai.errors import NotFoundError


class LabelState(BaseModel):
    """One label of an image."""

    ext: str
    info: dict[str, Any] = Field(default_factory=dict)


class ImageState(BaseModel):
    """What clients said of an image, and its labels by tag."""

    info: dict[str, Any] = Field(default_factory=dict)
    labels: dict[str, LabelState] = Field(default_factory=dict)


class DicomState:
    """Files below one folder: `objects/IMAGE.json` and `labels/TAG/IMAGE.EXT`. Several processes may use it.

    Each image has a file of its own, replaced whole under a lock, so that no process loses what another has written.
    """

    def __init__(self, root: Path) -> None:
        self._objects, self._labels = root / "objects", root / "labels"
        self._objects.mkdir(parents=True, exist_ok=True)
        self._labels.mkdir(parents=True, exist_ok=True)

    def of(self, image: str) -> ImageState:
        """The state of an image; empty where nothing was said of it. Raises `ValueError` when its file is damaged."""
        try:
            return ImageState.model_validate_json((self._objects / f"{image}.json").read_bytes())
        except FileNotFoundError:
            return ImageState()

    def known(self) -> set[str]:
        """Images of which something was said."""
        return {path.stem for path in self._objects.glob("*.json")}

    @contextmanager
    def changed(self, image: str) -> Iterator[ImageState]:
        """The state, to be changed; written at the end."""
        file = self._objects / f"{image}.json"
        with FileLock(file.with_suffix(".lock")):
            state = self.of(image)
            yield state
            replaced_text(file, state.model_dump_json(indent=1))

    def label(self, image: str, tag: str) -> Path:
        """The file of a label. Raises `NotFoundError`."""
        kept = self.of(image).labels.get(tag)
        if kept is None:
            msg = f"image {image!r} has no label {tag!r}"
            raise NotFoundError(msg)
        return self._file(image, tag, kept.ext)

    def keep_label(self, image: str, tag: str, source: Path, ext: str, info: dict[str, Any]) -> None:
        """Copy a file as a label of an image; it is there whole or not at all."""
        target = self._file(image, tag, ext)
        target.parent.mkdir(exist_ok=True)
        temporary = target.with_name(f".{uuid4().hex}{ext}")
        try:
            shutil.copyfile(source, temporary)
            with self.changed(image) as state:
                earlier = state.labels.get(tag)
                temporary.replace(target)
                state.labels[tag] = LabelState(ext=ext, info=info | {"ts": int(time.time()), "name": target.name})
        finally:
            temporary.unlink(missing_ok=True)
        if earlier is not None and earlier.ext != ext:
            self._file(image, tag, earlier.ext).unlink(missing_ok=True)

    def drop_label(self, image: str, tag: str) -> None:
        """Forget a label and delete its file."""
        with self.changed(image) as state:
            kept = state.labels.pop(tag, None)
        if kept is not None:
            self._file(image, tag, kept.ext).unlink(missing_ok=True)

    def _file(self, image: str, tag: str, ext: str) -> Path:
        return self._labels / tag / f"{image}{ext}"
