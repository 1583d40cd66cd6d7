"""Saliency of a segmenter's lesions or a classifier's labels, with the checks of every map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from slicerxai.data.lesions import Lesion, find_lesions, label_lesions
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.explain.case_parts import domain_findings, image_overlays, slug
from slicerxai.explain.chosen_lesion import lesion_at
from slicerxai.explain.contract import Check, Explainer, Explanation, Flag, Inputs, Overlay, Subject, Table
from slicerxai.explain.lesion_cells import LESION_COLUMNS, lesion_cells, rounded
from slicerxai.explain.saliency_parameters import SaliencyParameters
from slicerxai.models.protocols import Classifier, Prepared, Segmentation, Segmenter
from slicerxai.progress import Progress, part
from slicerxai.saliency import checks
from slicerxai.saliency.compute import Checked, compute
from slicerxai.saliency.finding import Finding
from slicerxai.saliency.grids import density, mask_on, pad, padding, squeeze_flat, unpad
from slicerxai.saliency.locality import NEAR_MM, Share, shares
from slicerxai.saliency.target import classification_target, segmentation_target

UNITS = "logit/mm³"
NEAR_SHARE = 0.5
"""A lesion with less of the positive relevance in its neighbourhood is flagged."""
METHOD_NAMES = {
    "lrp": "layer-wise relevance propagation (epsilon-plus-flat, normalisation passes)",
    "input_x_gradient": "Input × Gradient",
    "integrated_gradients": "integrated gradients against the blurred image",
    "occlusion": "occlusion with the blurred image",
}


@dataclass
class _Result:
    """What an explanation collects on its way."""

    overlays: dict[str, Overlay] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)
    metrics: dict[str, float] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    def add_checks(self, findings: tuple[Finding, ...] | list[Finding], prefix: str = "") -> None:
        self.checks += [Check(**asdict(f) | {"name": prefix + f.name}) for f in findings]


@dataclass(frozen=True)
class _Case:
    """A segmented case and the part of the prediction to explain, all on the image's grid."""

    segmentation: Segmentation
    numbered: Volume
    lesions: list[Lesion]
    chosen: int | None

    @property
    def region(self) -> Volume:
        """Boolean mask of the explained lesion, or of all."""
        array = self.numbered.array
        return self.numbered.with_array(np.greater(array, 0) if self.chosen is None else array == self.chosen)

    @property
    def subject(self) -> str:
        return "whole prediction" if self.chosen is None else f"lesion {self.chosen}"


class SaliencyExplainer(Explainer[Inputs, SaliencyParameters]):
    """Which voxels made the model decide as it did.

    Segmenters: the explained number T is the mean over the lesion voxels of the blended logit margin, label minus
    background; with two labels these are the log-odds of lesion. Classifiers: T is the logit of a label. Maps are in
    logit per mm³: their integral over the image is what the method distributes of T, whatever the voxel size.
    """

    subject: ClassVar[Subject] = "case"
    name: ClassVar[str] = "saliency"
    title: ClassVar[str] = "Saliency"
    summary: ClassVar[str] = "Which voxels made the model call this a lesion (whole prediction or one lesion)."
    Parameters: ClassVar[type[SaliencyParameters]] = SaliencyParameters

    def explain(self, inputs: Inputs, parameters: SaliencyParameters, progress: Progress) -> Explanation:
        """Compute map and checks.

        Raises:
            InputError: unusable images, an unknown label, or a point farther than 10 mm from any predicted lesion.
            Cancelled: through `progress`.
        """
        result = _Result()
        if isinstance(inputs.model, Segmenter):
            _explain_segmenter(inputs, inputs.model, parameters, progress, result)
        else:
            _explain_classifier(inputs, inputs.model, parameters, progress, result)
        return Explanation(
            method=self.name,
            parameters=parameters.model_dump(mode="json"),
            image_id=inputs.image_id,
            overlays=result.overlays,
            tables=result.tables,
            flags=result.flags,
            metrics=result.metrics,
            checks=result.checks,
        )


def _explain_segmenter(
    inputs: Inputs, model: Segmenter, parameters: SaliencyParameters, progress: Progress, result: _Result
) -> None:
    label = _label_index(model.info.labels, parameters.label)
    progress(0.0, "preparing the image")
    prepared = model.prepare(inputs.images)
    segmentation = model.predict(inputs.images, part(progress, 0.02, 0.3))
    case = _choose(segmentation, label, parameters.point)
    result.overlays |= image_overlays(inputs.images, model.info.channels)
    _add_prediction(result, case)
    result.add_checks(domain_findings(prepared, model.info.channels, brain=True))
    if not case.lesions:
        _nothing_predicted(result, case, model.info.labels[label])
        return
    shape = prepared.tensor.shape[1:]
    region = mask_on(prepared.affine, (shape[0], shape[1], shape[2]), case.region)
    amounts = padding(shape, model.patch_size)
    padded_region = pad(torch.from_numpy(region), amounts)
    target = segmentation_target(
        model.network,
        pad(prepared.tensor, amounts),
        padded_region,
        label,
        len(model.info.labels),
        model.patch_size,
        model.overlap,
        model.device,
    )
    checked = compute(
        parameters.method,
        target,
        Volume(region, prepared.affine).spacing,
        parameters.steps,
        parameters.window,
        parameters.seed,
        padded_region.numpy(),
        part(progress, 0.3, 0.95),
    )
    progress(0.95, "returning to the image's grid")
    result.add_checks((*checked.findings, checks.agreement(checked.attribution, padded_region, model.threshold)))
    _add_metrics(result, checked, len(target.windows))
    relevance = unpad(checked.attribution.relevance, amounts)
    del checked, target  # each holds a volume that is not needed any more
    total = _add_maps(result, relevance, prepared, model.info.channels, parameters, case.subject)
    _add_locality(result, case, total)


def _explain_classifier(
    inputs: Inputs, model: Classifier, parameters: SaliencyParameters, progress: Progress, result: _Result
) -> None:
    if parameters.point is not None:
        msg = f"point {parameters.point} was given, but a classifier has no lesion to choose; leave point out"
        raise InputError(msg)
    labels = model.info.labels
    chosen = [_label_index(labels, parameters.label)] if parameters.label else list(range(len(labels)))
    progress(0.0, "preparing the image")
    prepared = model.prepare(inputs.images)
    probabilities = model.predict(inputs.images)
    result.overlays |= image_overlays(inputs.images, model.info.channels)
    result.add_checks(domain_findings(prepared, model.info.channels, brain=False))
    tensor = squeeze_flat(prepared.tensor, model.network)
    spacing = Volume(prepared.tensor[0].numpy(), prepared.affine).spacing if prepared.tensor.ndim == 4 else (1.0, 1.0)
    for number, label in enumerate(chosen):
        target = classification_target(model.network, tensor, label, len(labels), model.device)
        checked = compute(
            parameters.method,
            target,
            spacing[: tensor.ndim - 1],
            parameters.steps,
            parameters.window,
            parameters.seed,
            progress=part(progress, 0.05 + 0.9 * number / len(chosen), 0.05 + 0.9 * (number + 1) / len(chosen)),
        )
        suffix = f"_{slug(labels[label])}" if len(chosen) > 1 else ""
        relevance = checked.attribution.relevance.reshape(tensor.shape[0], *prepared.tensor.shape[1:])
        result.add_checks(checked.findings, f"{labels[label]}: " if suffix else "")
        _add_maps(result, relevance, prepared, model.info.channels, parameters, labels[label], suffix)
        _add_metrics(result, checked, 1, suffix)
    rows: list[list[str | int | float | bool | None]] = [
        [name, float(value)] for name, value in zip(labels, probabilities, strict=True)
    ]
    result.tables["labels"] = Table(title="Labels", columns=["label", "probability"], rows=rows)


def _label_index(labels: tuple[str, ...], wanted: str | None) -> int:
    usable = [name for name in labels if name != "background"]
    name = usable[0] if wanted is None else wanted
    if name not in usable:
        msg = f"unknown label {name!r}; the model has: {', '.join(usable)}"
        raise InputError(msg)
    return labels.index(name)


def _choose(segmentation: Segmentation, label: int, point: tuple[float, float, float] | None) -> _Case:
    numbered = label_lesions(segmentation.labelmap, label)
    lesions = find_lesions(segmentation.labelmap, segmentation.probability, label)
    if point is None:
        return _Case(segmentation, numbered, lesions, None)
    return _Case(segmentation, numbered, lesions, lesion_at(numbered, lesions, point))


def _add_prediction(result: _Result, case: _Case) -> None:
    mask = case.numbered.with_array(np.greater(case.numbered.array, 0).astype(np.uint8))
    result.overlays["lesions"] = Overlay(mask, "labelmap", "label", "Lesions that the model predicts.")
    if case.chosen is not None:
        one = case.region.with_array(case.region.array.astype(np.uint8))
        result.overlays["explained_lesion"] = Overlay(one, "labelmap", "label", f"The explained {case.subject}.")
    probability = case.segmentation.probability
    result.overlays["probability"] = Overlay(probability, "probability", "probability", "1 − P(background).")
    result.metrics |= {
        "lesions": float(len(case.lesions)),
        "lesion_volume_ml": float(sum(lesion.volume_ml for lesion in case.lesions)),
    }


def _nothing_predicted(result: _Result, case: _Case, label: str) -> None:
    """An empty map with the reason: explaining a region that the model did not call a lesion would mislead."""
    peak = float(case.segmentation.probability.array.max())
    empty = case.numbered.with_array(np.zeros(case.numbered.shape, dtype=np.float32))
    result.overlays["saliency"] = Overlay(empty, "saliency", UNITS, "Empty: no lesion is predicted.")
    result.tables["lesions"] = _lesion_table(case, [])
    result.metrics["highest_probability"] = peak
    reason = (
        f"The model predicts no {label} of at least 3 mm³, so there is nothing to explain and the map is empty; "
        f"the highest probability of a voxel is {peak:.2g}."
    )
    result.checks.append(Check(name="predicted lesions", value=0.0, limit=1.0, verdict="caution", reason=reason))


def _add_maps(
    result: _Result,
    relevance: Tensor,
    prepared: Prepared,
    channels: tuple[str, ...],
    parameters: SaliencyParameters,
    subject: str,
    suffix: str = "",
) -> Volume:
    """The sum over channels and, when there are several, each channel; returns the sum."""
    how = f"Relevance for {subject} by {METHOD_NAMES[parameters.method]}"
    total = density(relevance.sum(0), prepared.affine, prepared.reference)
    result.overlays[f"saliency{suffix}"] = Overlay(total, "saliency", UNITS, f"{how}; positive speaks for the label.")
    if len(channels) > 1 and parameters.method != "occlusion":  # occlusion hides all channels together
        for name, channel in zip(channels, relevance, strict=True):
            volume = density(channel, prepared.affine, prepared.reference)
            overlay = Overlay(volume, "saliency", UNITS, f"{how}, {name} alone.")
            result.overlays[f"saliency{suffix}_{slug(name)}"] = overlay
    return total


def _add_metrics(result: _Result, checked: Checked, patches: int, suffix: str = "") -> None:
    attribution = checked.attribution
    values = {
        "target_logit": attribution.value,
        "relevance_sum": attribution.total,
        "relevance_expected": attribution.expected,
        "patches": float(patches),
    }
    gap = checks.gap(attribution)
    if gap is not None:
        values["relative_gap"] = gap
    if attribution.elsewhere:
        values["relevance_outside_boxes"] = attribution.elsewhere
    result.metrics |= {f"{name}{suffix}": value for name, value in values.items()}


def _add_locality(result: _Result, case: _Case, relevance: Volume) -> None:
    found = shares(relevance, case.numbered.array.astype(np.int32, copy=False))
    result.tables["lesions"] = _lesion_table(case, found.regions)
    explained = found.together if case.chosen is None else found.regions[case.chosen - 1]
    if explained.inside is None or explained.near is None:
        result.flags.append(Flag(subject=case.subject, message="No voxel speaks for the prediction."))
        return
    result.metrics |= {"relevance_inside_share": explained.inside, "relevance_near_share": explained.near}
    if explained.near < NEAR_SHARE:
        message = (
            f"Only {100 * explained.near:.0f} % of the positive relevance lies in or within {NEAR_MM:g} mm of it; "
            "the model seems to decide mostly from elsewhere."
        )
        result.flags.append(Flag(subject=case.subject, message=message))


def _lesion_table(case: _Case, found: Sequence[Share]) -> Table:
    """One row for each predicted lesion; shares are of the positive relevance of the explained map."""
    columns = [*LESION_COLUMNS, "explained", "relevance share inside", f"relevance share within {NEAR_MM:g} mm"]
    rows: list[list[str | int | float | bool | None]] = []
    for lesion, lesion_share in zip(case.lesions, found, strict=True):
        rows.append(
            [
                *lesion_cells(lesion),
                case.chosen in (None, lesion.number),
                rounded(lesion_share.inside),
                rounded(lesion_share.near),
            ]
        )
    return Table(title="Predicted lesions", columns=columns, rows=rows)
