"""How a prediction responds when one property of a scan is changed step by step."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor
from typing import ClassVar, Final

import numpy as np
from torch import Tensor

from slicerxai.data.resample import resample_like
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.explain.case_parts import image_overlays
from slicerxai.explain.contract import Explainer, Explanation, Figure, Inputs, Subject, Table
from slicerxai.explain.property_case import PropertyCase, Step
from slicerxai.explain.property_checks import checks
from slicerxai.explain.property_figures import figures
from slicerxai.explain.property_parameters import PropertyParameters
from slicerxai.explain.property_tables import metrics, overlays, tables
from slicerxai.explain.property_training_figures import training_figure, training_table
from slicerxai.explain.property_words import flags
from slicerxai.interventions.catalogue import find_property, usable_properties
from slicerxai.interventions.measure import Measured, measure
from slicerxai.interventions.outcomes import Output, Reader, SegmenterReader, reader
from slicerxai.interventions.path import GradualPath, gradual_path
from slicerxai.interventions.property import Property, Scan
from slicerxai.interventions.property_info import Kind
from slicerxai.models.protocols import Segmenter
from slicerxai.progress import Progress, each, part

BY_DEFAULT: Final[tuple[Kind, ...]] = ("acquisition", "lesion", "centre", "colour", "control")
SEGMENTER_STEPS: Final = 3
"""Changed steps at which a segmenter's property is compared with its controls."""


class PropertyExplainer(Explainer[Inputs, PropertyParameters]):
    """Property gradients (Locally Explaining Prediction Behavior via Gradual Interventions) of one case.

    The scan is realised at ascending values of a property, the model's outputs are read at each of them, and E|∇| over
    the range is tested against control paths, which change the image as much, and against shuffled steps.
    """

    subject: ClassVar[Subject] = "case"
    name: ClassVar[str] = "property"
    title: ClassVar[str] = "Property gradients"
    summary: ClassVar[str] = (
        "How the prediction responds when one property of this scan (contrast, noise, lesion load, ...) is changed "
        "step by step, and whether that is more than chance."
    )
    Parameters: ClassVar[type[PropertyParameters]] = PropertyParameters

    def explain(self, inputs: Inputs, parameters: PropertyParameters, progress: Progress) -> Explanation:
        """Measure the properties.

        Raises:
            InputError: unusable images or mask, an output that the model lacks, or properties that this scan does not
                allow.
            Cancelled: through `progress`.
        """
        model = inputs.model
        progress(0.0, "reading the unchanged image")
        read = reader(model, inputs.images, inputs.mask, part(progress, 0.0, 0.05))
        output = _output(read.outputs, parameters.output)
        scan = _scan(inputs, read, parameters)
        chosen, unusable = _chosen(scan, parameters)
        alone = len(chosen) == 1 and parameters.properties is not None
        steps: list[Step] = []

        def watch(_: int, images: Mapping[str, Volume], tensor: Tensor) -> None:
            steps.append(Step(dict(images), _prediction(inputs, read, images, tensor)))

        paths = [gradual_path(one, scan, parameters.low, parameters.high, parameters.steps) for one in chosen]
        start = 0.25 if parameters.over_training else 0.05
        training = (
            _training(inputs, paths, output, read, part(progress, 0.05, start)) if parameters.over_training else {}
        )
        measured = [
            measure(
                path,
                read,
                permutations=parameters.permutations,
                controls=parameters.controls,
                stop_after=max(1, floor(parameters.delta * (parameters.controls + 1) + 1e-9)),
                control_steps=parameters.control_steps or (SEGMENTER_STEPS if isinstance(model, Segmenter) else None),
                seed=parameters.seed,
                progress=now,
                watch=watch if alone else None,
            )
            for path, now in each(part(progress, start, 0.95), paths)
        ]
        progress(0.95, "drawing")
        case = PropertyCase(
            channels=model.info.channels,
            images={name: inputs.images[name] for name in model.info.channels},
            prepared=read.prepared,
            measured=_ranked(measured, output),
            output=output,
            reported=read.reported,
            unusable=unusable,
            delta=parameters.delta,
            correction=parameters.correction,
            brain=isinstance(model, Segmenter),
            expert=None if inputs.mask is None else scan.lesions,
            lesions=_predicted(read),
            steps=steps,
        )
        return Explanation(
            method=self.name,
            parameters=parameters.model_dump(mode="json"),
            image_id=inputs.image_id,
            overlays=image_overlays(inputs.images, model.info.channels) | overlays(case),
            tables=tables(case) | {name: table for name, (table, _) in training.items()},
            figures=figures(case) | {name: figure for name, (_, figure) in training.items()},
            flags=flags(case),
            metrics=metrics(case),
            checks=checks(case),
        )


def _training(
    inputs: Inputs, paths: list[GradualPath], output: int, read: Reader, progress: Progress
) -> dict[str, tuple[Table, Figure]]:
    table = training_table(inputs.model, paths, progress)
    return {"training": (table, training_figure(table, read.outputs[output].name))}


def _output(outputs: tuple[Output, ...], wanted: str | None) -> int:
    names = [output.name for output in outputs]
    if wanted is None:
        return 0
    if wanted not in names:
        msg = f"unknown output {wanted!r}; the model's are: {', '.join(names)}"
        raise InputError(msg, accepted=names)
    return names.index(wanted)


def _scan(inputs: Inputs, read: Reader, parameters: PropertyParameters) -> Scan:
    """The images with their lesions: the expert's, else the predicted ones."""
    reference = read.prepared.reference
    lesions = None
    if inputs.mask is not None:
        drawn = inputs.mask.with_array((np.asarray(inputs.mask.array) != 0).astype(np.uint8))
        lesions = resample_like(drawn, reference, order=0)
    else:
        lesions = _predicted(read)
    if parameters.sequence_values is not None and not inputs.sequence:
        msg = "sequence_values belong to a sequence of images, and none was given"
        raise InputError(msg)
    return Scan(
        images={name: inputs.images[name] for name in inputs.model.info.channels},
        lesions=lesions,
        sequence=inputs.sequence,
        sequence_values=parameters.sequence_values or (),
        seed=parameters.seed,
    )


def _predicted(read: Reader) -> Volume | None:
    """Lesions in the unchanged images, 0 and 1, uint8; None for a classifier."""
    if not isinstance(read, SegmenterReader):
        return None
    found = read.found.labelmap
    return found.with_array((np.asarray(found.array) != 0).astype(np.uint8))


def _chosen(scan: Scan, parameters: PropertyParameters) -> tuple[list[Property], dict[str, str]]:
    """The properties to change, and why others cannot be.

    Raises `InputError` when none can be, or the only one that was asked for cannot.
    """
    if parameters.properties is None:
        found, unusable = usable_properties(scan, BY_DEFAULT)
    else:
        found, unusable = [], {}
        for name in parameters.properties:
            one = find_property(name, parameters.generator)
            reason = one.unusable(scan)
            if reason is None:
                found.append(one)
            else:
                unusable[name] = reason
    if not found:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in unusable.items())
        msg = f"no property can be changed on this scan ({reasons})"
        raise InputError(msg)
    return found, unusable


def _prediction(inputs: Inputs, read: Reader, images: Mapping[str, Volume], tensor: Tensor) -> Volume | None:
    if not isinstance(inputs.model, Segmenter):
        return None
    if tensor.numel():
        return read.labelmap(tensor)
    found = inputs.model.predict(images).labelmap
    return found.with_array((np.asarray(found.array) != 0).astype(np.uint8))


def _ranked(measured: list[Measured], output: int) -> list[Measured]:
    return sorted(measured, key=lambda one: -float(one.effect.over_range[output]))
