"""An explanation as a folder: `explanation.json`, `overlays/NAME.nrrd`, `figures/NAME.png` and `tables/NAME.csv`."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from slicerxai.data.files import replaced_folder
from slicerxai.data.io import DTYPES, read_volume, write_volume
from slicerxai.errors import ConflictError, InputError, dotted, shortened
from slicerxai.explain.contract import (
    Check,
    Explanation,
    Figure,
    Flag,
    Overlay,
    OverlayKind,
    Provenance,
    Table,
    Verdict,
)
from slicerxai.explain.csv_tables import write_tables

FORMAT = 1
DOCUMENT = "explanation.json"
OWN = frozenset({DOCUMENT, "overlays", "figures", "tables", "report.html", "overview.png"})
"""All that the folder of an explanation may hold; anything else in it is somebody's own and is never removed."""

NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
STORED_AS: dict[str, str] = {"bool": "uint8", "float16": "float32"}
"""Types that NRRD lacks, and the type that holds them without loss."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OverlayEntry(_Strict):
    """What the document says of an overlay; the voxels are in `file`."""

    kind: OverlayKind
    units: str
    description: str
    file: str
    dtype: str
    sha256: str


class FigureEntry(_Strict):
    """What the document says of a figure; the picture is in `file`."""

    caption: str
    file: str
    sha256: str


class Document(_Strict):
    """The schema of `explanation.json`. Numbers that JSON lacks are written as {"$float": "nan" | "inf" | "-inf"}."""

    format: Literal[1]
    method: str
    image_id: str
    verdict: Verdict
    parameters: dict[str, Any]
    overlays: dict[str, OverlayEntry]
    tables: dict[str, Table]
    figures: dict[str, FigureEntry]
    flags: list[Flag]
    metrics: dict[str, float]
    checks: list[Check]
    provenance: Provenance | None


def save(explanation: Explanation, folder: Path, pages: Mapping[str, bytes] | None = None) -> None:
    """Write an explanation; the folder appears whole or not at all.

    An earlier explanation, or an empty folder, of that name is replaced. Overlays of bool and float16 are stored as
    uint8 and float32 and come back as they were; parameters come back as JSON has them (tuples become lists).

    Args:
        pages: content of files for people that belong to it, by their names in `OWN`.

    Raises:
        ConflictError: `folder` exists and is not an explanation, or holds other files as well.
        InputError: a name, an array or a parameter cannot be stored.
        ValueError: a voxel is not finite or an affine singular.
    """
    folder = Path(folder).absolute()
    _check_replaceable(folder)
    with replaced_folder(folder) as partial:
        write_parts(explanation, partial)
        if explanation.tables:
            check_names("table", explanation.tables)
            write_tables(explanation.tables, partial / "tables")
        for name, content in (pages or {}).items():
            (partial / name).write_bytes(content)


def load(folder: Path) -> Explanation:
    """Read an explanation. Raises `InputError` that names the file which is missing, damaged or of another format."""
    folder = Path(folder)
    document = read_document(folder)
    overlays = {name: _load_overlay(folder, entry) for name, entry in document.overlays.items()}
    figures = {
        name: Figure(png=_checked_bytes(folder / entry.file, entry.sha256), caption=entry.caption)
        for name, entry in document.figures.items()
    }
    explanation = Explanation(
        method=document.method,
        parameters=document.parameters,
        image_id=document.image_id,
        overlays=overlays,
        tables=document.tables,
        figures=figures,
        flags=document.flags,
        metrics=document.metrics,
        checks=document.checks,
        provenance=document.provenance,
    )
    if explanation.verdict != document.verdict:
        msg = f"{folder / DOCUMENT} says {document.verdict}, but its checks say {explanation.verdict}"
        raise InputError(msg)
    return explanation


def write_parts(explanation: Explanation, folder: Path) -> None:
    """Write the files of an explanation into an existing empty folder (not atomic: see `save`)."""
    for kind, names in (("overlay", explanation.overlays), ("figure", explanation.figures)):
        check_names(kind, names)
    overlays = {name: _write_overlay(name, overlay, folder) for name, overlay in explanation.overlays.items()}
    figures = {name: _write_figure(name, figure, folder) for name, figure in explanation.figures.items()}
    document = {
        "format": FORMAT,
        "method": explanation.method,
        "image_id": explanation.image_id,
        "verdict": explanation.verdict,
        "parameters": explanation.parameters,
        "overlays": overlays,
        "tables": explanation.tables,
        "figures": figures,
        "flags": explanation.flags,
        "metrics": explanation.metrics,
        "checks": explanation.checks,
        "provenance": explanation.provenance,
    }
    text = json.dumps(_to_json(document, "explanation"), indent=1, allow_nan=False)
    (folder / DOCUMENT).write_text(text + "\n", encoding="utf-8")


def read_document(folder: Path) -> Document:
    """Everything but voxels and pictures. Raises `InputError` naming the file."""
    path = folder / DOCUMENT
    if not path.is_file():
        msg = f"{path} is missing: {folder} is not the folder of an explanation"
        raise InputError(msg)
    return parse_document(path.read_bytes(), str(path))


def parse_document(text: bytes, source: str) -> Document:
    """Parse and validate `explanation.json`; `source` names it in the `InputError`."""
    try:
        raw = _from_json(json.loads(text))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        msg = f"{source} is damaged: {shortened(str(error))[1:-1]}"
        raise InputError(msg) from None
    found = raw.get("format") if isinstance(raw, dict) else None
    if found != FORMAT:
        msg = f"{source} has format {shortened(found)}; accepted: {FORMAT}"
        raise InputError(msg)
    try:
        document = Document.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(f"{dotted(e['loc'])}: {e['msg']}" for e in error.errors()[:5])
        msg = f"{source} is damaged: {problems}"
        raise InputError(msg) from None
    for kind, names, place in (("overlay", document.overlays, "overlays/{}.nrrd"), ("figure", document.figures, "")):
        check_names(kind, names)
        for name, entry in names.items():
            if entry.file != (place or "figures/{}.png").format(name):
                msg = f"{source}: {kind} {name!r} has file {shortened(entry.file)}"
                raise InputError(msg)
    return document


def check_names(kind: str, names: Iterable[str]) -> None:
    """Raise `InputError` for a name that is unsafe as a file or ambiguous on file systems that ignore case."""
    seen: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str) or not NAME.fullmatch(name) or name.lower() == "params":
            msg = f"{kind} name {shortened(name)}; accepted: 1 to 100 of A-Z, a-z, 0-9, _ and -, and not 'params'"
            raise InputError(msg)
        if name.lower() in seen:
            msg = f"{kind} names {seen[name.lower()]!r} and {name!r} differ only in case"
            raise InputError(msg)
        seen[name.lower()] = name


def _write_overlay(name: str, overlay: Overlay, folder: Path) -> dict[str, Any]:
    array = overlay.volume.array
    dtype = array.dtype.newbyteorder("=").name
    stored = STORED_AS.get(dtype, dtype)
    if stored not in DTYPES or array.size == 0:
        accepted = ", ".join([*DTYPES, *STORED_AS])
        msg = f"overlay {name!r} has type {dtype} and shape {array.shape}; accepted: at least one voxel of {accepted}"
        raise InputError(msg)
    file = f"overlays/{name}.nrrd"
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    write_volume(path, overlay.volume.with_array(array.astype(stored, copy=False)))
    return {
        "kind": overlay.kind,
        "units": overlay.units,
        "description": overlay.description,
        "file": file,
        "dtype": dtype,
        "sha256": _digest(path.read_bytes()),
    }


def _load_overlay(folder: Path, entry: OverlayEntry) -> Overlay:
    path = folder / entry.file
    _checked_bytes(path, entry.sha256)
    volume = read_volume(path)
    if volume.array.dtype.name != STORED_AS.get(entry.dtype, entry.dtype):
        msg = f"{path} has type {volume.array.dtype.name}, but {folder / DOCUMENT} says {entry.dtype}"
        raise InputError(msg)
    volume = volume.with_array(volume.array.astype(np.dtype(entry.dtype), copy=False))
    return Overlay(volume=volume, kind=entry.kind, units=entry.units, description=entry.description)


def _write_figure(name: str, figure: Figure, folder: Path) -> dict[str, Any]:
    if not figure.png.startswith(PNG_SIGNATURE):
        msg = f"figure {name!r} is not a PNG"
        raise InputError(msg)
    file = f"figures/{name}.png"
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(figure.png)
    return {"caption": figure.caption, "file": file, "sha256": _digest(figure.png)}


def _checked_bytes(path: Path, sha256: str) -> bytes:
    if not path.is_file():
        msg = f"{path} is missing"
        raise InputError(msg)
    content = path.read_bytes()
    if _digest(content) != sha256:
        msg = f"{path} is damaged: its SHA-256 is not the one in {DOCUMENT}"
        raise InputError(msg)
    return content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _check_replaceable(folder: Path) -> None:
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir() or folder.is_symlink():
        msg = f"{folder} exists and is not a folder"
        raise ConflictError(msg)
    content = {path.name for path in folder.iterdir()}
    if not content:
        return
    if DOCUMENT not in content:
        msg = f"{folder} is not empty and not an explanation (no {DOCUMENT}); choose another folder"
        raise ConflictError(msg)
    if foreign := sorted(content - OWN):
        msg = f"{folder} holds files that are not of an explanation: {', '.join(foreign[:5])}; choose another folder"
        raise ConflictError(msg)


def _to_json(value: Any, where: str) -> Any:
    """Plain JSON values; raises `InputError` naming the place of a value that JSON cannot hold."""
    if isinstance(value, BaseModel):
        value = value.model_dump()
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_to_json(item, f"{where}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value) and set(value) != {"$float"}:
        return {key: _to_json(item, f"{where}.{key}") for key, item in value.items()}
    msg = f"{where}: {value!r} cannot be stored; accepted: text, numbers, booleans, null, lists, and maps by text"
    raise InputError(msg)


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {"$float"}:
            return NOT_FINITE[value["$float"]]
        return {key: _from_json(item) for key, item in value.items()}
    return value
