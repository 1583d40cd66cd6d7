"""An explanation as one multipart/form-data body: "params" (JSON), one part per overlay and figure.

The parts are the files of the explanation's folder, byte for byte, so that there is one schema only.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path

from slicerxai.errors import InputError, NotFoundError, shortened
from slicerxai.explain.contract import Explanation
from slicerxai.explain.folder import DOCUMENT, Document, load, parse_document, read_document, write_parts

PARAMS = "params"


def encode(explanation: Explanation, part: str | None = None) -> tuple[bytes, str]:
    """Body and content type of an explanation, or of one part of it alone (see `body_of_folder`)."""
    with tempfile.TemporaryDirectory(prefix="slicerxai-") as temporary:
        folder = Path(temporary)
        write_parts(explanation, folder)
        return encode_folder(folder, part)


@dataclass(frozen=True)
class Body:
    """A body whose files are read when they are sent.

    Attributes:
        pieces: bytes, and files with the bytes of that place.
    """

    pieces: tuple[bytes | Path, ...]
    content_type: str


def body_of_folder(folder: Path, part: str | None = None) -> Body:
    """The body of a saved explanation, without decoding its volumes.

    Part names: "params", NAME of an overlay (NRRD), NAME.png of a figure. The boundary is the digest of the JSON part,
    which holds the digests of all others: equal explanations give equal bodies.

    Args:
        part: this part's content bare, under its own content type.

    Raises:
        NotFoundError: no such part. InputError: the folder is not a whole explanation.
    """
    files = part_files(read_document(folder))
    if part is not None:
        if part not in files:
            msg = f"no part {part!r}; parts: {', '.join(files)}"
            raise NotFoundError(msg)
        file, content_type = files[part]
        return Body((_present(folder / file),), content_type)
    boundary = "slicerxai-" + hashlib.sha256(_present(folder / DOCUMENT).read_bytes()).hexdigest()[:40]
    pieces: list[bytes | Path] = []
    for name, (file, content_type) in files.items():
        path = _present(folder / file)
        filename = "" if name == PARAMS else f'; filename="{path.name}"'
        header = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n'
            f"Content-Type: {content_type}\r\nContent-Length: {path.stat().st_size}\r\n\r\n"
        )
        pieces += [header.encode("ascii"), path, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    return Body(tuple(pieces), f"multipart/form-data; boundary={boundary}")


def encode_folder(folder: Path, part: str | None = None) -> tuple[bytes, str]:
    """The same in memory, with its content type."""
    body = body_of_folder(folder, part)
    pieces = [piece if isinstance(piece, bytes) else piece.read_bytes() for piece in body.pieces]
    return b"".join(pieces), body.content_type


def decode(body: bytes, content_type: str) -> Explanation:
    """The explanation of a multipart body. Raises `InputError` that names the part which is missing or damaged."""
    parts = split(body, content_type)
    if PARAMS not in parts:
        msg = f"the multipart body has no part {PARAMS!r}; parts: {shortened(', '.join(parts) or 'none')[1:-1]}"
        raise InputError(msg)
    files = part_files(parse_document(bytes(parts[PARAMS]), f"part {PARAMS!r}"))
    if files.keys() != parts.keys():
        missing, unknown = sorted(files.keys() - parts.keys()), sorted(parts.keys() - files.keys())
        msg = f"the multipart body lacks parts {shortened(missing)} and has unknown parts {shortened(unknown)}"
        raise InputError(msg)
    with tempfile.TemporaryDirectory(prefix="slicerxai-") as temporary:
        folder = Path(temporary)
        for name, (file, _) in files.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_bytes(parts[name])
        return load(folder)


def part_files(document: Document) -> dict[str, tuple[str, str]]:
    """File and content type of each part, by part name."""
    files = {PARAMS: (DOCUMENT, "application/json")}
    files |= {name: (entry.file, "application/octet-stream") for name, entry in document.overlays.items()}
    files |= {f"{name}.png": (entry.file, "image/png") for name, entry in document.figures.items()}
    return files


def split(body: bytes, content_type: str) -> dict[str, memoryview]:
    """Parts of a multipart/form-data body (RFC 7578) by name, without copying their contents."""
    delimiter = b"\r\n--" + _boundary(content_type)
    view = memoryview(body)
    parts: dict[str, memoryview] = {}
    position = 0 if body.startswith(delimiter[2:]) else body.find(delimiter) + 2
    if position == 1:
        msg = "the multipart body does not contain its boundary"
        raise InputError(msg)
    while True:
        position += len(delimiter) - 2
        if body[position : position + 2] == b"--":
            return parts
        line_end = body.find(b"\r\n", position)
        head_end = body.find(b"\r\n\r\n", position)
        part_end = body.find(delimiter, head_end + 2)
        if line_end < 0 or head_end < 0 or part_end < 0 or body[position:line_end].strip(b" \t"):
            msg = f"the multipart body is cut off or damaged after {len(parts)} parts"
            raise InputError(msg)
        header = BytesHeaderParser().parsebytes(body[line_end + 2 : head_end + 4])
        name = header.get_param("name", header="content-disposition")
        if not isinstance(name, str) or name in parts:
            msg = f"part {len(parts) + 1} of the multipart body has no name or a repeated one: {shortened(name)}"
            raise InputError(msg)
        parts[name] = view[head_end + 4 : max(part_end, head_end + 4)]
        position = part_end + 2


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
        msg = f"content type {shortened(content_type)}; accepted: multipart/form-data with a boundary"
        raise InputError(msg)
    return boundary.encode("ascii", errors="replace")


def _present(path: Path) -> Path:
    if not path.is_file():
        msg = f"{path} is missing"
        raise InputError(msg)
    return path
