"""Shift attribution as a method: which of the scanner, the annotator and the patients cost performance elsewhere."""

from __future__ import annotations

from typing import ClassVar

from slicerxai.explain import shift_tables as tables
from slicerxai.explain.contract import CohortInputs, Explainer, Explanation, Figure, Subject, Table
from slicerxai.explain.shift_checks import all_checks
from slicerxai.explain.shift_figures import cases_figure, raters_figure, shares_figure
from slicerxai.explain.shift_parameters import ShiftParameters
from slicerxai.explain.shift_words import actions, is_error, unit
from slicerxai.models.protocols import segmenter
from slicerxai.progress import Progress, part
from slicerxai.settings import settings
from slicerxai.shift.evaluate import parse_burden
from slicerxai.shift.options import Options
from slicerxai.shift.study import Study, StudySettings, points, study


class ShiftExplainer(Explainer[CohortInputs, ShiftParameters]):
    """Predictions and scores are kept below the settings' home: a second question costs no second prediction."""

    subject: ClassVar[Subject] = "cohort"
    name: ClassVar[str] = "shift"
    title: ClassVar[str] = "Shift attribution"
    summary: ClassVar[str] = (
        "How much of a drop in performance at another site comes from its scanner, its annotators and its patients."
    )
    Parameters: ClassVar[type[ShiftParameters]] = ShiftParameters

    def explain(self, inputs: CohortInputs, parameters: ShiftParameters, progress: Progress) -> Explanation:
        """Score the model in both environments and attribute the drop.

        Raises:
            InputError: a model that classifies, and all that `slicerxai.shift.study.study` refuses.
            Cancelled: through `progress`.
        """
        model = segmenter(inputs.model, inputs.model.info.name)
        found = study(
            model,
            inputs.cohort,
            parameters.source,
            parameters.target,
            StudySettings(parameters.metric, parse_burden(parameters.burden), parameters.exchange),
            Options(**parameters.options()),
            settings().scores,
            part(progress, 0.0, 0.98),
        )
        progress(0.98, "drawing")
        raters = (parameters.source.rater, parameters.target.rater)
        checks = all_checks(found, parameters)
        measured = measurements(found, parameters)
        shown = {
            "shares": tables.shares(found, parameters),
            "cases": tables.cases(found, parameters.metric, raters),
            "coalitions": tables.coalitions(found, parameters.metric),
            "features": tables.features(found),
        } | tables.raters(found, parameters)
        return Explanation(
            method=self.name,
            parameters=parameters.model_dump(mode="json"),
            image_id=inputs.cohort_id,
            tables=shown,
            figures=_figures(found, parameters, shown, measured),
            flags=actions(found, parameters.metric, raters, checks),
            metrics=measured,
            checks=checks,
        )


def measurements(found: Study, parameters: ShiftParameters) -> dict[str, float]:
    """All numbers in the reader's unit: points, ml or mm."""
    result, scale = found.attribution, points(parameters.metric)
    sign = -1.0 if is_error(parameters.metric) else 1.0
    values = {
        "source_mean": sign * scale * float(found.pair.source.metric.mean()),
        "target_mean": sign * scale * float(found.pair.target.metric.mean()),
    }
    named = [("drop", result.drop, result.drop_interval)]
    named += [(f"phi_{name}", result.phi[k], result.interval[k]) for k, name in enumerate(result.names)]
    named += [("unresolved", result.unresolved, result.unresolved_interval)]
    for name, value, interval in named:
        values |= {
            name: scale * float(value),
            f"{name}_low": scale * float(interval[0]),
            f"{name}_high": scale * float(interval[1]),
        }
    effective = (result.overlap.ess * result.overlap.cases)[result.relevant]
    return values | {
        "residual": scale * float(result.phi.sum() - (result.values[0] - result.values[-1])),
        "least_effective_cases": float(effective.min()),
        "source_cases": float(len(found.source_scores)),
        "target_cases": float(len(found.target_scores)),
    }


def _figures(
    found: Study, parameters: ShiftParameters, shown: dict[str, Table], measured: dict[str, float]
) -> dict[str, Figure]:
    what = unit(parameters.metric)
    source, target = (
        f"{measured[f'{name}_mean']:.1f} (n = {measured[f'{name}_cases']:.0f})" for name in ("source", "target")
    )
    figures = {
        "shares": shares_figure(
            shown["shares"],
            f"{parameters.metric}: source {source}   →   target {target}",
            what,
            f"Source: {parameters.source}. Target: {parameters.target}.",
        ),
        "cases": cases_figure(shown["cases"]),
    }
    if "raters" in shown:
        figures["raters"] = raters_figure(shown, what)
    return figures
