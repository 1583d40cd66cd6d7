"""The images of a DICOMweb server under names that tell nobody whose they are, and their volumes, fetched when needed.

On the disk stay volumes and what sequence each is, never headers: those are in a folder of their own while a series is
read, and asked for again when a result is written.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ValidationError
from pydicom.dataset import Dataset

from slicerxai.data.files import replaced_text
from slicerxai.data.io import write_volume
from slicerxai.dicom.sequences import Recognised, recognise
from slicerxai.dicom.series import Series, read_series
from slicerxai.errors import InputError, NotFoundError, UnavailableError
from slicerxai.server.dicomweb.access import access_of
from slicerxai.server.dicomweb.cache import clean, trim, used
from slicerxai.server.dicomweb.client import DicomWeb
from slicerxai.server.dicomweb.storing import Outcome, present
from slicerxai.server.pseudonyms import pseudonym
from slicerxai.settings import settings

logger = logging.getLogger(__name__)

FOLDER = "dicom"
"""Below HOME."""
FRESH_SECONDS = 15.0
"""How long a listing of the server is good."""
FAILED_SECONDS = 2.0
"""How long a server that did not answer is not asked again, so that those who wait for it do not wait in turn."""
UNKNOWN_SECONDS = 1.0
"""The same for whoever asks for an image that it does not have."""
HEADERS_AT_A_TIME = 4
_ID = re.compile(r"[0-9a-f]{16}_[0-9a-f]{16}")
SUFFIX = ".nrrd"
"""Keeps every bit of the affine."""


@dataclass(frozen=True)
class RemoteImage:
    """A series of the server.

    Attributes:
        id: pseudonyms of study and series, hexadecimal: "STUDY_SERIES".
        instances: how many it has; None when the server does not say.
    """

    id: str
    study_uid: str = field(repr=False)
    series_uid: str = field(repr=False)
    instances: int | None = None

    @property
    def study(self) -> str:
        """Pseudonym of its study."""
        return self.id.partition("_")[0]


class _Sequence(BaseModel):
    modality: str | None
    reason: str


class Archive:
    """A DICOMweb server and what is kept of it below a folder. Several processes may share the folder.

    Attributes:
        trouble: why the server could not be listed the last time; "" when it could.
    """

    def __init__(
        self, client: DicomWeb, root: Path, filters: Mapping[str, str], *, most: int, cache: int, largest: int
    ) -> None:
        """Nothing is asked of the server yet.

        Args:
            filters: attributes of the series to list, by keyword.
            most: series to list.
            cache: bytes of volumes to keep.
            largest: bytes of a series to fetch.
        """
        self.client, self.root, self.filters = client, root, dict(filters)
        self.most, self.cache, self.largest = most, cache, largest
        self.images, self._sequences, self._incoming = root / "images", root / "sequences", root / "incoming"
        for folder in (self.images, self._sequences, self._incoming):
            folder.mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)
        clean(self._incoming)
        self._lock = threading.Lock()
        self._listed: dict[str, RemoteImage] = {}
        self._listed_at = self._failed_at = -FRESH_SECONDS
        self.trouble = ""

    def listing(self, within: float = FRESH_SECONDS) -> Mapping[str, RemoteImage]:
        """The images by id, asked for again when the last answer is older than so many seconds.

        Raises `UnavailableError`.
        """
        with self._lock:
            if time.monotonic() - self._listed_at >= within:
                if time.monotonic() - self._failed_at < FAILED_SECONDS:
                    raise UnavailableError(self.trouble)
                try:
                    found = self.client.series(self.filters, self.most)
                except UnavailableError as error:
                    self.trouble, self._failed_at = str(error), time.monotonic()
                    raise
                self.trouble = ""
                if len(found) >= self.most:
                    logger.warning("only %d series are listed; narrow SLICERXAI_DICOM_FILTER", self.most)
                images = [_remote(one) for one in found]
                self._listed, self._listed_at = {one.id: one for one in images}, time.monotonic()
            return self._listed

    def last_listing(self) -> Mapping[str, RemoteImage]:
        """What the server listed last, however long ago; asks it again without waiting for the answer."""
        if time.monotonic() - self._listed_at >= FRESH_SECONDS and not self._lock.locked():
            threading.Thread(target=self._list_again, name="listing", daemon=True).start()
        return self._listed

    def _list_again(self) -> None:
        with suppress(UnavailableError):  # `trouble` says it
            self.listing()

    def image(self, name: str) -> RemoteImage:
        """The image of an id. Raises `NotFoundError`, `UnavailableError`."""
        found = self.listing().get(name) or self.listing(UNKNOWN_SECONDS).get(name)
        if found is None:
            raise _unknown(name)
        return found

    def named(self, study_uid: str | None, series_uid: str | None) -> list[RemoteImage]:
        """The images of a study, of a series, or all; one that is not known is asked for.

        Raises `NotFoundError`, `UnavailableError`.
        """

        def wanted(within: float) -> list[RemoteImage]:
            return [
                image
                for image in self.listing(within).values()
                if study_uid in {None, image.study_uid} and series_uid in {None, image.series_uid}
            ]

        found = wanted(FRESH_SECONDS) or wanted(UNKNOWN_SECONDS)
        if not found and (study_uid, series_uid) != (None, None):
            msg = "the DICOMweb server lists no such MR series"
            raise NotFoundError(msg)
        return found

    def sequence(self, name: str) -> Recognised:
        """Which sequence an image is. Raises `NotFoundError`, `UnavailableError`."""
        if not _ID.fullmatch(name):
            raise _unknown(name)
        file = self._sequences / f"{name}.json"
        try:
            kept = _Sequence.model_validate_json(file.read_bytes())
        except (FileNotFoundError, ValidationError):
            image = self.image(name)
            found = recognise(self.client.header(image.study_uid, image.series_uid))
            replaced_text(file, _Sequence(modality=found.modality, reason=found.reason).model_dump_json())
            return found
        return Recognised(kept.modality, kept.reason)

    def sequences(self, images: Iterable[str] | None = None) -> dict[str, Recognised]:
        """Which sequence each of these images is, or each of all; one whose header is gone meanwhile is left out.

        Raises `UnavailableError`.
        """

        def one(name: str) -> Recognised | None:
            try:
                return self.sequence(name)
            except NotFoundError:
                return None

        names = list(self.listing() if images is None else images)
        with ThreadPoolExecutor(HEADERS_AT_A_TIME) as threads:
            found = dict(zip(names, threads.map(one, names), strict=True))
        return {name: sequence for name, sequence in found.items() if sequence is not None}

    def of_study(self, study: str, modality: str) -> list[str]:
        """Images of a study, named by its pseudonym, that are that sequence."""
        names = [name for name, image in self.listing().items() if image.study == study]
        return [name for name in names if self.sequence(name).modality == modality]

    def volume(self, name: str) -> Path:
        """The file of an image's volume, fetched when it is not here.

        Raises:
            NotFoundError, UnavailableError: from the server.
            InputError: the series is no volume, or too large.
        """
        image = self.image(name)
        path = self.images / f"{name}{SUFFIX}"
        with FileLock(self._incoming / f"{name}.lock"):
            if not path.exists():
                started = time.monotonic()
                with self._fetched(image) as series:
                    write_volume(path, series.volume())
                logger.info("image %s fetched in %.1f s", name, time.monotonic() - started)
            used(path)
        trim(self.images, self.cache)
        return path

    @contextmanager
    def series(self, name: str) -> Iterator[Series]:
        """The series of an image with its headers and files, which are gone afterwards. Raises as `volume`."""
        with self._fetched(self.image(name)) as series:
            yield series

    def send(self, datasets: Sequence[Dataset]) -> list[Outcome]:
        """Store objects one after the other unless the server holds them; what became of each. Raises as the client."""
        found = []
        for dataset in datasets:
            there = self.client.has(str(dataset.StudyInstanceUID), str(dataset.SOPInstanceUID))
            found += [present(dataset)] if there else self.client.store([dataset])
        return found

    @contextmanager
    def _fetched(self, image: RemoteImage) -> Iterator[Series]:
        prefix = f"{os.getpid()}-"
        with tempfile.TemporaryDirectory(prefix=prefix, dir=self._incoming, ignore_cleanup_errors=True) as temporary:
            folder = Path(temporary)
            files = self.client.download(image.study_uid, image.series_uid, folder, self.largest)
            with _without_paths(folder):
                yield _only(read_series(files), image)


def archive_of(url: str) -> Archive:
    """The archive behind an address, under the settings of this process. Raises `InputError` for unusable settings."""
    chosen = settings()
    client = DicomWeb(access_of(url))
    root = chosen.home / FOLDER / _hexadecimal(client.access.url)
    return Archive(
        client,
        root,
        chosen.dicom_filter,
        most=chosen.dicom_series_limit,
        cache=chosen.dicom_cache_limit,
        largest=chosen.upload_limit,
    )


def image_id(study_uid: str, series_uid: str) -> str:
    """The id of a series on this installation."""
    return f"{_hexadecimal(study_uid)}_{_hexadecimal(series_uid)}"


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(
        f"no image {name[:64]!r} on the DICOMweb server; GET /datastore/?output=all lists the known ones"
    )


def _hexadecimal(name: str) -> str:
    return pseudonym(name).removeprefix("id-")


def _remote(one: Dataset) -> RemoteImage:
    study, series = str(one.StudyInstanceUID), str(one.SeriesInstanceUID)
    count = one.get("NumberOfSeriesRelatedInstances")
    return RemoteImage(image_id(study, series), study, series, None if count is None else int(count))


def _only(found: Sequence[Series], image: RemoteImage) -> Series:
    mine = [one for one in found if one.uid == image.series_uid]
    if not mine:
        msg = f"image {image.id}: the series holds no MR images"
        raise InputError(msg)
    if len(mine) > 1:
        msg = f"image {image.id}: the series holds {len(mine)} echoes, which are not told apart over DICOMweb"
        raise InputError(msg)
    return mine[0]


@contextmanager
def _without_paths(folder: Path) -> Iterator[None]:
    """Messages about fetched files name the files alone."""
    try:
        yield
    except InputError as error:
        text = str(error)
        if str(folder) not in text:
            raise
        raise InputError(text.replace(f"{folder}{os.sep}", "instance ")) from None
