"""Bodies of type multipart/related, as DICOMweb sends instances."""

from __future__ import annotations

import mmap
import re
import uuid
from collections.abc import Iterable
from email.message import Message
from io import BytesIO
from pathlib import Path

from pydicom import dcmwrite
from pydicom.dataset import Dataset

from slicerxai.errors import UnavailableError

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{1,200}")


def split(body: Path, content_type: str, folder: Path) -> list[Path]:
    """Write each part of a body as `0.dcm`, `1.dcm`, … into a folder; names that the server sent are not used.

    Raises:
        UnavailableError: not multipart, or cut off before its end.
    """
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_param("boundary")
    kind = message.get_content_type()
    if kind != "multipart/related" or not isinstance(boundary, str) or not _BOUNDARY.fullmatch(boundary):
        msg = "the DICOMweb server sent no multipart/related message with a series"
        raise UnavailableError(msg)
    files: list[Path] = []
    if body.stat().st_size == 0:
        raise _cut()
    with body.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        delimiter = b"\r\n--" + boundary.encode()
        start = len(delimiter) - 2 if content[: len(delimiter) - 2] == delimiter[2:] else _after(content, delimiter, 0)
        while content[start : start + 2] != b"--":
            head = content.find(b"\r\n\r\n", start)
            end = content.find(delimiter, start)
            if head < 0 or end < 0:
                raise _cut()
            files.append(folder / f"{len(files)}.dcm")
            files[-1].write_bytes(content[head + 4 : end])
            start = end + len(delimiter)
    return files


def joined(datasets: Iterable[Dataset]) -> tuple[bytes, str]:
    """A body with instances, and its content type."""
    boundary = uuid.uuid4().hex
    pieces = []
    for dataset in datasets:
        content = BytesIO()
        dcmwrite(content, dataset, write_like_original=False)
        pieces += [f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode(), content.getvalue(), b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f'multipart/related; type="application/dicom"; boundary={boundary}'


def _after(content: mmap.mmap, delimiter: bytes, start: int) -> int:
    found = content.find(delimiter, start)
    if found < 0:
        raise _cut()
    return found + len(delimiter)


def _cut() -> UnavailableError:
    return UnavailableError("the DICOMweb server broke off in the middle of a series")
