"""Attribute the drop between the two environments of a pair, in every way that was asked for, and keep the result."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any, Final

from slicerxai.data.cohort import Cohort
from slicerxai.data.files import replaced_text
from slicerxai.errors import InputError
from slicerxai.models.protocols import Segmenter
from slicerxai.progress import Progress, each
from slicerxai.shift.evaluate import ERRORS, parse_burden
from slicerxai.shift.experiments.folder import ExperimentFolder
from slicerxai.shift.experiments.parameters import AnalysisName, ExperimentParameters
from slicerxai.shift.experiments.plan import PairPlan
from slicerxai.shift.options import EstimatorName, ExchangeName, MetricName, Options
from slicerxai.shift.study import Study, StudySettings, points, study

ANALYSES: Final[dict[AnalysisName, tuple[EstimatorName, ExchangeName]]] = {
    "robust": ("robust", "none"),
    "weighting": ("weighting", "none"),
    "plain": ("plain", "none"),
    "paired": ("robust", "paired"),
    "harmonised": ("robust", "harmonised"),
}
"""Estimator and exchange of each way of attributing."""
VERDICTS: Final = ("reliable", "caution", "unreliable")


def compare(
    pair: PairPlan,
    segmenter: Segmenter,
    cohort: Cohort,
    parameters: ExperimentParameters,
    options: Options,
    folder: ExperimentFolder,
    digest: str,
    progress: Progress,
) -> None:
    """Write `pairs/NAME.json`, unless it is there and of the same experiment.

    What cannot be attributed, such as a metric without meaning for too many cases, is written down with its reason and
    does not stop the others.

    Args:
        cohort: of the test cases.
        digest: of the experiment.
    """
    if _finished(folder, pair, digest):
        return
    scores: dict[str, dict[str, dict[str, float | None]]] = {"source": {}, "target": {}}
    results = []
    wanted = [(analysis, metric) for analysis in parameters.analyses for metric in parameters.metrics]
    for (analysis, metric), step in each(progress, wanted):
        estimator, exchange = ANALYSES[analysis]
        settings = StudySettings(metric, parse_burden(parameters.burden), exchange)
        own = replace(options, estimator=estimator)
        about = {"analysis": analysis, "metric": metric}
        try:
            found = study(segmenter, cohort, pair.source, pair.target, settings, own, folder.scores, step)
        except InputError as error:
            results.append({**about, "error": str(error)})
            continue
        results.append(about | summary(found, metric))
        for side, listed in (("source", found.source_scores), ("target", found.target_scores)):
            scores[side] |= {score.case: score.metrics for score in listed}
    content = {
        "digest": digest,
        "pair": pair.name,
        "model": pair.model,
        "model_digest": segmenter.info.digest,
        "row": pair.row,
        "column": pair.column,
        "source": pair.source.model_dump(mode="json"),
        "target": pair.target.model_dump(mode="json"),
        "scores": scores,
        "results": results,
    }
    replaced_text(folder.result(pair.name), json.dumps(content, indent=1) + "\n")
    folder.log(f"pair {pair.name}: finished")


def summary(found: Study, metric: MetricName) -> dict[str, Any]:
    """A study as plain values: performances and shares in points (100 × the metric), errors in their own unit.

    Shares, drop and the unresolved part are [value, low, high]; positive where performance was lost.
    """
    scale = points(metric)
    sign = -1.0 if metric in ERRORS else 1.0
    one = found.attribution
    effective = (one.overlap.ess * one.overlap.cases)[one.relevant]
    return {
        "exchange": found.exchange,
        "source_mean": sign * scale * float(found.pair.source.metric.mean()),
        "target_mean": sign * scale * float(found.pair.target.metric.mean()),
        "source_cases": len(found.pair.source),
        "target_cases": len(found.pair.target),
        "drop": _scaled(scale, one.drop, one.drop_interval),
        "shares": {name: _scaled(scale, one.phi[k], one.interval[k]) for k, name in enumerate(one.names)},
        "unresolved": _scaled(scale, one.unresolved, one.unresolved_interval),
        "states": dict(zip(one.names, one.states, strict=True)),
        "auc": {name: float(one.auc[k, 1]) for k, name in enumerate(one.names)},
        "least_effective_cases": float(effective.min()),
        "verdict": max((check.verdict for check in one.checks), key=VERDICTS.index),
        "checks": [asdict(check) for check in one.checks],
        "excluded": list(found.excluded),
    }


def _scaled(scale: float, value: float, interval: Any) -> list[float]:
    return [float(scale * value), float(scale * interval[0]), float(scale * interval[1])]


def _finished(folder: ExperimentFolder, pair: PairPlan, digest: str) -> bool:
    path = folder.result(pair.name)
    return path.is_file() and json.loads(path.read_text(encoding="utf-8"))["digest"] == digest
