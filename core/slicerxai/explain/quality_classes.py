"""Which of a classifier's predictions for a case should be read again, with the maps that say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from slicerxai.explain.case_parts import domain_findings, image_overlays, slugs
from slicerxai.explain.contract import Check, Explanation, Flag, Inputs, Overlay, Table
from slicerxai.explain.lesion_cells import rounded
from slicerxai.explain.quality_checks import alarm_check, map_checks
from slicerxai.explain.quality_figures import graph_figure
from slicerxai.explain.quality_parameters import QualityParameters
from slicerxai.models.protocols import Classifier, Prepared
from slicerxai.monitoring.alarm import Alarm
from slicerxai.monitoring.case_reading import ClassOutcome, outcomes, read_prepared
from slicerxai.monitoring.observe import read_maps
from slicerxai.progress import Progress, part
from slicerxai.saliency.class_attribution import ClassMaps
from slicerxai.saliency.class_maps import class_maps
from slicerxai.saliency.class_method import ClassMethod
from slicerxai.saliency.grids import density, squeeze_flat

CLASS_COLUMNS = (
    *("class", "probability", "threshold", "predicted", "distinctiveness", "suspicion", "flagged", "reason"),
)
WITHOUT_UNIT = ("grad_cam", "grad_cam_pp")
METHOD_NAMES: dict[ClassMethod, str] = {
    "input_x_gradient": "Input × Gradient",
    "lrp": "layer-wise relevance propagation",
    "integrated_gradients": "integrated gradients",
    "grad_cam": "Grad-CAM",
    "grad_cam_pp": "Grad-CAM++",
    "occlusion": "occlusion",
    "lime": "LIME",
    "kernel_shap": "KernelSHAP",
}


def explain_classes(
    inputs: Inputs, model: Classifier, alarm: Alarm | None, parameters: QualityParameters, progress: Progress
) -> Explanation:
    """Maps of all classes, their distances, and what the alarm makes of them.

    Args:
        parameters: resolved. alarm: the one that they name.

    Raises:
        InputError: unusable images, or a network of which these maps cannot be made.
    """
    labels = model.info.labels
    progress(0.0, "preparing the image")
    prepared = model.prepare(inputs.images)
    by_maps = alarm is not None and alarm.parameters.score == "distinctiveness"
    method = alarm.parameters.saliency if alarm is not None and by_maps else parameters.saliency
    seed = alarm.parameters.seed if alarm is not None and by_maps else parameters.seed
    tensor = squeeze_flat(prepared.tensor, model.network)
    maps = class_maps(model.network, tensor[None], method, model.device, seed=seed, progress=part(progress, 0.05, 0.6))
    of_maps = read_maps(maps, np.asarray(model.thresholds, np.float64), method)
    readings = of_maps
    if alarm is not None and not by_maps:
        readings = read_prepared(model, prepared, alarm.parameters, part(progress, 0.6, 0.8))
    found = outcomes(labels, readings, alarm)
    progress(0.8, "returning to the image's grid")
    order = _by_suspicion(found)
    distances = np.asarray(of_maps.distances)[0]
    shown = _maps(maps, prepared, found, order, method)
    checks = [
        *map_checks(maps, labels, method),
        *(Check(**asdict(one)) for one in domain_findings(prepared, model.info.channels, brain=False)),
        *alarm_check(None if alarm is None else alarm.figures, 0 if alarm is None else len(alarm.cases)),
    ]
    return Explanation(
        method="quality",
        parameters=parameters.model_dump(mode="json"),
        image_id=inputs.image_id,
        overlays=image_overlays(inputs.images, model.info.channels) | shown,
        tables={"classes": _class_table([found[index] for index in order]), "distances": _distances(labels, distances)},
        figures={"graph": graph_figure(_with_distances(found, distances), distances)},
        flags=[_flag(found[index], alarm) for index in order if found[index].flagged],
        metrics=_metrics(found),
        checks=checks,
    )


def _by_suspicion(found: Sequence[ClassOutcome]) -> list[int]:
    """Indices of the classes, most suspicious first; without an alarm those whose maps are least distinct."""

    def place(index: int) -> tuple[bool, float]:
        one = found[index]
        if one.suspicion is not None:
            return not one.flagged, -one.suspicion
        return True, one.distinctiveness or 0.0

    return sorted(range(len(found)), key=place)


def _maps(
    maps: ClassMaps, prepared: Prepared, found: Sequence[ClassOutcome], order: Sequence[int], method: ClassMethod
) -> dict[str, Overlay]:
    """One overlay a class on the image's grid, channels added up."""
    names = slugs([one.label for one in found])
    overlays = {}
    for index in order:
        one = found[index]
        relevance = maps.maps[0, index].sum(0).reshape(prepared.tensor.shape[1:])
        volume = density(relevance, prepared.affine, prepared.reference)
        state = ("present" if one.predicted else "absent") + (", flagged" if one.flagged else "")
        words = f"Map of {one.label} ({state}, probability {one.probability:.2f}) by {METHOD_NAMES[method]}"
        units = "1/mm³" if method in WITHOUT_UNIT else "logit/mm³"
        overlays[f"saliency_{names[index]}"] = Overlay(
            volume, "saliency", units, f"{words}; positive speaks for the class."
        )
    return overlays


def _class_table(found: Sequence[ClassOutcome]) -> Table:
    rows: list[list[str | int | float | bool | None]] = [
        [
            one.label,
            rounded(one.probability),
            rounded(one.threshold),
            one.predicted,
            rounded(one.distinctiveness),
            rounded(one.suspicion),
            one.flagged,
            one.reason,
        ]
        for one in found
    ]
    return Table(title="Classes, most suspicious first", columns=list(CLASS_COLUMNS), rows=rows)


def _distances(labels: Sequence[str], distances: NDArray[np.float64]) -> Table:
    rows: list[list[str | int | float | bool | None]] = [
        [label, *(rounded(float(value)) for value in row)] for label, row in zip(labels, distances, strict=True)
    ]
    return Table(title="Cosine distances between the maps", columns=["class", *labels], rows=rows)


def _with_distances(found: Sequence[ClassOutcome], distances: NDArray[np.float64]) -> list[ClassOutcome]:
    """The classes with the distinctiveness of the maps that are shown, whatever the alarm measured."""
    sums = distances.sum(1)
    return [
        ClassOutcome(**asdict(one) | {"distinctiveness": float(total)}) for one, total in zip(found, sums, strict=True)
    ]


def _flag(one: ClassOutcome, alarm: Alarm | None) -> Flag:
    call, other = ("present", "absent") if one.predicted else ("absent", "present")
    turned = ""
    if alarm is not None and alarm.parameters.action == "swap" and one.suspicion is not None:
        turned = f", which the alarm would call {other}; an estimated {100 * one.suspicion:.0f} % that it is wrong"
    return Flag(subject=one.label, message=f"Read again: called {call}{turned}. Why: {one.reason}.")


def _metrics(found: Sequence[ClassOutcome]) -> dict[str, float]:
    values = {"classes": float(len(found)), "flagged": float(sum(one.flagged for one in found))}
    suspicions = [one.suspicion for one in found if one.suspicion is not None]
    return values | ({"expected_wrong_classes": float(sum(suspicions))} if suspicions else {})
