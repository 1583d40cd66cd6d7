"""DICOMweb (DICOM PS3.18): searching (QIDO-RS), retrieving (WADO-RS) and storing (STOW-RS).

What a server answers never reaches a log or a message as it is: it holds patients' names.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from pydicom.dataset import Dataset

from slicerxai.errors import ConflictError, InputError, NotFoundError, UnavailableError, UserError
from slicerxai.server.dicomweb.access import CONNECT_SECONDS, Access
from slicerxai.server.dicomweb.multipart import joined, split
from slicerxai.server.dicomweb.storing import Outcome, outcomes

PAGE = 500
"""Search results asked for at a time."""
ATTEMPTS = 3
PAUSE_SECONDS = 0.3
"""Before the second attempt; twice as long before the third."""
AGAIN = {429, 502, 503, 504}
"""Statuses that may be gone a moment later."""
CHUNK = 1024**2
JSON = "application/dicom+json"
INSTANCES = 'multipart/related; type="application/dicom"'
"""Uncompressed by the standard; a server that cannot decompress is asked for what it has."""


class DicomWeb:
    """One server. Several threads may use it: each has a session of its own."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._local = threading.local()

    def trouble(self, seconds: float) -> str:
        """Why the server cannot be used now, or "". Asks once and waits no longer than so many seconds."""
        try:
            with self.access.session() as session:
                answer = session.get(
                    f"{self.access.url}/series",
                    params={"limit": "1"},
                    headers={"Accept": JSON},
                    timeout=seconds,
                    allow_redirects=False,
                )
            self._check(answer)
        except requests.RequestException as error:
            return str(self._unavailable(error))
        except UserError as error:
            return str(error)
        return ""

    def series(self, filters: Mapping[str, str], most: int) -> list[Dataset]:
        """At most so many series, as the server lists them, each with its StudyInstanceUID.

        Args:
            filters: attributes by keyword, such as {"Modality": "MR"}.

        Raises:
            UnavailableError: the server does not answer, or not with what was asked for.
        """
        found: dict[str, Dataset] = {}
        while len(found) < most:
            page = {"limit": str(min(PAGE, most - len(found))), "offset": str(len(found))}
            fields = {"includefield": "StudyInstanceUID,SeriesInstanceUID,NumberOfSeriesRelatedInstances"}
            answered = self._json("series", {**filters, **fields, **page})
            fresh = {str(one.SeriesInstanceUID): one for one in answered if _identified(one)}
            if not fresh.keys() - found.keys():  # the last page, or a server that ignores offsets
                break
            found |= fresh
            if len(answered) < int(page["limit"]):
                break
        return list(found.values())[:most]

    def header(self, study: str, series: str) -> Dataset:
        """The header, without pixels, of one instance of a series. Raises `NotFoundError`, `UnavailableError`."""
        found = self._json(f"studies/{study}/series/{series}/instances", {"limit": "1"})
        if not found or "SOPInstanceUID" not in found[0]:
            raise _gone()
        path = f"studies/{study}/series/{series}/instances/{found[0].SOPInstanceUID}/metadata"
        headers = self._json(path, {})
        if not headers:
            raise _gone()
        return headers[0]

    def has(self, study: str, instance: str) -> bool:
        """Whether an instance is stored. Raises `UnavailableError`."""
        found = self._json(f"studies/{study}/instances", {"SOPInstanceUID": instance, "limit": "1"})
        return any(str(one.get("SOPInstanceUID", "")) == instance for one in found)

    def download(self, study: str, series: str, folder: Path, most: int) -> list[Path]:
        """Write the instances of a series as `0.dcm`, `1.dcm`, … into a folder, in the order of the server.

        Args:
            most: bytes after which the transfer is broken off.

        Raises:
            NotFoundError: no such series. InputError: too large, or no instance in it.
            UnavailableError: the server does not answer, stops in the middle, or answers something else.
        """
        path = f"studies/{study}/series/{series}"
        body = folder / "body"
        try:
            with self._answer("GET", path, headers={"Accept": INSTANCES}, stream=True) as answer:
                content_type = answer.headers.get("Content-Type", "")
                _receive(answer, body, most)
            files = split(body, content_type, folder)
        except _NotAcceptable:
            everything = f"{INSTANCES}; transfer-syntax=*"
            with self._answer("GET", path, headers={"Accept": everything}, stream=True) as answer:
                content_type = answer.headers.get("Content-Type", "")
                _receive(answer, body, most)
            files = split(body, content_type, folder)
        except requests.RequestException as error:
            raise self._unavailable(error) from None
        finally:
            body.unlink(missing_ok=True)
        if not files:
            msg = "the DICOMweb server sent a series without instances"
            raise InputError(msg)
        return files

    def store(self, datasets: list[Dataset]) -> list[Outcome]:
        """Store instances of one study; what became of each, in their order.

        Raises:
            UnavailableError: the server does not answer; what it took before that, it keeps.
            ConflictError: it takes no instances at all.
        """
        content, content_type = joined(datasets)
        headers = {"Content-Type": content_type, "Accept": JSON}
        with self._answer("POST", "studies", headers=headers, data=content, accepted=(400, 409)) as answer:
            try:
                said = answer.json() if answer.content else None
            except (ValueError, requests.RequestException):
                said = None
            return outcomes(datasets, answer.status_code, said)

    def _json(self, path: str, query: Mapping[str, str]) -> list[Dataset]:
        with self._answer("GET", path, headers={"Accept": JSON}, params=dict(query)) as answer:
            if answer.status_code == HTTPStatus.NO_CONTENT or not answer.content:
                return []
            try:
                said = answer.json()
                return [Dataset.from_json(one, lambda *_: b"") for one in (said if isinstance(said, list) else [said])]
            except Exception:  # whatever it sent is none of our messages' business
                msg = f"the DICOMweb server at {self.host} answers with something else than DICOM JSON"
                raise UnavailableError(msg) from None

    @contextlib.contextmanager
    def _answer(
        self, method: str, path: str, *, accepted: tuple[int, ...] = (), **options: Any
    ) -> Iterator[requests.Response]:
        """A good answer, or one with an accepted status; asked for up to `ATTEMPTS` times."""
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                answer = self._session().request(
                    method,
                    f"{self.access.url}/{path}",
                    timeout=(CONNECT_SECONDS, self.access.timeout),
                    allow_redirects=False,  # credentials and patients' data go where the settings say, nowhere else
                    **options,
                )
            except requests.RequestException as error:
                if last or isinstance(error, requests.ReadTimeout | requests.exceptions.SSLError):
                    raise self._unavailable(error) from None
            else:
                if last or answer.status_code not in AGAIN:
                    break
                answer.close()
            time.sleep(PAUSE_SECONDS * (attempt + 1))
        with answer:
            if answer.status_code not in accepted:
                self._check(answer)
            yield answer

    def _check(self, answer: requests.Response) -> None:
        status = answer.status_code
        if status in {401, 403}:
            msg = (
                f"the DICOMweb server at {self.host} refuses this server's credentials ({status}); "
                "see SLICERXAI_DICOM_CREDENTIALS"
            )
            raise UnavailableError(msg)
        if status == HTTPStatus.NOT_FOUND:
            raise _gone()
        if status == HTTPStatus.NOT_ACCEPTABLE:
            raise _NotAcceptable
        if status in {405, 501}:
            msg = f"the DICOMweb server at {self.host} does not offer this ({status})"
            raise ConflictError(msg)
        if not 200 <= status < 300:
            msg = f"the DICOMweb server at {self.host} answers with status {status}"
            raise UnavailableError(msg)

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.access.url).netloc

    def _unavailable(self, error: requests.RequestException) -> UnavailableError:
        if isinstance(error, requests.Timeout):
            what = "does not answer in time"
        elif isinstance(error, requests.exceptions.SSLError):
            what = "has no certificate that this machine trusts; see SLICERXAI_DICOM_CERTIFICATES"
        else:
            what = "cannot be reached, or closed the connection"
        return UnavailableError(f"the DICOMweb server at {self.host} {what}")

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = self.access.session()
        return session


class _NotAcceptable(Exception):
    """The server cannot send this in the transfer syntax that was asked for."""


def _gone() -> NotFoundError:
    return NotFoundError("the DICOMweb server does not hold it, or not any more")


def _identified(one: Dataset) -> bool:
    return bool(one.get("StudyInstanceUID")) and bool(one.get("SeriesInstanceUID"))


def _receive(answer: requests.Response, file: Path, most: int) -> None:
    total = 0
    with file.open("wb") as out:
        for chunk in answer.iter_content(CHUNK):
            total += len(chunk)
            if total > most:
                msg = f"the series has more than {most} bytes, which is not accepted (SLICERXAI_UPLOAD_LIMIT)"
                raise InputError(msg)
            out.write(chunk)
