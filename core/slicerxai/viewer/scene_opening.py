"""A scene from an MRB file of somebody else's: what it refers to lies in it, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote
from xml.parsers.expat import ExpatError, ParserCreate
from zipfile import BadZipFile, ZipFile

from XAIPanels.errors import LoadError

UNPACKED_LIMIT = 8 * 1024**3
"""Largest scene, bytes, once it is unpacked."""
ACCEPTED = (".nrrd", ".nii", ".nii.gz", ".json", ".ctbl", ".csv", ".tsv", ".txt", ".vp", ".vtk", ".vtp", ".stl", ".png")
"""Files of a scene that hold all of their content themselves, unlike a header that names another file."""
NO_BUNDLE = "“{name}” is no scene bundle (.mrb), or it is damaged."
TOO_LARGE = "The scene is larger than {limit} GB once it is unpacked."
NO_SCENE = "“{name}” has no scene in it, or more than one."
OUTSIDE = "“{name}” was not opened: its scene refers to “{file}”, which does not lie in it."
UNKNOWN = "“{name}” was not opened: its scene refers to “{file}”; accepted are {accepted}."
_HEADER = 64 * 1024
_NAMING = ("filename", "filelistmember", "uri")
"""Begin of the names of attributes of a scene that name files, and addresses to fetch."""


def unpack(name: str, content: bytes, folder: Path, progress: Callable[[float], None]) -> Path:
    """Unpack a bundle into a folder and return the path of its scene; in any thread.

    Raises:
        LoadError: it is none, is too large, or refers to something outside of it, in words. OSError.
    """
    try:
        with ZipFile(BytesIO(content)) as archive:
            parts = archive.infolist()
            if sum(part.file_size for part in parts) > UNPACKED_LIMIT:
                raise LoadError(TOO_LARGE.format(limit=UNPACKED_LIMIT // 1024**3))
            for number, part in enumerate(parts):
                archive.extract(part, folder)  # a name that leads out of the folder is cut
                progress((number + 1) / len(parts))
    except (BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise LoadError(NO_BUNDLE.format(name=name)) from error
    scenes = list(folder.rglob("*.mrml"))
    if len(scenes) != 1:
        raise LoadError(NO_SCENE.format(name=name))
    check(name, scenes[0], folder)
    return scenes[0]


def check(name: str, scene: Path, folder: Path) -> None:
    """Whether all files of a scene lie in a folder and hold their content themselves. Raises `LoadError` in words."""
    try:
        files = _files(scene)
    except ExpatError as error:
        raise LoadError(NO_BUNDLE.format(name=name)) from error
    for file in files:
        path = (scene.parent / file).resolve()
        if "://" in file or not path.is_relative_to(folder.resolve()):
            raise LoadError(OUTSIDE.format(name=name, file=file))
        if not path.name.lower().endswith(ACCEPTED):
            raise LoadError(UNKNOWN.format(name=name, file=file, accepted=", ".join(ACCEPTED)))
        if path.suffix == ".nrrd" and path.is_file() and _is_detached(path):
            raise LoadError(OUTSIDE.format(name=name, file=f"{file}: data file"))


def _files(scene: Path) -> list[str]:
    found: list[str] = []

    def element(_tag: str, attributes: dict[str, str]) -> None:
        found.extend(unquote(value) for name, value in attributes.items() if value and name.lower().startswith(_NAMING))

    def doctype(*_: object) -> None:
        msg = "a scene has no document type, which might define endless entities"
        raise ExpatError(msg)

    parser = ParserCreate()
    parser.StartElementHandler = element
    parser.StartDoctypeDeclHandler = doctype
    with scene.open("rb") as file:
        parser.ParseFile(file)
    return found


def _is_detached(path: Path) -> bool:
    """Whether an NRRD header names another file for its voxels."""
    with path.open("rb") as file:
        header = file.read(_HEADER).partition(b"\n\n")[0].lower()
    return any(line.startswith((b"data file:", b"datafile:")) for line in header.replace(b"\r", b"").splitlines())
