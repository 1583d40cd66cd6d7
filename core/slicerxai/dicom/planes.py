"""The planes of MR images in the patient, and the regular grid that they form.

Positions and orientations are those of DICOM PS3.3 C.7.6.2 (LPS mm); grids are RAS+ like every `Volume`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from slicerxai.dicom.errors import DicomError
from slicerxai.dicom.headers import guarded, numbers, whole

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
MAX_FRAMES = 16384

_ANGLE = 1e-3
"""Largest difference of two direction cosines that are taken for one orientation; headers round to about 1e-5."""
_SIDEWAYS_MM = 0.1
"""How far a slice may lie beside the stack."""
_UNEVEN = 0.02
"""Largest deviation of a slice from its place in an even stack, in units of the slice distance."""
_SAME_PLACE_MM = 1e-3


@dataclass(frozen=True)
class Plane:
    """One frame and its place.

    Attributes:
        position: centre of the first voxel, LPS mm.
        row, column: unit vectors along which the column index and the row index rise, LPS.
        spacing: between rows and between columns, mm, in this order (PixelSpacing).
        shape: rows, columns.
        rescale: slope and intercept from stored to real values.
        owner: index of the dataset among those of its series.
        frame: index within the dataset, from 0.
        echo_time: ms; None when not stated.
    """

    position: tuple[float, float, float]
    row: tuple[float, float, float]
    column: tuple[float, float, float]
    spacing: tuple[float, float]
    shape: tuple[int, int]
    rescale: tuple[float, float]
    owner: int
    frame: int
    echo_time: float | None

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector along which slices are sorted."""
        return np.cross(self.row, self.column)

    @property
    def depth(self) -> float:
        """Place along the normal, mm."""
        return float(self.normal @ np.asarray(self.position))


def planes_of(header: Dataset, owner: int, what: str) -> list[Plane]:
    """The planes of one MR image: one, or one for each frame of an enhanced image.

    Raises `DicomError` ("geometry") when position, orientation or spacing is missing or impossible.
    """
    shape = (whole(header, "Rows", what) or 0, whole(header, "Columns", what) or 0)
    if min(shape) < 1:
        raise DicomError(f"{what}: {shape[0]} rows and {shape[1]} columns", "geometry")
    if "PerFrameFunctionalGroupsSequence" not in header:
        if (whole(header, "NumberOfFrames", what) or 1) != 1:
            raise DicomError(f"{what}: several frames without a position for each", "geometry")
        return [_plane([header], shape, owner, 0, what)]
    return list(_frames(header, shape, owner, what))


def stacked(planes: Sequence[Plane]) -> tuple[list[Plane], NDArray[np.float64]]:
    """Planes in the order of a volume's third axis, and the affine of (column, row, slice) to RAS mm.

    Slices are sorted along row × column, so that the axes are right-handed whatever the file order was.

    Raises:
        DicomError: "geometry", naming what is wrong: a single slice, different sizes, spacings or orientations, several
            images at one position, a missing slice, uneven distances, slices displaced sideways.
    """
    first = planes[0]
    if len(planes) < 2:
        raise DicomError("a single slice is no volume", "geometry")
    _check_alike(planes)
    ordered = sorted(planes, key=lambda plane: plane.depth)
    depths = np.array([plane.depth for plane in ordered])
    places = 1 + int(np.count_nonzero(np.diff(depths) > _SAME_PLACE_MM))
    if places < len(planes):
        raise DicomError(
            f"{len(planes)} images at {places} positions: several times, weightings or parts in one series", "geometry"
        )
    _check_even(depths)
    positions = np.array([plane.position for plane in ordered])
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    beside = positions - positions[0] - np.outer(depths - depths[0], first.normal)
    if (worst := float(np.linalg.norm(beside, axis=1).max())) > _SIDEWAYS_MM:
        raise DicomError(f"slices are displaced sideways by up to {worst:.2f} mm (tilted stack)", "geometry")
    affine = np.eye(4)
    affine[:3, 0] = np.asarray(first.row) * first.spacing[1]
    affine[:3, 1] = np.asarray(first.column) * first.spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = positions[0]
    return ordered, LPS_TO_RAS @ affine + 0.0


def _frames(header: Dataset, shape: tuple[int, int], owner: int, what: str) -> Iterator[Plane]:
    groups = guarded(what, lambda: list(header.PerFrameFunctionalGroupsSequence))
    shared = guarded(what, lambda: list(header.get("SharedFunctionalGroupsSequence") or []))
    count = whole(header, "NumberOfFrames", what)
    if count != len(groups):
        raise DicomError(f"{what}: {count} frames, but {len(groups)} positions", "geometry")
    if len(groups) > MAX_FRAMES:
        raise DicomError(f"{what}: {len(groups)} frames; accepted are at most {MAX_FRAMES}", "size")
    for index, group in enumerate(groups):
        yield _plane(_parts([group, *shared], what), shape, owner, index, f"{what}, frame {index + 1}")


def _parts(groups: Sequence[Dataset], what: str) -> list[Dataset]:
    """The first item of every functional group: the datasets in which a frame's attributes are found."""
    return [
        element.value[0]
        for group in groups
        for element in guarded(what, lambda group=group: list(group))  # type: ignore[misc]
        if element.VR == "SQ" and len(element.value) > 0
    ]


def _plane(parts: Sequence[Dataset], shape: tuple[int, int], owner: int, frame: int, what: str) -> Plane:
    position = _required(parts, "ImagePositionPatient", 3, what)
    orientation = _required(parts, "ImageOrientationPatient", 6, what)
    spacing = _required(parts, "PixelSpacing", 2, what)
    if min(spacing) <= 0 or max(spacing) > 1e4:
        raise DicomError(f"{what}: pixel spacing {spacing[0]:g} × {spacing[1]:g} mm", "geometry")
    slope, intercept = _stated(parts, "RescaleSlope", what), _stated(parts, "RescaleIntercept", what)
    if slope == 0:
        raise DicomError(f"{what}: rescale slope 0", "pixels")
    echo_time = _stated(parts, "EchoTime", what)
    row, column = _unit(orientation[:3], orientation[3:], what)
    return Plane(
        position=(position[0], position[1], position[2]),
        row=row,
        column=column,
        spacing=(spacing[0], spacing[1]),
        shape=shape,
        rescale=(1.0 if slope is None else slope, 0.0 if intercept is None else intercept),
        owner=owner,
        frame=frame,
        echo_time=_stated(parts, "EffectiveEchoTime", what) if echo_time is None else echo_time,
    )


def _stated(parts: Sequence[Dataset], keyword: str, what: str) -> float | None:
    found = (numbers(part, keyword, 1, what) for part in parts if keyword in part)
    return next((values[0] for values in found if values is not None), None)


def _required(parts: Sequence[Dataset], keyword: str, count: int, what: str) -> tuple[float, ...]:
    for part in parts:
        if keyword in part and (values := numbers(part, keyword, count, what)) is not None:
            if max(map(abs, values)) > 1e6:
                raise DicomError(f"{what}: {keyword} is impossibly large", "geometry")
            return values
    raise DicomError(f"{what}: has no {keyword}", "geometry")


_Vector = tuple[float, float, float]


def _unit(row: Sequence[float], column: Sequence[float], what: str) -> tuple[_Vector, _Vector]:
    """Rounded direction cosines made orthonormal, by no more than the rounding of a header."""
    first, second = np.asarray(row), np.asarray(column)
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(first @ second)) > _ANGLE:
        raise DicomError(f"{what}: the image orientation is not two unit vectors at right angles", "geometry")
    first = first / lengths[0]
    second = second - (second @ first) * first
    second = second / np.linalg.norm(second)
    return (float(first[0]), float(first[1]), float(first[2])), (float(second[0]), float(second[1]), float(second[2]))


def _check_alike(planes: Sequence[Plane]) -> None:
    first = planes[0]
    for plane in planes[1:]:
        if plane.shape != first.shape:
            raise DicomError(f"slices of different sizes: {_size(first)} and {_size(plane)}", "geometry")
        if not np.allclose(plane.spacing, first.spacing, rtol=1e-4, atol=0.0):
            raise DicomError(f"slices of different pixel spacing: {first.spacing} and {plane.spacing} mm", "geometry")
        turned = np.abs(np.asarray(plane.row + plane.column) - np.asarray(first.row + first.column)).max()
        if turned > _ANGLE:
            raise DicomError("slices of different orientations in one series, as localisers have", "geometry")


def _size(plane: Plane) -> str:
    return f"{plane.shape[0]} × {plane.shape[1]}"


def _check_even(depths: NDArray[np.float64]) -> None:
    """Every distance between neighbours is the usual one; at a multiple of it slices are missing."""
    steps = np.diff(depths)
    usual = float(np.median(steps))
    multiples = np.rint(steps / usual)
    if (multiples > 1).any():
        where = int(np.argmax(multiples > 1))
        raise DicomError(
            f"{int((multiples - 1).clip(0).sum())} slices are missing, the first after slice {where + 1} of "
            f"{depths.size} (distance {steps[where]:.2f} mm where {usual:.2f} mm is usual)",
            "geometry",
        )
    even = np.linspace(depths[0], depths[-1], depths.size)
    worst = float(np.abs(depths - even).max())
    if worst > max(_UNEVEN * usual, 1e-2):
        raise DicomError(
            f"slice distances differ: from {steps.min():.3f} to {steps.max():.3f} mm, up to {worst:.3f} mm off an even "
            "stack",
            "geometry",
        )
