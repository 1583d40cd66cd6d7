"""Taking apart a multipart/form-data body (RFC 7578)."""

from __future__ import annotations

from email.message import Message
from email.parser import BytesHeaderParser

from .errors import ServerError
from .i18n import tr as _


def split(body: bytes, content_type: str) -> dict[str, bytes]:
    """Parts by name. Raises `ServerError` when the body is cut off, damaged or something else."""
    delimiter = b"\r\n--" + _boundary(content_type)
    start = 0 if body.startswith(delimiter[2:]) else body.find(delimiter) + 2
    if not body.startswith(delimiter[2:], start):
        msg = _("The result is damaged: it has no beginning. Fetch it again.")
        raise ServerError(msg, "server_fault")
    parts: dict[str, bytes] = {}
    position = start + len(delimiter) - 2
    while body[position : position + 2] != b"--":
        head = body.find(b"\r\n\r\n", position)
        end = -1 if head < 0 else body.find(delimiter, head + 2)
        if body[position : position + 2] != b"\r\n" or end < 0:
            msg = _("The result is cut off or damaged after {count} parts. Fetch it again.").format(count=len(parts))
            raise ServerError(msg, "server_fault")
        name = _name(body[position + 2 : head + 4])
        if name is None or name in parts:
            msg = _("The result is damaged: its part {count} has no name or a repeated one.").format(
                count=len(parts) + 1
            )
            raise ServerError(msg, "server_fault")
        parts[name] = body[head + 4 : end] if end > head + 2 else b""
        position = end + len(delimiter)
    return parts


def _name(header: bytes) -> str | None:
    name = BytesHeaderParser().parsebytes(header).get_param("name", header="content-disposition")
    return name if isinstance(name, str) and name else None


def _boundary(content_type: str) -> bytes:
    message = Message()
    message["Content-Type"] = content_type.replace("\r", "").replace("\n", "")
    boundary = message.get_param("boundary")
    if message.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not boundary:
        msg = _(
            "The server sent “{content_type}” instead of a result; its version may differ from this panel's."
        ).format(content_type=content_type[:60])
        raise ServerError(msg, "not_explain_server")
    return boundary.encode("ascii", errors="replace")
