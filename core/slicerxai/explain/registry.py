"""All methods by name. Parameters are importable without torch, so that the command line and schemas stay quick."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from slicerxai.errors import NotFoundError
from slicerxai.explain.contract import Explainer, ExplainParameters, Subject


@dataclass(frozen=True)
class Entry:
    """What a method explains, and where it lives: `module:Class` of its parameters (light) and of its explainer
    (imports torch). `mask`: it compares with an expert's mask of the case where there is one. `sequence`: it follows
    images of the case that were recorded one after the other.
    """

    name: str
    subject: Subject
    title: str
    summary: str
    parameters: str
    explainer: str
    mask: bool = False
    sequence: bool = False


METHODS: dict[str, Entry] = {
    entry.name: entry
    for entry in [
        Entry(
            name="saliency",
            subject="case",
            title="Saliency",
            summary="Which voxels made the model call this a lesion (whole prediction or one lesion).",
            parameters="slicerxai.explain.saliency_parameters:SaliencyParameters",
            explainer="slicerxai.explain.saliency:SaliencyExplainer",
        ),
        Entry(
            name="prediction",
            subject="case",
            title="Prediction",
            summary="What a segmenter finds in this image: label map, probability and lesions.",
            parameters="slicerxai.explain.prediction_parameters:PredictionParameters",
            explainer="slicerxai.explain.prediction:PredictionExplainer",
        ),
        Entry(
            name="quality",
            subject="case",
            title="Quality",
            summary="Which predictions for this image are likely to be wrong and should be read again.",
            parameters="slicerxai.explain.quality_parameters:QualityParameters",
            explainer="slicerxai.explain.quality:QualityExplainer",
        ),
        Entry(
            name="counterfactual",
            subject="case",
            title="Counterfactual",
            summary="The smallest change of this image that would have made the model decide otherwise.",
            parameters="slicerxai.explain.counterfactual_parameters:CounterfactualParameters",
            explainer="slicerxai.explain.counterfactual:CounterfactualExplainer",
            mask=True,
        ),
        Entry(
            name="property",
            subject="case",
            title="Property gradients",
            summary="How the prediction responds when one property of this scan (contrast, noise, lesion load, ...) is "
            "changed step by step, and whether that is more than chance.",
            parameters="slicerxai.explain.property_parameters:PropertyParameters",
            explainer="slicerxai.explain.property:PropertyExplainer",
            mask=True,
            sequence=True,
        ),
        Entry(
            name="shift",
            subject="cohort",
            title="Shift attribution",
            summary="How much of a drop in performance at another site comes from its scanner, its annotators and its "
            "patients.",
            parameters="slicerxai.explain.shift_parameters:ShiftParameters",
            explainer="slicerxai.explain.shift:ShiftExplainer",
        ),
        Entry(
            name="properties",
            subject="cohort",
            title="Property gradients of a cohort",
            summary="Which properties of its images a model's predictions depend on, over many cases.",
            parameters="slicerxai.explain.property_cohort_parameters:CohortPropertyParameters",
            explainer="slicerxai.explain.property_cohort:CohortPropertyExplainer",
        ),
    ]
}


def entry(name: str) -> Entry:
    """The entry of a method. Raises `NotFoundError` that lists the known ones."""
    if name not in METHODS:
        msg = f"unknown method {name!r}; known: {', '.join(sorted(METHODS))}"
        raise NotFoundError(msg)
    return METHODS[name]


def parameters_class(name: str) -> type[ExplainParameters]:
    """The parameter model of a method."""
    loaded: type[ExplainParameters] = _load(entry(name).parameters)
    return loaded


def explainer(name: str) -> Explainer[Any, ExplainParameters]:
    """A new explainer of a method."""
    loaded: type[Explainer[Any, ExplainParameters]] = _load(entry(name).explainer)
    return loaded()


def _load(path: str) -> Any:
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
