"""Labels that people drew, wherever they stored them: the archive's Segmentations of listed images."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydicom import dcmread
from pydicom.dataset import Dataset

from slicerxai.data.files import replaced_text
from slicerxai.data.volume import Volume
from slicerxai.dicom.segmentation import read_segmentation
from slicerxai.errors import NotFoundError, UnavailableError
from slicerxai.server.dicomweb.archive import FRESH_SECONDS, Archive, image_id

DRAWN = ("MANUAL", "SEMIAUTOMATIC")
"""Segment algorithm types that say that a person decided; models' own results are no labels."""


@dataclass(frozen=True)
class Drawn:
    """A Segmentation that a person drew on an image.

    Attributes:
        when: ContentDate and ContentTime, by which the newest is found.
    """

    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    when: str


class _About(BaseModel):
    """What a Segmentation's header says; None for an image that is not known or for a model's own result."""

    image: str | None
    when: str = ""


class Segmentations:
    """The archive's Segmentations. What their headers say is kept, under pseudonyms."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._folder = archive.root / "sequences"
        self._lock = threading.Lock()
        self._found: dict[str, Drawn] = {}
        self._found_at = -FRESH_SECONDS

    def newest(self) -> Mapping[str, Drawn]:
        """The newest drawn one of each image that has any, by image. Raises `UnavailableError`."""
        with self._lock:
            if time.monotonic() - self._found_at >= FRESH_SECONDS:
                self._found, self._found_at = self._searched(), time.monotonic()
            return self._found

    def note(self, image: str, dataset: Dataset) -> None:
        """One was stored just now; it is the newest of the image."""
        drawn = Drawn(str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID), written(dataset))
        with self._lock:
            self._found = {**self._found, image: drawn}

    def last(self) -> Mapping[str, Drawn]:
        """What was found last; asks the server again without waiting for the answer."""
        if time.monotonic() - self._found_at >= FRESH_SECONDS and not self._lock.locked():
            threading.Thread(target=self._search_again, name="segmentations", daemon=True).start()
        return self._found

    def _search_again(self) -> None:
        with suppress(UnavailableError):  # the archive's `trouble` says it
            self.newest()

    def fetch(self, image: str) -> tuple[Volume, dict[str, int]]:
        """The label map on the grid of an image, and the value of each segment's name.

        Raises:
            NotFoundError, UnavailableError: from the server. InputError: it does not fit the image.
        """
        drawn = self.newest().get(image)
        if drawn is None:
            msg = f"nobody has stored a label of image {image!r} on the DICOMweb server"
            raise NotFoundError(msg)
        with self.archive.series(image) as series, tempfile.TemporaryDirectory(dir=series.files[0].parent) as folder:
            client = self.archive.client
            files = client.download(drawn.study_uid, drawn.series_uid, Path(folder), self.archive.largest)
            newest = max((dcmread(file) for file in files), key=written)
            return read_segmentation(newest, series)

    def _searched(self) -> dict[str, Drawn]:
        found: dict[str, Drawn] = {}
        for one in self.archive.client.series({"Modality": "SEG"}, self.archive.most):
            study, series = str(one.StudyInstanceUID), str(one.SeriesInstanceUID)
            try:
                about = self._about(study, series, one.get("NumberOfSeriesRelatedInstances"))
            except NotFoundError:
                continue
            if about.image is None or about.image not in self.archive.listing():
                continue
            if about.image not in found or about.when > found[about.image].when:
                found[about.image] = Drawn(study, series, about.when)
        return found

    def _about(self, study: str, series: str, instances: object) -> _About:
        file = self._folder / f"{image_id(study, series)}-{instances}.seg"
        try:
            return _About.model_validate_json(file.read_bytes())
        except (FileNotFoundError, ValidationError):
            about = _about(study, self.archive.client.header(study, series))
            replaced_text(file, about.model_dump_json())
            return about


def _about(study: str, header: Dataset) -> _About:
    segments, referenced = header.get("SegmentSequence") or [], header.get("ReferencedSeriesSequence") or []
    drawn = bool(segments) and all(one.get("SegmentAlgorithmType") in DRAWN for one in segments)
    if not drawn or len(referenced) != 1:
        return _About(image=None)
    return _About(image=image_id(study, str(referenced[0].get("SeriesInstanceUID"))), when=written(header))


def written(header: Dataset) -> str:
    """When a Segmentation was drawn, to be compared with others'."""
    return f"{header.get('ContentDate') or ''}{header.get('ContentTime') or ''}"
