"""Where cases come from: a server's cohorts, or a folder of this computer. For any thread: neither MRML nor Qt."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Protocol

from slicer.i18n import tr as _
from XAILib.client import Client, OnProgress
from XAILib.cohorts import Case, Cohort
from XAILib.document import damaged
from XAILib.errors import Stopped
from XAILib.msseg_folder import FolderCohort, FolderError, read_folder
from XAILib.nifti import decode_image
from XAILib.nrrd import Volume
from XAILib.parts import labelmap_of, volume_of
from XAILib.result import Result
from XAILib.sample import NAME, sample_case
from XAIPanels.errors import LoadError

from .prepared import Origin, PreparedCase, modality_order, prepared, rater_order

SERVER, FOLDER, SAMPLE = "server", "folder", "sample"
SAMPLE_CASE = Case("phantom", (), (), {})
FETCHED = 0.7
"""Share of a download of the time that opening a case takes."""


class Source(Protocol):
    """Of cases. Both methods may be called in any thread."""

    @property
    def kind(self) -> str:
        """`SERVER`, `FOLDER` or `SAMPLE`."""
        ...

    def cohort(self, stop: Event) -> Cohort:
        """The cases. Raises `ServerError`, `SceneError` or `Stopped`."""
        ...

    def read(self, case: Case, stop: Event, progress: OnProgress) -> PreparedCase:
        """All images and masks of a case. Raises `ServerError`, `SceneError` or `Stopped`."""
        ...


class ServerSource:
    """A cohort of a server.

    Args:
        name: of the cohort.
    """

    kind = SERVER

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name

    def cohort(self, stop: Event) -> Cohort:
        """The cases, as the server lists them."""
        return self._client.cohort(self.name, stop)

    def read(self, case: Case, stop: Event, progress: OnProgress) -> PreparedCase:
        """Downloaded and unpacked."""

        def fetching(share: float, message: str, eta: float | None) -> None:
            progress(FETCHED * share, message, eta)

        progress(0.0, _("Fetching the case"), None)
        result = self._client.case(self.name, case.id, (), (), stop, fetching)
        images, masks = unpacked(result, stop, progress)
        return prepared(Origin(SERVER, self.name, case.id), images, masks, case.metadata)


class SampleSource:
    """The synthetic patient of a server, for who has no images."""

    kind = SAMPLE

    def __init__(self, client: Client) -> None:
        self._client = client

    def cohort(self, stop: Event) -> Cohort:
        """The one case."""
        return Cohort(NAME, (SAMPLE_CASE,))

    def read(self, case: Case, stop: Event, progress: OnProgress) -> PreparedCase:
        """Downloaded and unpacked; the first time, the server computes for some seconds."""

        def fetching(share: float, message: str, eta: float | None) -> None:
            progress(FETCHED * share, message, eta)

        progress(0.0, _("Fetching the case"), None)
        result = sample_case(self._client, stop, fetching)
        images, masks = unpacked(result, stop, progress)
        metadata = {str(key): value for key, value in dict(result.parameters.get("metadata", {})).items()}
        return prepared(Origin(SAMPLE, NAME, SAMPLE_CASE.id), images, masks, metadata)


class FolderSource:
    """A cohort in a folder of this computer; it is read anew by every `cohort`."""

    kind = FOLDER

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found: FolderCohort | None = None

    def cohort(self, stop: Event) -> Cohort:
        """The cases, found anew."""
        return self._read(anew=True).cohort

    def read(self, case: Case, stop: Event, progress: OnProgress) -> PreparedCase:
        """Read from its files, one after the other."""
        found = self._read(anew=False)
        files = found.files.get(case.id)
        if files is None:
            msg = _("{folder} has no case “{case}” any more; read the folder again.")
            msg = msg.format(folder=self.path, case=case.id)
            raise LoadError(msg)
        count, done = len(files.images) + len(files.masks), 0
        parts: list[dict[str, Volume]] = []
        for paths, order in ((files.images, modality_order), (files.masks, rater_order)):
            volumes: dict[str, Volume] = {}
            for name in sorted(paths, key=order):
                _go_on(stop)
                progress(done / count, _("Reading {file}").format(file=paths[name].name), None)
                volumes[name] = read_volume(paths[name])
                done += 1
            parts.append(volumes)
        return prepared(Origin(FOLDER, found.cohort.name, case.id), parts[0], parts[1], case.metadata)

    def _read(self, anew: bool) -> FolderCohort:
        if self._found is None or anew:
            try:
                self._found = read_folder(self.path)
            except FolderError as error:
                raise LoadError(str(error)) from error
        return self._found


def unpacked(result: Result, stop: Event, progress: OnProgress) -> tuple[dict[str, Volume], dict[str, Volume]]:
    """Images by modality and masks by rater of a downloaded case. Raises `ServerError` when a part is missing."""
    images: dict[str, Volume] = {}
    masks: dict[str, Volume] = {}
    try:
        named = [dict(result.parameters[kind]) for kind in ("images", "masks")]
        count = sum(map(len, named))
        for found, names, unpack in zip((images, masks), named, (volume_of, labelmap_of)):
            for key, part in names.items():
                _go_on(stop)
                share = (len(images) + len(masks)) / count
                progress(FETCHED + (1 - FETCHED) * share, _("Unpacking {part}").format(part=key), None)
                found[str(key)] = unpack(result, part)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise damaged(_("it lacks {error} of the case").format(error=error)) from None
    return images, masks


def read_volume(path: Path) -> Volume:
    """An image file of this computer. Raises `LoadError` when it is none, or damaged."""
    try:
        volume = decode_image(path.read_bytes())
    except OSError as error:
        msg = _("{path} cannot be read ({reason}).").format(path=path, reason=error.strerror)
        raise LoadError(msg) from error
    except ValueError as error:
        msg = _("{path} is damaged: {error}.").format(path=path, error=error)
        raise LoadError(msg) from error
    if volume is None:
        msg = _("{path} is neither NIfTI nor NRRD.").format(path=path)
        raise LoadError(msg)
    return volume


def table_problems(cohort: Cohort) -> Mapping[str, tuple[str, ...]]:
    """What is seen to be wrong with each case before its voxels are read, by its id."""
    modalities = {name for case in cohort.cases for name in case.modalities}
    raters = {name for case in cohort.cases for name in case.raters}
    found = {}
    for case in cohort.cases:
        words = [
            _("no {name}").format(name=name) for name in sorted(modalities - set(case.modalities), key=modality_order)
        ]
        if not case.raters:
            words.append(_("no mask"))
        else:
            words += [
                _("no mask of {name}").format(name=name) for name in sorted(raters - set(case.raters), key=rater_order)
            ]
        found[case.id] = tuple(words)
    return found


def _go_on(stop: Event) -> None:
    if stop.is_set():
        raise Stopped
