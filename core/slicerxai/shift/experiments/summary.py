"""What a finished (or half-finished) experiment found, as rows and as the paper's Table 1."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from statistics import mean, stdev
from typing import Any, Final

from slicerxai.shift.experiments.folder import ExperimentFolder
from slicerxai.shift.experiments.parameters import AnalysisName
from slicerxai.shift.experiments.truth import Scans, TrueShares, observed, swapped
from slicerxai.shift.graph import DEFAULT_GRAPH
from slicerxai.shift.options import MetricName

PARTS: Final = (*DEFAULT_GRAPH.names, "unresolved", "drop")
"""What a drop is divided into, and the drop itself."""
EXACT: Final = 1e-6
"""Points by which rounding may move an end of an interval."""


@dataclass(frozen=True)
class Row:
    """One part of the drop of one pair; in points (100 × the metric), or the error's own unit.

    Attributes:
        pair, row, column: the comparison and its place in the matrix.
        part: a mechanism, "unresolved", or "drop".
        value, low, high: share of the drop, positive where performance was lost, with its interval.
        truth: None where it is not known.
        state: of the mechanism as the estimator took it; empty for "unresolved" and "drop".
        source_mean, target_mean: performance.
        verdict: of the whole attribution.
    """

    pair: str
    row: str
    column: str
    analysis: AnalysisName
    metric: MetricName
    part: str
    value: float
    low: float
    high: float
    truth: float | None
    state: str
    source_mean: float
    target_mean: float
    verdict: str


@dataclass(frozen=True)
class Entry:
    """One line of Table 1: a part of the drop over all pairs.

    Attributes:
        mean, sd: of the pairs' values; the SD is None for one pair.
        low, high: means of the intervals' ends: an interval of the mean that holds its level however the pairs depend
            on each other.
        true_mean: None where the truth is not known. rmse: of the values against it. covered: share of the intervals
            that hold it.
    """

    analysis: AnalysisName
    metric: MetricName
    part: str
    pairs: int
    mean: float
    sd: float | None
    low: float
    high: float
    true_mean: float | None
    rmse: float | None
    covered: float | None


@dataclass(frozen=True)
class Failure:
    """A pair that could not be attributed in one way, and why."""

    pair: str
    analysis: AnalysisName
    metric: MetricName
    reason: str


def collect(folder: ExperimentFolder) -> tuple[list[Row], list[Failure]]:
    """All rows of the finished pairs of the experiment as it is described now, in the order of its parameters."""
    description = folder.description()
    pairs = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder.path / "pairs").glob("*.json"))]
    pairs = [pair for pair in pairs if pair["digest"] == description["digest"]]
    order = list(description["comparison"]["raters"])
    pairs.sort(key=lambda pair: [order.index(name) if name in order else -1 for name in (pair["row"], pair["column"])])
    scans = _scans(folder)
    rows: list[Row] = []
    failures: list[Failure] = []
    for pair in pairs:
        for result in pair["results"]:
            if "error" in result:
                failures.append(Failure(pair["pair"], result["analysis"], result["metric"], result["error"]))
            else:
                rows += _rows(pair, result, _truth(description["models"]["kind"], pair, result["metric"], scans))
    return rows, failures


def table(rows: Sequence[Row]) -> list[Entry]:
    """Table 1: every part of the drop over all pairs, for each analysis and metric."""
    groups: dict[tuple[AnalysisName, MetricName, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.analysis, row.metric, row.part), []).append(row)
    return [_entry(*key, group) for key, group in groups.items()]


def as_csv(items: Sequence[Row] | Sequence[Entry], kind: type[Row] | type[Entry]) -> str:
    """A table with a header line; what is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(kind)], lineterminator="\n")
    writer.writeheader()
    for item in items:
        writer.writerow(
            {
                key: f"{round(value, 9):.6g}" if isinstance(value, float) else value
                for key, value in asdict(item).items()
            }
        )
    return text.getvalue()


def _rows(pair: dict[str, Any], result: dict[str, Any], truth: TrueShares | None) -> list[Row]:
    known: dict[str, float | None] = {} if truth is None else {**truth.shares, "unresolved": 0.0, "drop": truth.drop}
    found = {**result["shares"], "unresolved": result["unresolved"], "drop": result["drop"]}
    return [
        Row(
            pair=pair["pair"],
            row=pair["row"],
            column=pair["column"],
            analysis=result["analysis"],
            metric=result["metric"],
            part=name,
            value=value,
            low=low,
            high=high,
            truth=known.get(name),
            state=result["states"].get(name, ""),
            source_mean=result["source_mean"],
            target_mean=result["target_mean"],
            verdict=result["verdict"],
        )
        for name, (value, low, high) in sorted(found.items(), key=lambda item: PARTS.index(item[0]))
    ]


def _truth(
    kind: str, pair: dict[str, Any], metric: MetricName, scans: dict[str, tuple[str, Scans]]
) -> TrueShares | None:
    scores = pair["scores"]
    if kind == "raters":
        return observed(scores["source"], scores["target"], metric)
    cases = [case for side in ("source", "target") for case in scores[side]]
    if not cases or any(case not in scans for case in cases):
        return None
    source, target = ({case: scans[case][0] for case in scores[side]} for side in ("source", "target"))
    raters = pair["source"]["rater"], pair["target"]["rater"]
    return swapped({case: scans[case][1] for case in cases}, (source, target), raters, metric)


def _scans(folder: ExperimentFolder) -> dict[str, tuple[str, Scans]]:
    """Centre and scores in every scanner, by case."""
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in (folder.path / "truth").glob("*.json")]
    return {one["case"]: (one["centre"], one["scans"]) for one in kept}


def _entry(analysis: AnalysisName, metric: MetricName, name: str, rows: Sequence[Row]) -> Entry:
    values = [row.value for row in rows]
    known = [(row, row.truth) for row in rows if row.truth is not None]
    return Entry(
        analysis=analysis,
        metric=metric,
        part=name,
        pairs=len(rows),
        mean=mean(values),
        sd=stdev(values) if len(values) > 1 else None,
        low=mean(row.low for row in rows),
        high=mean(row.high for row in rows),
        true_mean=mean(truth for _, truth in known) if known else None,
        rmse=mean((row.value - truth) ** 2 for row, truth in known) ** 0.5 if known else None,
        covered=mean(float(row.low - EXACT <= truth <= row.high + EXACT) for row, truth in known) if known else None,
    )
