"""Self-tests of a shift attribution: those of the attribution in the reader's units, and those of its data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.stats import mannwhitneyu

from slicerxai.data.cohort import Environment
from slicerxai.explain.contract import Check
from slicerxai.explain.shift_parameters import ShiftParameters
from slicerxai.explain.shift_words import FEATURES, unit
from slicerxai.saliency.finding import Finding
from slicerxai.shift.attribution import Attribution
from slicerxai.shift.study import Study, points
from slicerxai.shift.verdict import checks as judged

LEVEL = 0.05


def all_checks(study: Study, parameters: ShiftParameters) -> list[Check]:
    """Those of the attribution first, in their order."""
    result = in_units(study.attribution, points(parameters.metric))
    found = [*judged(result, unit(parameters.metric)), *_of_the_data(study, parameters)]
    return [Check(**vars(one)) for one in found]


def in_units(attribution: Attribution, scale: float) -> Attribution:
    """The attribution with every performance multiplied."""
    return replace(
        attribution,
        phi=scale * attribution.phi,
        interval=scale * attribution.interval,
        drop=scale * attribution.drop,
        drop_interval=scale * attribution.drop_interval,
        unresolved=scale * attribution.unresolved,
        unresolved_interval=scale * attribution.unresolved_interval,
        values=scale * attribution.values,
        sampling_error=scale * attribution.sampling_error,
    )


def _of_the_data(study: Study, parameters: ShiftParameters) -> list[Finding]:
    found = [_exchange(study, parameters.source, parameters.target), _burden(study, parameters)]
    if study.excluded:
        reason = (
            f"{len(study.excluded)} cases were left out, because {parameters.metric} has no meaning for them: "
            f"{_listed(study.excluded)}."
        )
        found.append(Finding("cases left out", float(len(study.excluded)), 0.0, "caution", reason))
    if study.omitted:
        names = ", ".join(FEATURES.get(name, name) for name in study.omitted)
        reason = f"Not known of every case, and therefore left out: {names}."
        found.append(Finding("features left out", float(len(study.omitted)), 0.0, "caution", reason))
    if "population" not in study.graph.names:
        reason = (
            "Nothing is known of the patients (age, sex or disease burden), so a difference in them counts as "
            "acquisition or stays unresolved. What would help: their age, sex and disease burden."
        )
        found.append(Finding("patients known", 0.0, 1.0, "caution", reason))
    if parameters.discriminator != "logistic":
        fitted = "Boosted trees are" if parameters.discriminator == "boosted" else "The networks are"
        reason = (
            f"{fitted} fitted once, so the intervals leave out the noise of the density ratios: they are too "
            "narrow. Logistic regression is fitted again for every case left out."
        )
        found.append(Finding("intervals hold the noise of the ratios", 0.0, 1.0, "caution", reason))
    return found


def _exchange(study: Study, source: Environment, target: Environment) -> Finding:
    name, one, other = "exchange observed", source.rater, target.rater
    if study.exchange == "paired":
        reason = f"Annotation was measured: the same predictions against the masks of raters {one!r} and {other!r}."
        return Finding(name, 1.0, 1.0, "reliable", reason)
    if study.exchange == "harmonised":
        reason = "Acquisition was measured on images carried over to the other site's look. How well is not known, and "
        reason += "the intervals leave it out: they are too narrow"
        if study.limits:
            reason += f"; not matched: {'; '.join(study.limits)}"
        return Finding(name, 1.0, 1.0, "caution", f"{reason}.")
    if one == other:
        reason = f"Both environments take the masks of rater {one!r}, so annotation should not have shifted"
        state = study.attribution.states[study.attribution.names.index("annotation")]
        if state in ("shifted", "uncertain"):
            reason += (
                ", yet lesions are drawn differently in like images: either these masks were made in different ways, "
                "or the scanner changes how a drawing looks, and the share of annotation is one of acquisition."
            )
            return Finding(name, 0.0, 0.0, "caution", reason)
        return Finding(name, 0.0, 0.0, "reliable", f"{reason}, and it did not.")
    reason = (
        "No mechanism was exchanged; all are estimated. The masks of both raters on the same images would measure the "
        "annotation."
    )
    return Finding(name, 0.0, 0.0, "reliable", reason)


def _burden(study: Study, parameters: ShiftParameters) -> Finding:
    """Whether a difference in disease burden may pass for one of scanners or raters."""
    name = "disease burden"
    if parameters.burden != "none":
        return Finding(name, None, LEVEL, "reliable", f"Disease burden is compared, from {parameters.burden}.")
    volumes = [np.array([score.predicted_ml for score in side]) for side in (study.source_scores, study.target_scores)]
    p = float(mannwhitneyu(*volumes).pvalue)
    medians = " and ".join(f"{np.median(side):.1f} ml" for side in volumes)
    if p <= LEVEL:
        reason = (
            f"Predicted volumes differ between the sites (medians {medians}, p = {p:.2g}) and disease burden is not "
            "given: if the patients differ in it, that counts as acquisition or annotation. What would help: disease "
            "burden from metadata or from masks of one panel, option burden."
        )
        return Finding(name, p, LEVEL, "caution", reason)
    reason = f"Disease burden is not given; predicted volumes are alike at both sites (medians {medians}, p = {p:.2g})."
    return Finding(name, p, LEVEL, "reliable", reason)


def _listed(names: tuple[str, ...], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
