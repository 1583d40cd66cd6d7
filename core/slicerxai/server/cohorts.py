"""The cohorts that clients may name: subfolders of one folder, never paths."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort
from slicerxai.data.readers import read_cohort
from slicerxai.errors import InputError, NotFoundError
from slicerxai.explain.contract import Explanation
from slicerxai.server.case_volumes import case_volumes
from slicerxai.server.schemas import CaseView, CohortCasesView, CohortsView, CohortView, ColumnView
from slicerxai.server.sources import ID, checked
from slicerxai.settings import settings

LISTED_VALUES = 100
"""Distinct values of a metadata column that are listed; beyond, it is most likely an id or a measurement."""


CONSENSUS = "consensus"


class Cohorts:
    """The cohorts below one folder, which need not exist.

    A folder with a link that leads out of `root` is refused whole: images, masks and tables are read by many hands.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def names(self) -> list[str]:
        """Names of the visible subfolders that can be asked for, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(entry.name for entry in self.root.iterdir() if ID.fullmatch(entry.name) and entry.is_dir())

    def read(self, name: str) -> Cohort:
        """The cohort of that name; no voxel is read.

        Raises:
            InputError: a malformed name, a folder that is no cohort or holds a link that leads out.
            NotFoundError: no such cohort; lists those there are.
        """
        checked(name, ID, "cohort name")
        folder = self.root / name
        if not folder.is_dir():
            known = self.names()
            hint = f"known: {', '.join(known)}" if known else "there is none yet; put its folder into SLICERXAI_COHORTS"
            msg = f"no cohort {name!r} ({hint})"
            raise NotFoundError(msg, accepted=known)
        try:
            self._check_links(folder, name)
            return replace(read_cohort(folder), name=name)
        except InputError as error:
            raise InputError(self._without_paths(str(error))) from None
        except OSError as error:
            msg = f"cohort {name!r} cannot be read ({error.strerror})"
            raise InputError(msg) from None

    def views(self) -> CohortsView:
        """All cohorts with what an environment can select on."""
        cohorts, unusable = [], {}
        for name in self.names():
            try:
                cohorts.append(describe(self.read(name)))
            except (InputError, NotFoundError) as error:
                unusable[name] = str(error)
        return CohortsView(cohorts=cohorts, unusable=unusable)

    def cases(self, name: str) -> CohortCasesView:
        """What is known of every case of a cohort. Raises as `read` does."""
        cases = [
            CaseView(
                id=case.id, modalities=sorted(case.images), raters=sorted(case.masks), metadata=dict(case.metadata)
            )
            for case in self.read(name)
        ]
        return CohortCasesView(name=name, cases=cases)

    def images(self, name: str, case_id: str, modalities: Iterable[str]) -> dict[str, Path]:
        """The file of each of these modalities of a case.

        Raises:
            InputError, NotFoundError: as `read`; an unknown or ambiguous case, a modality that it lacks.
        """
        case = self.read(name)[case_id]
        return {modality: self._confined(_path(case, case.images, modality, "modality")) for modality in modalities}

    def mask(self, name: str, case_id: str) -> Path | None:
        """The file of a case's consensus mask, or of its only one; None without. Raises as `images` does."""
        masks = self.read(name)[case_id].masks
        rater = CONSENSUS if CONSENSUS in masks else next(iter(masks), None) if len(masks) == 1 else None
        return None if rater is None else self._confined(masks[rater])

    def volumes(
        self, name: str, case_id: str, modalities: Sequence[str] | None, raters: Sequence[str] | None
    ) -> Explanation:
        """Images and masks of a case, see `case_volumes`; None for all that it has.

        Raises:
            InputError, NotFoundError: as `images`; a rater who did not draw, a file that cannot be read.
        """
        case = self.read(name)[case_id]
        images, masks = sorted(case.images), sorted(case.masks)
        images = images if modalities is None else list(modalities)
        masks = masks if raters is None else list(raters)
        chosen = replace(
            case,
            images={key: self._confined(_path(case, case.images, key, "modality")) for key in images},
            masks={key: self._confined(_path(case, case.masks, key, "rater")) for key in masks},
        )
        try:
            return case_volumes(name, chosen)
        except InputError as error:
            raise InputError(self._without_paths(str(error))) from None

    def _confined(self, path: Path) -> Path:
        """With links followed. Raises `InputError` when it leaves the folder, `NotFoundError` without a file."""
        real = path.resolve()
        if not real.is_relative_to(self.root):
            msg = f"{path.name!r} lies outside the cohorts' folder, which is not accepted"
            raise InputError(msg)
        if not real.is_file():
            msg = f"the file {path.name!r} is gone"
            raise NotFoundError(msg)
        return real

    def _check_links(self, folder: Path, name: str) -> None:
        for path in _entries(folder):
            if path.is_symlink() and not path.resolve().is_relative_to(self.root):
                shown = path.relative_to(self.root).as_posix()
                msg = f"cohort {name!r} holds a link out of the cohorts' folder ({shown}), which is not accepted"
                raise InputError(msg)

    def _without_paths(self, text: str) -> str:
        text = text.replace(f"{self.root}{os.sep}", "").replace(str(self.root), "the cohorts' folder")
        return text.encode("utf-8", "replace").decode("utf-8")


def server_cohorts() -> Cohorts:
    """The cohorts of this process, after the settings."""
    return Cohorts(settings().cohorts_folder)


def describe(cohort: Cohort) -> CohortView:
    """What a client needs to choose environments."""
    keys = sorted({key for case in cohort for key in case.metadata})
    return CohortView(
        name=cohort.name,
        cases=len(cohort),
        modalities=_counted(modality for case in cohort for modality in case.images),
        raters=_counted(rater for case in cohort for rater in case.masks),
        metadata={key: _column([case.metadata[key] for case in cohort if key in case.metadata]) for key in keys},
    )


def _path(case: Case, paths: Mapping[str, Path], key: str, what: str) -> Path:
    if key not in paths:
        msg = f"case {case.id!r} has no {what} {key!r}; it has {', '.join(sorted(paths)) or 'none'}"
        raise InputError(msg, accepted=sorted(paths))
    return paths[key]


def _entries(folder: Path) -> Iterator[Path]:
    """The folder and everything in it; links are named, not followed."""
    yield folder
    for parent, folders, files in os.walk(folder, onerror=_raise):
        yield from (Path(parent, name) for name in (*folders, *files))


def _raise(error: OSError) -> None:
    raise error


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _column(values: list[str | float]) -> ColumnView:
    numbers = [value for value in values if not isinstance(value, str)]
    texts = {value for value in values if isinstance(value, str)}
    distinct: list[str | float] = [*sorted(set(numbers)), *sorted(texts)]
    return ColumnView(
        cases=len(values),
        values=distinct if len(distinct) <= LISTED_VALUES else None,
        minimum=min(numbers, default=None),
        maximum=max(numbers, default=None),
    )
