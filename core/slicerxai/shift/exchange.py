"""Exchanges of one mechanism that can be observed instead of estimated.

Paired: every case carries the masks of both environments' raters, so that the same prediction is scored against
either. Harmonised: every image is carried over to the other environment's look (see `slicerxai.shift.harmonise`) and
the model runs again; as good as the transport is.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, overload

import numpy as np
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray
from pydantic import TypeAdapter

from slicerxai.data.case import Case
from slicerxai.data.files import replaced_text
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.protocols import Segmenter
from slicerxai.progress import Progress, part, silent
from slicerxai.shift.evaluate import score_raters
from slicerxai.shift.harmonise import Transport, fit_transport
from slicerxai.shift.options import EstimatorName, ExchangeName
from slicerxai.shift.reading import Agreement, bright_modality, case_file_digest, digest_of

FORMAT: Final = 1
"""Version of how a transport is fitted; one kept by another version is fitted anew."""
ExchangeKind = Literal["none", "paired", "harmonised"]
MECHANISM: Final[dict[ExchangeKind, str]] = {"paired": "annotation", "harmonised": "acquisition"}
"""The mechanism that an exchange observes."""


@dataclass(frozen=True)
class Exchanged:
    """Agreement of every case with the mechanism taken from the other environment.

    Attributes:
        source, target: one for each case of either environment.
        limits: what the exchange could not match, in words.
    """

    kind: ExchangeKind
    source: list[Agreement]
    target: list[Agreement]
    limits: tuple[str, ...] = ()


def choose_exchange(
    wanted: ExchangeName,
    estimator: EstimatorName,
    raters: tuple[str, str],
    source: Sequence[Case],
    target: Sequence[Case],
) -> ExchangeKind:
    """Which exchange is made; "auto" is paired wherever that is possible.

    Args:
        raters: of the source and of the target.

    Raises:
        InputError: the wanted exchange is not possible, and why.
    """
    if wanted == "auto":
        possible = raters[0] != raters[1] and not _without(source, raters[1]) and not _without(target, raters[0])
        return "paired" if possible and estimator != "plain" else "none"
    if wanted != "none" and estimator == "plain":
        msg = (
            f"estimator 'plain' cannot use exchange {wanted!r}; accepted: estimator robust or weighting, or no exchange"
        )
        raise InputError(msg, accepted=("robust", "weighting"))
    if wanted == "paired":
        if raters[0] == raters[1]:
            msg = (
                f"a paired exchange compares two raters, but both environments take the masks of rater {raters[0]!r}; "
                "name two raters, or choose exchange none"
            )
            raise InputError(msg, accepted=("auto", "none", "harmonised"))
        for name, cases, rater in (("source", source, raters[1]), ("target", target, raters[0])):
            if lacking := _without(cases, rater):
                msg = (
                    f"a paired exchange needs both raters' masks on every case: {len(lacking)} of {len(cases)} cases "
                    f"of the {name} lack one of rater {rater!r}, such as {lacking[0]!r}; choose exchange auto or none"
                )
                raise InputError(msg, accepted=("auto", "none", "harmonised"))
    return wanted


def paired(
    segmenter: Segmenter,
    source: Sequence[Case],
    target: Sequence[Case],
    raters: tuple[str, str],
    cache: Path,
    progress: Progress = silent,
) -> Exchanged:
    """The same predictions against the other environment's rater."""
    found = [
        _against(segmenter, cases, rater, cache, part(progress, *share))
        for cases, rater, share in ((source, raters[1], (0.0, 0.5)), (target, raters[0], (0.5, 1.0)))
    ]
    return Exchanged("paired", found[0], found[1])


def _against(
    segmenter: Segmenter,
    cases: Sequence[Case],
    rater: str,
    cache: Path,
    progress: Progress,
    transport: Transport | None = None,
) -> list[Agreement]:
    """How predictions and one rater's masks agree, for each case."""
    return [
        row[rater] for row in score_raters(segmenter, cases, [rater], cache, transport=transport, progress=progress)
    ]


def harmonised(
    segmenter: Segmenter,
    source: Sequence[Case],
    target: Sequence[Case],
    raters: tuple[str, str],
    cache: Path,
    progress: Progress = silent,
) -> Exchanged:
    """Predictions on images carried over to the other environment's look, against each environment's own rater.

    Raises:
        InputError: images that are oriented differently, or unusable.
    """
    modality = bright_modality(segmenter)
    forth = transport_between(source, target, modality, cache, part(progress, 0.0, 0.2))
    back = transport_between(target, source, modality, cache, part(progress, 0.2, 0.4))
    found = [
        _against(segmenter, cases, rater, cache, part(progress, *share), carried)
        for cases, rater, carried, share in (
            (source, raters[0], forth, (0.4, 0.7)),
            (target, raters[1], back, (0.7, 1.0)),
        )
    ]
    limits = [f"source to target: {limit}" for limit in forth.limits]
    limits += [f"target to source: {limit}" for limit in back.limits]
    return Exchanged("harmonised", found[0], found[1], tuple(limits))


def transport_between(
    source: Sequence[Case], target: Sequence[Case], modality: str, cache: Path, progress: Progress = silent
) -> Transport:
    """The fitted change of look from one set of cases to another, kept in the cache."""
    key = digest_of(
        {
            "transport": FORMAT,
            "source": [case_file_digest(case, case.images[modality]) for case in source],
            "target": [case_file_digest(case, case.images[modality]) for case in target],
        }
    )
    path = cache / f"{key}.json"
    if not path.is_file():
        _check_orientation([*source, *target], modality)
        fitted = fit_transport(_Images(source, modality), _Images(target, modality), progress)
        cache.mkdir(parents=True, exist_ok=True)
        replaced_text(path, json.dumps(asdict(fitted)) + "\n")
    return TypeAdapter(Transport).validate_json(path.read_bytes())


class _Images(Sequence[Volume]):
    """One modality of cases, read when it is asked for."""

    def __init__(self, cases: Sequence[Case], modality: str) -> None:
        self.cases, self.modality = cases, modality

    def __len__(self) -> int:
        return len(self.cases)

    @overload
    def __getitem__(self, index: int) -> Volume: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Volume]: ...
    def __getitem__(self, index: int | slice) -> Volume | Sequence[Volume]:
        if isinstance(index, slice):
            return _Images(self.cases[index], self.modality)
        return self.cases[index].image(self.modality)


def _check_orientation(cases: Sequence[Case], modality: str) -> None:
    seen = {case.id: "".join(map(str, aff2axcodes(_affine(case, modality)))) for case in cases}
    if len(kinds := sorted(set(seen.values()))) > 1:
        example = {kind: next(name for name, value in seen.items() if value == kind) for kind in kinds}
        shown = ", ".join(f"{name!r} is {kind}" for kind, name in example.items())
        msg = (
            f"images cannot be carried over between orientations ({shown}); reorient them alike, or choose another "
            "exchange"
        )
        raise InputError(msg, accepted=("auto", "none", "paired"))


def _affine(case: Case, modality: str) -> NDArray[np.float64]:
    return case.image(modality).affine


def _without(cases: Sequence[Case], rater: str) -> list[str]:
    return [case.id for case in cases if rater not in case.masks]
