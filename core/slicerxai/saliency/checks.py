"""Checks of a map that need no knowledge of how it was computed, and the honest limits of each method."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from slicerxai.progress import Progress, silent
from slicerxai.saliency.attribution import Attribution
from slicerxai.saliency.finding import Finding, Verdict
from slicerxai.saliency.occlusion import Occlusion
from slicerxai.saliency.target import Target

GAP_LIMIT, GAP_HARD_LIMIT = 0.05, 0.2
REPEAT_LIMIT = 1e-4
DECISION_LIMIT = 0.9
OCCLUSION_LIMIT = 1e-3
PROMISES = {
    "lrp": "Layer-wise relevance propagation distributes the decision without loss",
    "integrated_gradients": "Integrated gradients distribute the change from the baseline to the image without loss",
}
NO_PROMISE = {
    "input_x_gradient": "Input × Gradient follows the network's slope at this image only and does not promise to add "
    "up where the network has biases, normalisation or curved parts",
    "occlusion": "Occlusion hides one box at a time and does not promise to add up where boxes work together",
}


def gap(attribution: Attribution) -> float | None:
    """|ΣR − expected| / |expected|; None where nothing is expected or a number is not finite."""
    if not math.isfinite(attribution.expected) or abs(attribution.expected) < 1e-6 * (1 + abs(attribution.value)):
        return None
    value = abs(attribution.total - attribution.expected) / abs(attribution.expected)
    return value if math.isfinite(value) else None


def completeness(method: str, attribution: Attribution) -> Finding:
    """Completeness or conservation: does the map add up to what it explains?

    A method that promises it fails beyond `GAP_HARD_LIMIT`; one that does not gets at most "caution".
    """
    value, name = gap(attribution), "conservation" if method == "lrp" else "completeness"
    promised = method in PROMISES
    claim = PROMISES[method] if promised else NO_PROMISE[method]
    if value is None:
        reason = f"{claim}; here {attribution.expectation} is practically zero, so it cannot be checked."
        return Finding(name, None, GAP_LIMIT, "unreliable" if promised else "caution", reason)
    measured = (
        f"the map adds up to {attribution.total:.4g} against {attribution.expected:.4g}, {attribution.expectation}"
    )
    if value <= GAP_LIMIT:
        return Finding(name, value, GAP_LIMIT, "reliable", f"{claim}; {measured} ({100 * value:.2g} % apart).")
    if not promised:
        advice = "compare regions of this map with each other, not with the decision"
        reason = f"{claim}; {measured} ({100 * value:.3g} % apart): {advice}."
        return Finding(name, value, GAP_LIMIT, "caution", reason)
    hard = value > GAP_HARD_LIMIT
    remedy = "more steps may help" if method == "integrated_gradients" else "a part of the network breaks the rules"
    reason = (
        f"{claim}, but {measured} ({100 * value:.3g} % apart), so "
        f"{'the map does not account for the decision' if hard else 'a part of the decision is missing'}; {remedy}."
    )
    return Finding(name, value, GAP_LIMIT, "unreliable" if hard else "caution", reason)


def repeatability(target: Target, attribution: Attribution) -> Finding:
    """T of the heaviest windows computed again against the first time, relative to |T|."""
    chosen = target.heaviest(2)
    again = target.evaluate(target.tensor, indices=chosen)
    scale = max(sum(abs(value) for value in attribution.windows), 1e-12)
    value = max(abs(a - attribution.windows[i]) for a, i in zip(again, chosen, strict=True)) / scale
    if value <= REPEAT_LIMIT:  # false for NaN
        reason = "The network gives the same answer when it sees the same image again."
        return Finding("repeatability", value, REPEAT_LIMIT, "reliable", reason)
    reason = "The network gives another answer when it sees the same image again, so no map can explain it."
    return Finding("repeatability", value if math.isfinite(value) else None, REPEAT_LIMIT, "unreliable", reason)


def informative(attribution: Attribution) -> Finding:
    """Share of voxels with a finite value; the map must also vary."""
    finite = torch.isfinite(attribution.relevance)
    share = int(torch.count_nonzero(finite)) / finite.numel()
    if share < 1:
        reason = "The map contains values that are not numbers, so it cannot be read."
        return Finding("finite map", share, 1.0, "unreliable", reason)
    if bool(attribution.relevance.max() == attribution.relevance.min()):
        reason = "The map has the same value everywhere, so it points to nothing."
        return Finding("finite map", share, 1.0, "unreliable", reason)
    return Finding("finite map", share, 1.0, "reliable", "Every voxel of the map has a number, and the map varies.")


def rule_coverage(attribution: Attribution) -> Finding:
    """Number of executed modules with parameters that layer-wise relevance propagation has no rule for."""
    count = len(attribution.unruled)
    if count == 0:
        reason = "Every layer with parameters that took part was propagated by a rule."
        return Finding("rule coverage", 0.0, 0.0, "reliable", reason)
    reason = (
        f"{count} parts of the network with parameters have no propagation rule "
        f"({', '.join(attribution.unruled[:5])}), so the map does not follow how the network decides."
    )
    return Finding("rule coverage", float(count), 0.0, "unreliable", reason)


def agreement(attribution: Attribution, region: Tensor, threshold: float = 0.5) -> Finding:
    """Share of the explained voxels in which the recomputed decision is for the label, as the prediction says.

    Args:
        threshold: probability from which the model calls a voxel lesion; the decision is compared with its log-odds.
    """
    limit = math.log(threshold / (1 - threshold))
    value = float((attribution.decision[region] > limit).float().mean())
    if value >= DECISION_LIMIT:
        reason = f"The explained decision agrees with the prediction in {100 * value:.0f} % of the lesion voxels."
        return Finding("agreement with the prediction", value, DECISION_LIMIT, "reliable", reason)
    reason = (
        f"The explained decision agrees with the prediction in only {100 * value:.0f} % of the lesion voxels, so the "
        "map partly explains something else than what was predicted."
    )
    verdict: Verdict = "caution" if value >= 0.5 else "unreliable"
    return Finding("agreement with the prediction", value, DECISION_LIMIT, verdict, reason)


def box_consistency(
    target: Target, baseline: Tensor, result: Occlusion, seed: int, count: int = 3, progress: Progress = silent
) -> Finding:
    """Effects of a few random boxes, hidden again in the whole volume, against those of the map.

    Independent of captum and of the window-wise bookkeeping. Half of the draw comes from the boxes of largest effect.
    """
    total = result.boxes.count
    order = sorted(range(total), key=lambda i: (-abs(result.effects[i]), i))
    generator = torch.Generator().manual_seed(seed)
    picked = {order[0], *torch.randperm(total, generator=generator)[: count - 1].tolist()}
    before, worst = sum(target.evaluate(target.tensor)), 0.0
    scale = max(abs(result.effects[order[0]]), 1e-6 * (1 + abs(before)))
    for number, box in enumerate(sorted(picked)):
        progress(number / len(picked), "checking the boxes")
        hidden = torch.where(result.boxes.ids == box + 1, baseline, target.tensor)
        worst = max(worst, abs(before - sum(target.evaluate(hidden)) - result.effects[box]) / scale)
        if not math.isfinite(result.effects[box]):
            worst = math.inf
    if worst <= OCCLUSION_LIMIT:
        reason = f"Hiding {len(picked)} of the boxes again, in another way, had the same effects as in the map."
        return Finding("box effects repeated", worst, OCCLUSION_LIMIT, "reliable", reason)
    reason = f"Hiding {len(picked)} of the boxes again had other effects than in the map, so the map cannot be trusted."
    return Finding(
        "box effects repeated", worst if math.isfinite(worst) else None, OCCLUSION_LIMIT, "unreliable", reason
    )
