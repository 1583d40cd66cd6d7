"""MR series of a study as volumes: files are grouped, sorted by position and checked before any voxel is read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from slicerxai.data.limits import check_grid
from slicerxai.data.volume import Volume
from slicerxai.dicom.errors import DicomError
from slicerxai.dicom.headers import dicom_files, guarded, read_header, text, uid, whole
from slicerxai.dicom.pixels import check_decodable, frames, stored_type
from slicerxai.dicom.planes import Plane, planes_of, stacked
from slicerxai.dicom.sequences import recognise

__all__ = ["MR_IMAGES", "Sequences", "Series", "dicom_files", "read_series", "sequences"]

MR_IMAGES = {
    "1.2.840.10008.5.1.4.1.1.4": "MR Image",
    "1.2.840.10008.5.1.4.1.1.4.1": "Enhanced MR Image",
    "1.2.840.10008.5.1.4.1.1.4.4": "Legacy Converted Enhanced MR Image",
}
"""Storage classes that are read."""


@dataclass(frozen=True, eq=False)
class Series:
    """One MR series, or one echo of a series that holds several. Its `repr` and `str` hold no identifier.

    Attributes:
        uid: SeriesInstanceUID.
        study_uid: StudyInstanceUID.
        number: SeriesNumber; None when not stated.
        description: SeriesDescription, empty when not stated.
        modality: "FLAIR", "T1", "T2", "PD" or "GADO"; None when the header does not say so clearly.
        modality_reason: what the modality was read from, or why it is not known.
        echo: from 1 by rising echo time where a series with several echoes was divided; None otherwise.
        problem: why this series is no volume (localiser with several orientations, missing slice, …); None when it is.
        datasets: the headers, without pixels, sorted along the slice normal; one for an enhanced multi-frame image.
        files: the file of each of `datasets`.
        planes: the frames along the slice normal; `owner` counts `datasets`. Empty when there is a problem.
        affine: (4, 4), index (column, row, slice) to RAS mm; None when there is a problem.
    """

    uid: str = field(repr=False)
    study_uid: str = field(repr=False)
    number: int | None
    description: str = field(repr=False)
    modality: str | None
    modality_reason: str
    echo: int | None
    problem: str | None
    datasets: tuple[Dataset, ...] = field(repr=False)
    files: tuple[Path, ...] = field(repr=False)
    planes: tuple[Plane, ...] = field(default=(), repr=False)
    affine: NDArray[np.float64] | None = field(default=None, repr=False)

    def grid(self) -> Volume:
        """The same grid without reading a voxel: an all-zero array that takes no memory. Raises as `volume`."""
        if self.problem is not None or self.affine is None:
            raise DicomError(f"{self}: {self.problem}", "geometry")
        rows, columns = self.planes[0].shape
        shape = (columns, rows, len(self.planes))
        return Volume(np.broadcast_to(np.zeros(1, dtype=np.uint8), shape), self.affine)

    def volume(self) -> Volume:
        """The voxels in RAS+: axes (i, j, k) = (column, row, slice along the normal); affine in mm.

        Stored values in their type, or float32 where a rescale slope or intercept applies.

        Raises:
            DicomError: `problem`, a compression that cannot be decoded here, damaged pixels.
            GridError: more voxels than accepted.
        """
        grid = self.grid()
        types = {stored_type(header, str(path)) for header, path in zip(self.datasets, self.files, strict=True)}
        for header, path in zip(self.datasets, self.files, strict=True):
            check_decodable(header, str(path))
        scaled = any(plane.rescale != (1.0, 0.0) for plane in self.planes)
        dtype = np.dtype(np.float32) if scaled else np.result_type(*types)
        check_grid(grid.shape, dtype, str(self))
        array = np.empty(grid.shape, dtype=dtype, order="F")
        by_owner = defaultdict(list)
        for k, plane in enumerate(self.planes):
            by_owner[plane.owner].append((k, plane))
        for owner, members in by_owner.items():
            stored = frames(self.files[owner], self.datasets[owner])
            for k, plane in members:
                slope, intercept = plane.rescale
                values = stored[plane.frame].T
                array[:, :, k] = values * slope + intercept if scaled else values
        if scaled and not np.isfinite(array).all():
            raise DicomError(f"{self}: rescaled values overflow", "pixels")
        return Volume(array, grid.affine)

    def __str__(self) -> str:
        """Number and echo, without words of the header."""
        name = "series without a number" if self.number is None else f"series {self.number}"
        return name if self.echo is None else f"{name}, echo {self.echo}"


@dataclass(frozen=True)
class Sequences:
    """The series of a study by what they are.

    Attributes:
        chosen: the only usable series of each modality.
        ambiguous: modalities with several usable series; nothing is chosen among them.
        left_out: why, for every other series, in the order given.
    """

    chosen: Mapping[str, Series]
    ambiguous: Mapping[str, tuple[Series, ...]]
    left_out: tuple[tuple[Series, str], ...]


def read_series(files: Sequence[Path]) -> list[Series]:
    """The MR series in these files, by SeriesNumber, then UID.

    Objects that are no MR images (segmentations, reports, …) are left out; the same instance twice counts once.

    Raises:
        DicomError: a file is missing, unreadable, no DICOM or lacks its identifiers, or two different files claim to
            be the same instance. A series that is no volume is returned with its `problem`.
    """
    grouped: dict[tuple[str, str], dict[str, tuple[Path, Dataset]]] = defaultdict(dict)
    for path in files:
        header, what = read_header(path), str(path)
        if uid(header, "SOPClassUID", what) not in MR_IMAGES:
            continue
        key = (uid(header, "StudyInstanceUID", what), uid(header, "SeriesInstanceUID", what))
        instance = uid(header, "SOPInstanceUID", what)
        known = grouped[key].get(instance)
        if known is not None and path.read_bytes() != known[0].read_bytes():
            raise DicomError(f"{path} and {known[0]}: different files of the same instance", "unreadable")
        grouped[key].setdefault(instance, (path, header))
    found = [series for (study, name), members in grouped.items() for series in _divided(study, name, members)]
    return sorted(found, key=lambda one: (one.number is None, one.number or 0, one.uid, one.echo or 0))


def sequences(series: Sequence[Series], chosen: Mapping[str, str] | None = None) -> Sequences:
    """One series for each modality, as far as that is clear.

    Args:
        chosen: SeriesInstanceUID by modality that a person decided; it overrules headers and settles ambiguity.

    Raises:
        DicomError: `chosen` names a series that is not among them or is no volume.
    """
    decided = {modality: _named(series, modality, name) for modality, name in (chosen or {}).items()}
    taken = {id(one) for one in decided.values()}
    candidates: dict[str, list[Series]] = defaultdict(list)
    left_out = []
    for one in series:
        if id(one) in taken:
            continue
        if one.problem is not None:
            left_out.append((one, one.problem))
        elif one.modality is None:
            left_out.append((one, one.modality_reason))
        elif one.modality in decided:
            left_out.append((one, f"another series was chosen for {one.modality}"))
        else:
            candidates[one.modality].append(one)
    return Sequences(
        chosen=decided | {name: found[0] for name, found in candidates.items() if len(found) == 1},
        ambiguous={name: tuple(found) for name, found in candidates.items() if len(found) > 1},
        left_out=tuple(left_out),
    )


def _named(series: Sequence[Series], modality: str, name: str) -> Series:
    found = [one for one in series if one.uid == name]
    if len(found) > 1:
        found = [one for one in found if one.modality == modality]
    if len(found) != 1:
        raise DicomError(f"no single series for {modality} has the chosen SeriesInstanceUID", "sequence")
    found[0].grid()
    return found[0]


def _divided(study: str, name: str, members: Mapping[str, tuple[Path, Dataset]]) -> list[Series]:
    """The series, one for each echo where every position was imaged at the same several echo times."""
    files = [path for path, _ in members.values()]
    headers = [header for _, header in members.values()]
    try:
        planes = [
            plane
            for owner, (path, header) in enumerate(zip(files, headers, strict=True))
            for plane in planes_of(header, owner, str(path))
        ]
    except DicomError as error:
        return [_series(study, name, headers, files, None, str(error))]
    echoes = _echoes(planes) if len(headers) > 1 else None
    if echoes is None:
        return [_stacked(study, name, headers, files, planes, None)]
    return [_stacked(study, name, headers, files, part, number) for number, part in enumerate(echoes, start=1)]


def _echoes(planes: Sequence[Plane]) -> list[list[Plane]] | None:
    """Planes by rising echo time, when there are several and each has every position once; None otherwise."""
    times = sorted({plane.echo_time for plane in planes if plane.echo_time is not None})
    if len(times) < 2 or any(plane.echo_time is None for plane in planes):
        return None
    parts = [[plane for plane in planes if plane.echo_time == time] for time in times]
    places = [Counter(np.round(plane.position, 3).tobytes() for plane in part) for part in parts]
    return parts if all(place == places[0] for place in places) else None


def _stacked(
    study: str,
    name: str,
    headers: Sequence[Dataset],
    files: Sequence[Path],
    planes: Sequence[Plane],
    echo: int | None,
) -> Series:
    owners = sorted({plane.owner for plane in planes})
    try:
        if len(headers) > 1 and len(planes) > len(owners):
            raise DicomError("several multi-frame images in one series", "geometry")
        ordered, affine = stacked(planes)
    except DicomError as error:
        return _series(study, name, [headers[o] for o in owners], [files[o] for o in owners], echo, str(error))
    sources = list(dict.fromkeys(plane.owner for plane in ordered))
    position = {owner: index for index, owner in enumerate(sources)}
    return _series(
        study,
        name,
        [headers[owner] for owner in sources],
        [files[owner] for owner in sources],
        echo,
        None,
        tuple(_owned(plane, position[plane.owner]) for plane in ordered),
        affine,
    )


def _owned(plane: Plane, owner: int) -> Plane:
    return replace(plane, owner=owner)


def _series(
    study: str,
    name: str,
    headers: Sequence[Dataset],
    files: Sequence[Path],
    echo: int | None,
    problem: str | None,
    planes: tuple[Plane, ...] = (),
    affine: NDArray[np.float64] | None = None,
) -> Series:
    header, what = headers[0], str(files[0])
    found = recognise(header)
    return Series(
        uid=name,
        study_uid=study,
        number=guarded(what, lambda: whole(header, "SeriesNumber", what)),
        description=text(header, "SeriesDescription", what),
        modality=found.modality,
        modality_reason=found.reason,
        echo=echo,
        problem=problem,
        datasets=tuple(headers),
        files=tuple(files),
        planes=planes,
        affine=affine,
    )
