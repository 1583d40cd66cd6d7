"""The JSON document of a result, and whether the parts are the ones that it describes. The server is not trusted."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from .errors import ServerError
from .i18n import tr as _

FORMAT = 1
NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
VERDICTS = ("reliable", "caution", "unreliable")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
DETACHED = re.compile(rb"^(data ?file|line ?skip|byte ?skip)\s*:", re.IGNORECASE | re.MULTILINE)
"""Header fields of NRRD by which a file refers to voxels elsewhere, such as another file of this computer."""

_TEXTS = ("method", "image_id")
_MAPS = ("parameters", "overlays", "tables", "figures", "metrics")
_LISTS = ("flags", "checks")


def checked_document(text: bytes) -> dict[str, Any]:
    """The document, with everything that the panels read of it in place. Raises `ServerError`."""
    try:
        document = restored(json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise damaged(_("its description is not JSON")) from None
    found = document.get("format") if isinstance(document, dict) else None
    if not isinstance(document, dict) or found != FORMAT:
        msg = _(
            "The result has format {found!r}, this panel reads {format}; update the older of server and extension."
        ).format(found=found, format=FORMAT)
        raise ServerError(msg, "not_explain_server")
    try:
        _check(document)
    except (AttributeError, KeyError, TypeError) as error:
        raise damaged(_("its description lacks {error}").format(error=error)) from None
    return document


def overlay_entries(document: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """What the document says of each volume."""
    return dict(document["overlays"])


def figure_entries(document: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """What the document says of each picture."""
    return dict(document["figures"])


def verify_parts(document: Mapping[str, Any], parts: Mapping[str, bytes]) -> None:
    """Raises `ServerError` unless the parts are those of the document, with its digests, and refer to nothing else."""
    expected = {**overlay_entries(document)}
    expected.update({f"{name}.png": entry for name, entry in figure_entries(document).items()})
    missing, unknown = sorted(expected.keys() - parts.keys()), sorted(parts.keys() - expected.keys())
    if missing:
        raise damaged(_("its part “{missing}” is missing").format(missing=missing[0]))
    if unknown:
        raise damaged(_("it has a part “{unknown}” that it does not describe").format(unknown=unknown[0][:60]))
    for name, entry in expected.items():
        content = parts[name]
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise damaged(_("its part “{name}” changed on the way (wrong SHA-256)").format(name=name))
        if name.endswith(".png"):
            if not content.startswith(PNG_SIGNATURE):
                raise damaged(_("its part “{name}” is not a PNG picture").format(name=name))
        elif not content.startswith(b"NRRD000") or DETACHED.search(_header(content)):
            raise damaged(_("its part “{name}” is not one whole NRRD volume").format(name=name))


def restored(value: Any) -> Any:
    """JSON with its {"$float": …} replaced by the numbers that JSON lacks."""
    if isinstance(value, list):
        return [restored(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {"$float"}:
            return NOT_FINITE[value["$float"]]
        return {key: restored(item) for key, item in value.items()}
    return value


def damaged(what: str) -> ServerError:
    """The error of a result that cannot be used."""
    return ServerError(_("The result is damaged: {what}. Fetch it again.").format(what=what), "server_fault")


def _check(document: Mapping[str, Any]) -> None:
    for names, kind in ((_TEXTS, str), (_MAPS, dict), (_LISTS, list)):
        _typed(document, names, kind)
    _check_verdict(document)
    _check_names(document)
    for entry in document["overlays"].values():
        _typed(entry, ("kind", "units", "description", "sha256"), str)
    for entry in document["figures"].values():
        _typed(entry, ("sha256",), str)
    for check in document["checks"]:
        _typed(check, ("name", "reason"), str)
        _typed(check, ("value", "limit"), (int, float, type(None)))
        _check_verdict(check)
    for flag in document["flags"]:
        _typed(flag, ("subject", "message"), str)
    for table in document["tables"].values():
        _check_table(table)
    _typed(document["metrics"], tuple(document["metrics"]), (int, float))


def _check_verdict(owner: Mapping[str, Any]) -> None:
    if owner["verdict"] not in VERDICTS:
        raise damaged(_("it has the verdict {verdict!r}").format(verdict=owner["verdict"]))


def _check_names(document: Mapping[str, Any]) -> None:
    for group in ("overlays", "figures"):
        names = list(document[group])
        for name in names:
            if not NAME.fullmatch(name):
                raise damaged(_("it has a part with the unsafe name {name!r}").format(name=name[:60]))
        if len({name.lower() for name in names}) < len(names):
            raise damaged(_("two of its parts have names that differ only in case"))


def _check_table(table: Mapping[str, Any]) -> None:
    _typed(table, ("title",), str)
    _typed(table, ("columns", "rows"), list)
    if not all(isinstance(row, list) and len(row) == len(table["columns"]) for row in table["rows"]):
        raise damaged(_("a row of one of its tables has too few or too many values"))


def _typed(owner: Mapping[str, Any], names: tuple[str, ...], kind: Any) -> None:
    for name in names:
        if not isinstance(owner[name], kind):
            raise TypeError(name)


def _header(content: bytes) -> bytes:
    """The text before the first empty line, which is where the voxels begin."""
    ends = [end for end in (content.find(b"\n\n"), content.find(b"\r\n\r\n")) if end >= 0]
    return content[: min(ends)] if ends else content
