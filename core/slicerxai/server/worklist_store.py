"""What is kept of every image: its record under a model, and its review.

One file for each image and model, of which the scoring process writes the records and the server the reviews: no file
has two writers, and each is replaced whole.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from slicerxai.data.digests import file_digest
from slicerxai.data.files import replaced_text
from slicerxai.server.worklist_schemas import ClassView, LesionView, Review

logger = logging.getLogger(__name__)

FOLDER = "worklist"
"""Below the folder of the images."""
Part = Literal["quality", "review"]


class FileStamp(BaseModel):
    """A file's content as it was, told by time and size where these have not changed."""

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Self:
        about = path.stat()
        return cls(size=about.st_size, mtime_ns=about.st_mtime_ns, sha256=file_digest(path))

    def matches(self, path: Path) -> bool:
        """Whether the file still has that content."""
        about = path.stat()
        if about.st_size != self.size:
            return False
        return about.st_mtime_ns == self.mtime_ns or file_digest(path) == self.sha256


class Kept(BaseModel):
    """What is kept of an image under a model.

    Attributes:
        image: its id.
        files: the image file of each channel, as it was.
    """

    image: str
    files: dict[str, FileStamp]

    def is_of(self, paths: Mapping[str, Path]) -> bool:
        """Whether the files are still the same."""
        return self.files.keys() == paths.keys() and all(self.files[name].matches(path) for name, path in paths.items())


class Record(Kept):
    """What scoring found.

    Attributes:
        alarm: id of the alarm.
        error: why the image cannot be scored.
    """

    alarm: str
    suspicion: float | None = None
    classes: list[ClassView] | None = None
    lesions: list[LesionView] | None = None
    error: str | None = None
    time: datetime


class KeptReview(Kept):
    """What a reader said.

    Attributes:
        model: name of the model whose predictions were read.
    """

    model: str
    review: Review


K = TypeVar("K", bound=Kept)


@dataclass(frozen=True)
class WorklistStore:
    """Files `MODEL DIGEST/quality/IMAGE.json` and `MODEL DIGEST/review/IMAGE.json`.

    IMAGE is the SHA-256 of the id: ids may be longer than the names of files, and differ in case alone.
    """

    root: Path

    def record(self, digest: str, image: str) -> Record | None:
        """What scoring found of an image under a model."""
        return _read(self._path(digest, "quality", image), Record)

    def keep_record(self, digest: str, record: Record) -> None:
        self._write(digest, "quality", record)

    def review(self, digest: str, image: str) -> KeptReview | None:
        """What a reader said of an image under a model."""
        return _read(self._path(digest, "review", image), KeptReview)

    def keep_review(self, digest: str, review: KeptReview) -> None:
        self._write(digest, "review", review)

    def remove_review(self, digest: str, image: str) -> None:
        """Undo a review; nothing happens where there is none."""
        self._path(digest, "review", image).unlink(missing_ok=True)

    def keeps(self, digest: str, image: str) -> bool:
        """Whether there is a record or a review of an image under a model."""
        return any(self._path(digest, part, image).exists() for part in get_args(Part))

    def reviews(self, image: str) -> list[KeptReview]:
        """The reviews of an image under all models, newest first."""
        found = [self.review(digest, image) for digest in self._digests()]
        return sorted((one for one in found if one is not None), key=lambda one: one.review.time, reverse=True)

    def information(self, image: str) -> dict[str, dict[str, Any]]:
        """What MONAI Label's clients are shown of an image: "quality" and "review", each by model digest."""
        shown: dict[str, dict[str, Any]] = {"quality": {}, "review": {}}
        for digest in self._digests():
            for part, kept in (("quality", self.record(digest, image)), ("review", self.review(digest, image))):
                if kept is not None:
                    shown[part][digest] = kept.model_dump(mode="json", exclude={"image", "files"}, exclude_none=True)
        return {part: kept for part, kept in shown.items() if kept}

    def _digests(self) -> Iterator[str]:
        return (folder.name for folder in sorted(self.root.glob("*")) if folder.is_dir())

    def _path(self, digest: str, part: Part, image: str) -> Path:
        name = hashlib.sha256(image.encode("utf-8", "surrogatepass")).hexdigest()
        return self.root / digest / part / f"{name}.json"

    def _write(self, digest: str, part: Part, kept: Kept) -> None:
        path = self._path(digest, part, kept.image)
        path.parent.mkdir(parents=True, exist_ok=True)
        replaced_text(path, kept.model_dump_json(indent=2))


def stamps(paths: Mapping[str, Path]) -> dict[str, FileStamp]:
    """The content of the image file of each channel."""
    return {channel: FileStamp.of(path) for channel, path in paths.items()}


def _read(path: Path, model: type[K]) -> K | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        logger.exception("%s is damaged and left out; delete it", path)
        return None
