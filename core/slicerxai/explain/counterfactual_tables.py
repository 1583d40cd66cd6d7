"""What an explanation says of the counterfactuals of a case: overlays, tables, figures in numbers, and flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from slicerxai.data.resample import resample_like
from slicerxai.data.volume import Volume
from slicerxai.explain.case_parts import slug
from slicerxai.explain.contract import Flag, Overlay, Table
from slicerxai.explain.counterfactual_decisions import Reading
from slicerxai.explain.counterfactual_search import Solution
from slicerxai.explain.lesion_cells import rounded
from slicerxai.models.protocols import Prepared

COLUMNS: Final = (
    *("number", "flipped", "probability_before", "probability_after", "change_l1", "changed_voxels"),
    *("share_inside_mask", "plausibility", "overlay"),
)
MOSTLY: Final = 0.5
"""More of the change than this outside the expert's mask is flagged."""
IMPLAUSIBLE: Final = 0.05
"""Less plausible than this is called unlike a patient, and flagged where the original is not."""


@dataclass(frozen=True)
class Case:
    """A decision of a case and what was found to turn it.

    Attributes:
        subject, wanted: the decision and what it should turn to, for people.
        labels, thresholds: of a classifier; no label, and the one threshold, of a segmenter.
        images: by channel, as given.
        before: what the model makes of the image.
        mask: the expert's, 0 and 1 on the grid of the first channel's image.
        plausibility: of each solution, in [0, 1]; None where it was not judged.
        plausibility_before: of the original.
        learned: something was learned of the model's images, by which it could be judged.
    """

    subject: str
    wanted: str
    labels: tuple[str, ...]
    thresholds: tuple[float, ...]
    exclusive: bool
    channels: tuple[str, ...]
    images: Mapping[str, Volume]
    prepared: Prepared
    before: Reading
    solutions: Sequence[Solution]
    mask: Volume | None
    plausibility: Sequence[float | None]
    plausibility_before: float | None = None
    learned: bool = False

    @property
    def first(self) -> Solution | None:
        """The first counterfactual; None where nothing in the image may change."""
        return self.solutions[0] if self.solutions else None

    def inside(self, solution: Solution) -> float | None:
        """Share of the change, over all channels in units of the network, that lies inside the mask."""
        if self.mask is None:
            return None
        total = within = 0.0
        for name in self.channels:
            size = self.size(solution, name)
            drawn = np.asarray(resample_like(self.mask, self.images[name], order=0).array) != 0
            total += float(size.sum())
            within += float(size[drawn].sum())
        return within / total if total else None

    @property
    def mask_share(self) -> float | None:
        """Share of the imaged volume (not 0 in the first channel) that the mask holds."""
        if self.mask is None:
            return None
        seen = np.asarray(self.images[self.channels[0]].array) != 0
        return float((np.asarray(self.mask.array) != 0)[seen].mean()) if seen.any() else None

    def size(self, solution: Solution, channel: str) -> NDArray[np.floating]:
        """|change| of a channel on its image's grid, units of the network."""
        written = solution.written
        size: NDArray[np.floating] = np.abs(np.asarray(written.changes[channel].array, np.float64))
        return size / written.units[channel]


def overlay_name(kind: str, number: int, channel: str | None = None) -> str:
    """Such as "difference", "difference_2", "difference_2_T1"; the first channel has no name of its own."""
    parts = [kind, *([str(number)] if number > 1 else []), *([] if channel is None else [slug(channel)])]
    return "_".join(parts)


def overlays(case: Case) -> dict[str, Overlay]:
    """Changed image and difference of each counterfactual, on the grids and in the units of the images."""
    found: dict[str, Overlay] = {}
    for solution in case.solutions:
        number = solution.trial.number
        state = "would turn" if solution.after.turned else "does not turn"
        for index, channel in enumerate(case.channels):
            which = None if index == 0 else channel
            words = f"counterfactual {number}, which {state} {case.subject} ({case.wanted})"
            found[overlay_name("counterfactual", number, which)] = Overlay(
                solution.written.images[channel], "counterfactual", "intensity", f"{channel} of {words}."
            )
            found[overlay_name("difference", number, which)] = Overlay(
                solution.written.changes[channel],
                "difference",
                "intensity",
                f"What {words}, adds to {channel}; positive is brighter.",
            )
    if case.mask is not None:
        found["expert_mask"] = Overlay(case.mask, "labelmap", "label", "The expert's mask.")
    return found


def tables(case: Case) -> dict[str, Table]:
    """The gallery, and what becomes of every label of a classifier in the first counterfactual."""
    rows: list[list[str | int | float | bool | None]] = [
        [
            solution.trial.number,
            solution.after.turned,
            rounded(case.before.probability),
            rounded(solution.after.probability),
            rounded(float(solution.trial.change.abs().sum())),
            solution.trial.changed_voxels,
            rounded(case.inside(solution)),
            rounded(plausibility),
            overlay_name("difference", solution.trial.number),
        ]
        for solution, plausibility in zip(case.solutions, case.plausibility, strict=True)
    ]
    found = {"counterfactuals": Table(title="Counterfactuals", columns=[*COLUMNS], rows=rows)}
    return found | ({"labels": _labels(case)} if case.labels else {})


def empty_table() -> Table:
    """The gallery without a counterfactual."""
    return Table(title="Counterfactuals", columns=[*COLUMNS], rows=[])


def _labels(case: Case) -> Table:
    after = case.before if case.first is None else case.first.after
    was, now = present(case, case.before), present(case, after)
    rows: list[list[str | int | float | bool | None]] = [
        [name, rounded(before), rounded(probability), None if case.exclusive else rounded(limit), one != other]
        for name, before, probability, limit, one, other in zip(
            case.labels, case.before.labels, after.labels, case.thresholds, was, now, strict=True
        )
    ]
    columns = ["label", "before", "after", "threshold", "flipped"]
    return Table(title="Labels in the first counterfactual", columns=columns, rows=rows)


def present(case: Case, reading: Reading) -> list[bool]:
    """Which labels of a classifier are present."""
    if case.exclusive:
        return [value == max(reading.labels) for value in reading.labels]
    return [value >= limit for value, limit in zip(reading.labels, case.thresholds, strict=True)]


def metrics(case: Case) -> dict[str, float]:
    """Of the first counterfactual."""
    values: dict[str, float | None] = {
        "probability_before": case.before.probability,
        "plausibility_before": case.plausibility_before,
    }
    first = case.first
    if first is not None:
        values |= {
            "probability_after": first.after.probability,
            "changed_voxels": float(first.trial.changed_voxels),
            "change_l1": float(first.trial.change.abs().sum()),
            "alpha": first.trial.alpha,
            "share_inside_mask": case.inside(first),
            "plausibility": case.plausibility[0],
        }
    values["mask_share_of_image"] = case.mask_share
    values["counterfactuals"] = float(sum(solution.after.turned for solution in case.solutions))
    return {name: value for name, value in values.items() if value is not None}


def flags(case: Case) -> list[Flag]:
    """What a reader should know of the model's decision."""
    found: list[Flag] = []
    for solution, plausibility in zip(case.solutions, case.plausibility, strict=True):
        if not solution.after.turned:
            continue
        subject = f"counterfactual {solution.trial.number}"
        inside = case.inside(solution)
        if inside is not None and 1 - inside > MOSTLY:
            found.append(Flag(subject=subject, message=_outside(case, inside)))
        if others := _others(case, solution):
            found.append(Flag(subject=subject, message=f"The same change turns other labels too: {', '.join(others)}."))
        if solution.after.appeared:
            count = solution.after.appeared
            message = f"{count} lesion{'s are' if count > 1 else ' is'} predicted in it where there was none."
            found.append(Flag(subject=subject, message=message))
        usual = case.plausibility_before is not None and case.plausibility_before >= IMPLAUSIBLE
        if plausibility is not None and plausibility < IMPLAUSIBLE and usual:
            message = (
                "The changed image looks unlike the images that the model knows: it shows a weakness of the model "
            )
            found.append(Flag(subject=subject, message=message + "rather than another patient."))
    return found


def _outside(case: Case, inside: float) -> str:
    chance = case.mask_share
    holds = f"holds {100 * chance:.2g} % of the imaged volume" if chance else "is empty"
    return (
        f"{100 * (1 - inside):.0f} % of the change lies outside the expert's mask (which {holds}): the model decides "
        f"{case.subject} mostly from elsewhere."
    )


def _others(case: Case, solution: Solution) -> list[str]:
    if not case.labels or case.exclusive:
        return []
    was, now = present(case, case.before), present(case, solution.after)
    return [
        f"{name} ({'present' if after else 'absent'})"
        for name, before, after in zip(case.labels, was, now, strict=True)
        if before != after and f"label {name}" != case.subject
    ]
