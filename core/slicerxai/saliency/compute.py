"""One call for every method: the map and all of its checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from slicerxai.progress import Progress, part, silent
from slicerxai.saliency import checks
from slicerxai.saliency.attribution import Attribution
from slicerxai.saliency.baseline import blurred
from slicerxai.saliency.finding import Finding
from slicerxai.saliency.gradient_check import gradient_check
from slicerxai.saliency.input_x_gradient import input_x_gradient
from slicerxai.saliency.integrated_gradients import integrated_gradients
from slicerxai.saliency.lrp import lrp
from slicerxai.saliency.occlusion import boxes_around, occlusion
from slicerxai.saliency.target import Target

Method = Literal["input_x_gradient", "lrp", "integrated_gradients", "occlusion"]


@dataclass(frozen=True)
class Checked:
    """A map with its checks."""

    attribution: Attribution
    findings: tuple[Finding, ...]


def compute(
    method: Method,
    target: Target,
    spacing: Sequence[float],
    steps: int,
    window: float,
    seed: int,
    region: NDArray[np.bool_] | None = None,
    progress: Progress = silent,
) -> Checked:
    """The map of a target with completeness, repeatability and the checks that fit the method.

    Args:
        spacing: voxel size along each spatial axis, mm.
        steps: of integrated gradients.
        window: edge of an occluded box, mm.
        region: what the target is about, (*spatial); occlusion stays in its neighbourhood. By default the whole image.
    """
    extra: list[Finding] = []
    work, verify = part(progress, 0.0, 0.9), part(progress, 0.9, 1.0)
    if method == "occlusion":
        baseline = blurred(target.tensor, spacing)
        everywhere = np.ones(tuple(target.tensor.shape[1:]), dtype=bool)
        boxes = boxes_around(everywhere if region is None else region, window, spacing)
        hidden = occlusion(target, baseline, boxes, work)
        attribution = hidden.attribution
        extra.append(checks.box_consistency(target, baseline, hidden, seed, progress=verify))
    else:
        attribution = _from_gradients(method, target, spacing, steps, work)
        extra.append(gradient_check(target, seed, attribution.gradients, verify))
        if method == "lrp":
            extra.append(checks.rule_coverage(attribution))
    common = (
        checks.completeness(method, attribution),
        checks.repeatability(target, attribution),
        checks.informative(attribution),
    )
    return Checked(attribution, (*common, *extra))


def _from_gradients(
    method: Method, target: Target, spacing: Sequence[float], steps: int, progress: Progress
) -> Attribution:
    if method == "lrp":
        return lrp(target, progress)
    if method == "integrated_gradients":
        return integrated_gradients(target, blurred(target.tensor, spacing), steps, progress)
    return input_x_gradient(target, progress)
