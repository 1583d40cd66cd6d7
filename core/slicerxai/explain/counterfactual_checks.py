"""Self-tests of counterfactuals: is it one, is it the smallest, is it an image?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from slicerxai.explain.case_parts import domain_findings
from slicerxai.explain.contract import Check, Verdict
from slicerxai.explain.counterfactual_tables import IMPLAUSIBLE, Case

RESIDUAL_LIMIT: Final = 0.05
WRITTEN_LIMIT: Final = 0.25
CLIPPED_LIMIT: Final = 0.05
WHAT_TO_TRY: Final = "more steps, another distance, another label or lesion"


def checks(case: Case, *, brain: bool) -> list[Check]:
    """All of them, for the first counterfactual.

    Args:
        brain: the model reads whole, skull-stripped brains.
    """
    domain = [Check(**asdict(one)) for one in domain_findings(case.prepared, case.channels, brain=brain)]
    if case.first is None:
        reason = "No voxel of the image may change, so there is no counterfactual."
        return [Check(name="decision turns", value=0.0, limit=1.0, verdict="unreliable", reason=reason), *domain]
    return [_turns(case), _smallest(case), _written(case), _range(case), _plausible(case), *domain]


def nothing_predicted(label: str, highest: float) -> Check:
    """There is no lesion that could vanish."""
    reason = (
        f"The model predicts no {label} of at least 3 mm³, so there is none that could vanish; the highest probability "
        f"of a voxel is {highest:.2g}."
    )
    return Check(name="predicted lesions", value=0.0, limit=1.0, verdict="caution", reason=reason)


def _turns(case: Case) -> Check:
    first = case.first
    assert first is not None  # noqa: S101 - checked by the caller
    name, after = "decision turns", first.after
    was, now = case.before.probability, after.probability
    moved = f"the probability goes from {was:.2f} to {now:.2f}"
    if after.turned:
        reason = (
            f"The changed image, prepared and read by the model anew, turns {case.subject} ({case.wanted}): {moved}."
        )
        return Check(name=name, value=1.0, limit=1.0, verdict="reliable", reason=reason)
    if first.trial.seen.turned:
        reason = (
            f"On the network's own grid the change turns {case.subject} ({case.wanted}, probability "
            f"{first.trial.seen.probability:.2f}), but written into the image and prepared anew it no longer does: "
            f"{moved}. Read the difference as where the model looks, not as an image that it would judge otherwise."
        )
        return Check(name=name, value=0.0, limit=1.0, verdict="caution", reason=reason)
    reason = (
        f"No change was found that turns {case.subject} ({case.wanted}): {moved} at the smallest weight tried "
        f"({first.trial.alpha:.2g}). What is shown is no counterfactual. Try {_advice(case)}."
    )
    return Check(name=name, value=0.0, limit=1.0, verdict="unreliable", reason=reason)


def _advice(case: Case) -> str:
    first = case.first
    if first is not None and first.trial.changed_voxels == 0:
        return "a smaller alpha (nothing moved at this one), or leave alpha out so that it is searched"
    return f"a smaller alpha, {WHAT_TO_TRY}"


def _smallest(case: Case) -> Check:
    first = case.first
    assert first is not None  # noqa: S101 - checked by the caller
    value = first.trial.residual
    if value <= RESIDUAL_LIMIT:
        reason = (
            "The solver has converged: nowhere could moving a voxel make the change better by more than "
            f"{100 * value:.2g} % of the steepest slope at the image."
        )
        return Check(name="optimality", value=value, limit=RESIDUAL_LIMIT, verdict="reliable", reason=reason)
    reason = (
        f"The solver stopped before it converged (residual {value:.2g} of the steepest slope), so a smaller change may "
        "do the same; try more steps."
    )
    return Check(name="optimality", value=value, limit=RESIDUAL_LIMIT, verdict="caution", reason=reason)


def _written(case: Case) -> Check:
    first = case.first
    assert first is not None  # noqa: S101 - checked by the caller
    value = first.written.error
    share = f"{100 * value:.0f} %"
    if not first.written.same_grid:
        reason = "The changed image is cut out or resampled otherwise than the original, so the two cannot be compared."
        return Check(name="written change", value=None, limit=WRITTEN_LIMIT, verdict="unreliable", reason=reason)
    if value <= WRITTEN_LIMIT:
        reason = f"Prepared anew, the written change is within {share} of the change that was searched."
        return Check(name="written change", value=value, limit=WRITTEN_LIMIT, verdict="reliable", reason=reason)
    reason = (
        f"Prepared anew, the written change differs by {share} from the change that was searched: resampling and "
        "normalisation lose or spread part of it."
    )
    return Check(name="written change", value=value, limit=WRITTEN_LIMIT, verdict="caution", reason=reason)


def _range(case: Case) -> Check:
    first = case.first
    assert first is not None  # noqa: S101 - checked by the caller
    value = first.written.clipped
    if value <= CLIPPED_LIMIT:
        reason = "Every changed voxel has a value that occurs in the range of the image."
        return Check(name="range of values", value=value, limit=CLIPPED_LIMIT, verdict="reliable", reason=reason)
    reason = f"{100 * value:.0f} % of the change would leave the range of the image's values and was given up."
    return Check(name="range of values", value=value, limit=CLIPPED_LIMIT, verdict="caution", reason=reason)


def _plausible(case: Case) -> Check:
    value = case.plausibility[0]
    name = "plausibility"
    if value is None:
        unknown = "Whether the changed image still looks like a patient was not judged: "
        reason = unknown + (
            "what was learned of this model's images does not fit the part of the image that decides."
            if case.learned
            else "nothing was learned of this model's images; do so with slicerxai realism MODEL COHORT."
        )
        return Check(name=name, value=None, limit=IMPLAUSIBLE, verdict="caution", reason=reason)
    before = case.plausibility_before
    original = "" if before is None else f" (the original: {100 * before:.0f} %)"
    share = f"{100 * value:.0f} % of the held-out images are at least as unusual{original}"
    if value >= IMPLAUSIBLE:
        reason = f"The changed image looks like those that the model knows: {share}."
        return Check(name=name, value=value, limit=IMPLAUSIBLE, verdict="reliable", reason=reason)
    reason = f"The changed image looks unlike those that the model knows: only {share}."
    verdict: Verdict = "caution"
    return Check(name=name, value=value, limit=IMPLAUSIBLE, verdict=verdict, reason=reason)
