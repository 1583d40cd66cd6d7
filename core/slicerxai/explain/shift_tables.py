"""The numbers of a shift attribution as tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from slicerxai.explain.contract import Table
from slicerxai.explain.shift_parameters import ShiftParameters
from slicerxai.explain.shift_words import FEATURES, VARIABLES, differences, is_error, unit
from slicerxai.shift.evaluate import CaseScore
from slicerxai.shift.options import MetricName
from slicerxai.shift.study import Study, points

Array = NDArray[np.float64]
Cell = str | int | float | bool | None
OBSERVED = {"paired": "annotation", "harmonised": "acquisition"}


def shares(study: Study, parameters: ShiftParameters) -> Table:
    """One row for each mechanism, the unresolved remainder and the whole drop."""
    found, scale, what = study.attribution, points(parameters.metric), unit(parameters.metric)
    rows: list[list[Cell]] = []
    for k, name in enumerate(found.names):
        state = "measured" if name == OBSERVED.get(study.exchange) else found.states[k]
        numbers = [scale * found.phi[k], *(scale * found.interval[k])]
        evidence = [found.evidence[k].adjusted, *found.auc[k]]
        rows.append([name, *map(_rounded, numbers), state, *map(_rounded, evidence)])
    for name, value, interval in (
        ("unresolved", found.unresolved, found.unresolved_interval),
        ("whole drop", found.drop, found.drop_interval),
    ):
        rows.append([name, *map(_rounded, [scale * value, *(scale * interval)]), None, None, None, None])
    columns = ["mechanism", f"share ({what})", "low", "high", "state", "p", "AUC of parents", "AUC with it"]
    title = (
        f"Shares of the drop, with {100 * parameters.level:g} % intervals; p of no shift after Holm's correction; AUC "
        "of telling the sites apart"
    )
    return Table(title=title, columns=columns, rows=rows)


def coalitions(study: Study, metric: MetricName) -> Table:
    """Estimated performance with some mechanisms taken from the target, and the weights behind it."""
    found = study.attribution
    sign = -1.0 if is_error(metric) else 1.0
    rows: list[list[Cell]] = []
    for row, members in enumerate(found.coalitions):
        names = [name for name, member in zip(found.names, members, strict=True) if member]
        numbers = [sign * points(metric) * found.values[row], found.overlap.ess[row], found.overlap.clipped[row]]
        rows.append([", ".join(names) or "nothing", *map(_rounded, numbers)])
    columns = ["from the target", f"performance ({unit(metric)})", "effective share of cases", "cut weights"]
    return Table(title="Estimated performance with mechanisms taken from the target", columns=columns, rows=rows)


def cases(study: Study, metric: MetricName, raters: tuple[str, str]) -> Table:
    """The target's cases, worst first, then the source's."""
    what = f"{metric} ({unit(metric)})"
    columns = ["environment", "case", "rater", what, f"{metric} by the other rater ({unit(metric)})"]
    n = len(study.source_scores)
    rows = [
        *_cases("target", study.target_scores, metric, raters[1], _other(study, raters, raters[0])[n:]),
        *_cases("source", study.source_scores, metric, raters[0], _other(study, raters, raters[1])[:n]),
    ]
    return Table(title="Cases, worst first", columns=[*columns, "drawn (ml)", "predicted (ml)"], rows=rows)


def _other(study: Study, raters: tuple[str, str], rater: str) -> list[float | None]:
    """Performance of all rows against the other environment's rater, greater is better; None where it is not known."""
    if raters[0] == raters[1] or rater not in study.by_rater:
        return [None] * len(study.pair.metric)
    return [None if np.isnan(value) else float(value) for value in study.by_rater[rater]]


def _cases(
    name: str, scores: list[CaseScore], metric: MetricName, rater: str, other: list[float | None]
) -> list[list[Cell]]:
    scale, sign = points(metric), -1.0 if is_error(metric) else 1.0
    rows: list[list[Cell]] = [
        [
            name,
            score.case,
            rater,
            _rounded(scale * (score.metrics[metric] or 0.0)),
            _rounded(None if value is None else sign * scale * value),
            _rounded(score.drawn_ml),
            _rounded(score.predicted_ml),
        ]
        for score, value in zip(scores, other, strict=True)
    ]
    worst = sorted(range(len(rows)), key=lambda n: sign * (scores[n].metrics[metric] or 0.0))
    return [rows[n] for n in worst]


def features(study: Study) -> Table:
    """How the sites differ in what the attribution looks at."""
    rows: list[list[Cell]] = []
    for variable, groups in study.groups.items():
        rows += [
            [VARIABLES.get(variable, variable), FEATURES.get(name, name), *map(_rounded, numbers)]
            for name, *numbers in differences(study, groups)
        ]
    columns = ["of the", "feature", "source mean", "target mean", "difference (SD)"]
    return Table(title="What differs between the sites, largest first", columns=columns, rows=rows)


def raters(study: Study, parameters: ShiftParameters) -> dict[str, Table]:
    """Drop that a change of rater costs on the same images and predictions, with its interval.

    Tables "raters", "raters_low" and "raters_high"; none with fewer than two raters on all cases.
    """
    names = list(study.by_rater)
    if len(names) < 2:
        return {}
    scale = points(parameters.metric)
    estimate, low, high = (scale * part for part in rater_drops(study, parameters.level))
    titles = {
        "raters": "Drop from the row's to the column's masks, on the same images",
        "raters_low": "Lower ends of its intervals",
        "raters_high": "Upper ends of its intervals",
    }
    return {
        key: Table(
            title=f"{title} ({unit(parameters.metric)})",
            columns=["source rater", *names],
            rows=[[name, *_plain(row)] for name, row in zip(names, values, strict=True)],
        )
        for (key, title), values in zip(titles.items(), (estimate, low, high), strict=True)
    }


def rater_drops(study: Study, level: float) -> tuple[Array, Array, Array]:
    """Mean drop from one rater's masks to another's over the selected cases, each once, and its t-interval over
    subjects, (raters, raters) each; NaN where fewer than two subjects have both.
    """
    scores = [*study.source_scores, *study.target_scores]
    _, first = np.unique([score.case for score in scores], return_index=True)
    subjects = np.array([scores[n].subject for n in first])
    names = list(study.by_rater)
    parts = np.full((3, len(names), len(names)), np.nan)
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            drop = (study.by_rater[one] - study.by_rater[other])[first]
            parts[:, i, j] = 0.0 if i == j else _interval(drop, subjects, level)
    return parts[0], parts[1], parts[2]


def _interval(drop: Array, subjects: NDArray[np.str_], level: float) -> tuple[float, float, float]:
    """Mean, low, high; the cases of a subject count as one."""
    known = np.isfinite(drop)
    means = np.array([drop[known & (subjects == name)].mean() for name in np.unique(subjects[known])])
    if len(means) < 2:
        return np.nan, np.nan, np.nan
    half = t.ppf(0.5 + level / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return float(means.mean()), float(means.mean() - half), float(means.mean() + half)


def _plain(row: NDArray[Any]) -> list[Cell]:
    return [_rounded(value) for value in row]


def _rounded(value: float | None) -> float | None:
    """To six decimals, so that the rounding error of a sum does not look like a number; None where undefined."""
    return None if value is None or np.isnan(value) else round(float(value), 6) + 0.0
