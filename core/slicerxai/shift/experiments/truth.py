"""The true shares, where they are known.

Across raters every test image carries both raters' masks: with the annotation exchanged the performance is observed, on
any cohort. Images and patients are the same on both sides, so that their shares are zero and the annotation's is the
drop.

Across centres it is known for a phantom alone: its patients are scanned again in the scanners of the other side. The
value of a coalition is the mean, over the patients of the side that gives the population, of the performance on their
images from the side that gives the acquisition, against the rater of the side that gives the annotation. A patient's
own side has the patient's own scanner; the other side has each of its scanners, weighted by its share of that side's
test cases. The shares are the Shapley values of these performances on these very patients; the population's holds the
chance difference between two small groups of patients even where both come from one population.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from slicerxai.data.case import Case
from slicerxai.data.cohort import Cohort
from slicerxai.data.files import replaced_text
from slicerxai.data.phantom.cohort import DESCRIPTION, FORMAT
from slicerxai.data.phantom.parameters import PhantomParameters
from slicerxai.data.phantom.patient import truth_of
from slicerxai.data.resample import resample_like
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.models.protocols import Segmenter
from slicerxai.progress import Progress
from slicerxai.shift.evaluate import ERRORS
from slicerxai.shift.experiments.folder import ExperimentFolder
from slicerxai.shift.graph import DEFAULT_GRAPH
from slicerxai.shift.options import MetricName
from slicerxai.shift.reading import metrics_of
from slicerxai.shift.shapley import shapley
from slicerxai.shift.study import points

Array = NDArray[np.float64]
Metrics = Mapping[str, float | None]
Scans = Mapping[str, Mapping[str, Metrics]]
"""Of one case: scanner (a centre's name) to rater to metrics."""

_CASE: Final = re.compile(r"(\d{2})_(\d+)")


@dataclass(frozen=True)
class TrueShares:
    """What is true of the very cases of a pair, in points (100 × the metric) or the error's own unit."""

    shares: dict[str, float]
    drop: float


def observed(source: Mapping[str, Metrics], target: Mapping[str, Metrics], metric: MetricName) -> TrueShares | None:
    """Across raters, from the same cases' metrics on either side; None when no case has a meaningful metric on both."""
    differences = [
        (one - other) * (-1.0 if metric in ERRORS else 1.0)
        for case in source
        if case in target and (one := source[case][metric]) is not None and (other := target[case][metric]) is not None
    ]
    if not differences:
        return None
    drop = points(metric) * float(np.mean(differences))
    return TrueShares({name: drop if name == "annotation" else 0.0 for name in DEFAULT_GRAPH.names}, drop)


def swapped(
    scans: Mapping[str, Scans],
    sides: tuple[Mapping[str, str], Mapping[str, str]],
    raters: tuple[str, str],
    metric: MetricName,
) -> TrueShares | None:
    """Across centres, from every case's metrics in the scanners of both sides.

    Args:
        scans: by case.
        sides: of source and target, each case's own centre.
        raters: of source and target.

    Returns:
        None when a coalition has no case with a meaningful metric.
    """
    centres = [_weights(side) for side in sides]
    values = np.empty(2 ** len(DEFAULT_GRAPH))
    for coalition in range(len(values)):
        population, acquisition, annotation = ((coalition >> bit) & 1 for bit in range(3))
        rater = raters[annotation]
        found = []
        for case, home in sides[population].items():
            scanners = {home: 1.0} if population == acquisition else centres[acquisition]
            parts = [(scans[case][scanner][rater][metric], weight) for scanner, weight in scanners.items()]
            known = [(value, weight) for value, weight in parts if value is not None]
            if known:
                found.append(sum(value * weight for value, weight in known) / sum(weight for _, weight in known))
        if not found:
            return None
        values[coalition] = points(metric) * (-1.0 if metric in ERRORS else 1.0) * float(np.mean(found))
    shares = shapley(-values)
    return TrueShares(dict(zip(DEFAULT_GRAPH.names, map(float, shares), strict=True)), float(values[0] - values[-1]))


def _weights(side: Mapping[str, str]) -> dict[str, float]:
    """Share of each centre among the cases of a side."""
    names = list(side.values())
    return {name: names.count(name) / len(names) for name in sorted(set(names))}


def phantom_parameters(source: Path) -> PhantomParameters | None:
    """What a phantom cohort was made with; None when the folder holds no phantom."""
    try:
        content = json.loads((source / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return None
    return PhantomParameters.model_validate(content["parameters"])


@dataclass(frozen=True)
class PhantomTruth:
    """Scores of phantom patients in their own scanner and in those of the other side.

    Attributes:
        parameters: of the phantom.
        sides: centres of source and target.
        raters: whose masks.
    """

    parameters: PhantomParameters
    sides: tuple[tuple[str, ...], tuple[str, ...]]
    raters: tuple[str, ...]

    def measure(
        self, cohort: Cohort, segmenter: Segmenter, folder: ExperimentFolder, progress: Progress
    ) -> dict[str, Scans]:
        """Scan, segment and score every case; finished cases are kept in `truth/`.

        Raises:
            InputError: a case that is not of the phantom as it is described.
            Cancelled: through `progress`.
        """
        found = {}
        for number, case in enumerate(cohort):
            progress(number / len(cohort), f"case {number + 1} of {len(cohort)} in the other scanners")
            path = folder.truth(case.id)
            about = {
                "model": segmenter.info.digest,
                "sides": [list(side) for side in self.sides],
                "raters": list(self.raters),
            }
            kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            if any(kept.get(key) != value for key, value in about.items()):
                centre, _ = self._place(case)
                kept = {"case": case.id, "centre": centre, **about, "scans": self._scans(case, segmenter)}
                replaced_text(path, json.dumps(kept) + "\n")
            found[case.id] = kept["scans"]
        progress(1.0, f"{len(cohort)} cases in the other scanners")
        return found

    def _scans(self, case: Case, segmenter: Segmenter) -> Scans:
        home, index = self._place(case)
        patient = truth_of(self.parameters, index)
        masks = {rater: case.mask(rater) for rater in self.raters}
        scans = {}
        for centre in self._scanners(home):
            images = patient.images(self.parameters.acquisition[centre])
            if centre == home:
                self._same(case, images, segmenter.info.channels)
            found = segmenter.predict({name: images[name] for name in segmenter.info.channels}).labelmap
            scans[centre] = {
                rater: metrics_of(found, resample_like(mask, found, order=0)) for rater, mask in masks.items()
            }
        return scans

    def _scanners(self, home: str) -> list[str]:
        """A patient's own, and those of the sides that it does not belong to."""
        return sorted({home, *(centre for side in self.sides if home not in side for centre in side)})

    def _place(self, case: Case) -> tuple[str, int]:
        """Centre and number of a case in the phantom."""
        match = _CASE.fullmatch(case.id)
        number = int(match[2]) if match else 0
        if match is None or match[1] not in self.parameters.centres or not 1 <= number <= self.parameters.patients:
            msg = f"case {case.id!r} is not one of the phantom that {DESCRIPTION} describes"
            raise InputError(msg)
        return match[1], self.parameters.centres.index(match[1]) * self.parameters.patients + number - 1

    @staticmethod
    def _same(case: Case, images: Mapping[str, Volume], channels: tuple[str, ...]) -> None:
        """The patient in its own scanner must be the image on disk, or the truth would be another patient's."""
        for name in channels:
            if not np.array_equal(case.image(name).array, images[name].array):
                msg = (
                    f"{name} of case {case.id!r} is not what {DESCRIPTION} describes: the cohort was changed, or was "
                    "written by another version; the truth cannot be found"
                )
                raise InputError(msg)
