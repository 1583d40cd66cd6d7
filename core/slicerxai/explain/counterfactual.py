"""The smallest change of an image that would have made the model decide otherwise."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from slicerxai.alignment.plausibility import Realism
from slicerxai.alignment.realism_store import RealismStore
from slicerxai.data.lesions import find_lesions, label_lesions
from slicerxai.data.resample import resample_like
from slicerxai.data.volume import Volume
from slicerxai.errors import InputError
from slicerxai.explain.case_parts import image_overlays
from slicerxai.explain.chosen_lesion import lesion_at
from slicerxai.explain.contract import Explainer, Explanation, Inputs, Overlay, Subject
from slicerxai.explain.counterfactual_checks import checks, nothing_predicted
from slicerxai.explain.counterfactual_decisions import Decision, Reading, label_decision, lesion_decision
from slicerxai.explain.counterfactual_figures import figures
from slicerxai.explain.counterfactual_images import Writer, Written, foreground_on
from slicerxai.explain.counterfactual_parameters import NO_REALISM, CounterfactualParameters
from slicerxai.explain.counterfactual_search import Confirm, Search
from slicerxai.explain.counterfactual_tables import Case, empty_table, flags, metrics, overlays, tables
from slicerxai.models.protocols import Classifier, Prepared, Segmenter
from slicerxai.progress import Progress, part
from slicerxai.settings import settings


class CounterfactualExplainer(Explainer[Inputs, CounterfactualParameters]):
    """Counterfactual images (Learning Causal Alignment, eq. 2) of one case.

    x* = arg min over x of loss(x) + α d(x, x0), by proximal steps, with the largest α at which the decision turns. The
    loss of a classifier is the cross-entropy of one label towards the other decision; of a segmenter, how far the most
    probable voxel of a predicted lesion is above the threshold. The change is solved for on the network's grid, in its
    units, written into the image, and judged by what the model makes of that image.
    """

    subject: ClassVar[Subject] = "case"
    name: ClassVar[str] = "counterfactual"
    title: ClassVar[str] = "Counterfactual"
    summary: ClassVar[str] = "The smallest change of this image that would have made the model decide otherwise."
    Parameters: ClassVar[type[CounterfactualParameters]] = CounterfactualParameters

    def explain(self, inputs: Inputs, parameters: CounterfactualParameters, progress: Progress) -> Explanation:
        """Look for counterfactuals.

        Raises:
            InputError: unusable images or mask, an unknown label, a point that is no lesion's, or one for a classifier.
            NotFoundError, ConflictError: what the plausibility is judged by is gone, or another model's.
            Cancelled: through `progress`.
        """
        chosen = parameters.resolved(inputs.model.info.digest)
        progress(0.0, "preparing the image")
        prepared = inputs.model.prepare(inputs.images)
        mask = None if inputs.mask is None else _expert_mask(inputs.mask, prepared.reference)
        if isinstance(inputs.model, Segmenter):
            return self._of_lesion(inputs, inputs.model, prepared, mask, chosen, progress)
        return self._of_label(inputs, inputs.model, prepared, mask, chosen, progress)

    def _of_label(
        self,
        inputs: Inputs,
        model: Classifier,
        prepared: Prepared,
        mask: Volume | None,
        parameters: CounterfactualParameters,
        progress: Progress,
    ) -> Explanation:
        if parameters.point is not None:
            msg = f"point {parameters.point} was given, but a classifier has no lesion to choose; leave point out"
            raise InputError(msg)
        decision = label_decision(model, prepared, parameters.label)

        def confirm(written: Written, _: Progress) -> Reading:
            return decision.read(written.prepared.tensor)

        before = decision.read(prepared.tensor)
        return self._explained(
            inputs, prepared, decision, before, mask, {}, confirm, parameters, part(progress, 0.02, 1.0)
        )

    def _of_lesion(
        self,
        inputs: Inputs,
        model: Segmenter,
        prepared: Prepared,
        mask: Volume | None,
        parameters: CounterfactualParameters,
        progress: Progress,
    ) -> Explanation:
        label = _lesion_label(model, parameters.label)
        found = model.predict(inputs.images, part(progress, 0.02, 0.2))
        numbered = label_lesions(found.labelmap, label)
        lesions = find_lesions(found.labelmap, found.probability, label)
        shown = (np.asarray(numbered.array) != 0).astype(np.uint8)
        extra = {
            "lesions": Overlay(numbered.with_array(shown), "labelmap", "label", "Lesions that the model predicts.")
        }
        if not lesions:
            highest = float(np.asarray(found.probability.array).max())
            return _nothing(inputs, parameters, extra, model.info.labels[label], highest)
        number = 1 if parameters.point is None else lesion_at(numbered, lesions, parameters.point)
        decision = lesion_decision(model, prepared, numbered, number, label, f"lesion {number}")
        region = numbered.array == number
        one = numbered.with_array(region.astype(np.uint8))
        extra["explained_lesion"] = Overlay(one, "labelmap", "label", f"The explained lesion {number}.")

        before = Reading(float(np.asarray(found.probability.array)[region].max()), turned=False)

        def confirm(written: Written, now: Progress) -> Reading:
            again = model.predict(written.images, now)
            left = np.asarray(label_lesions(again.labelmap, label).array)
            kept = np.unique(left[np.asarray(numbered.array) != 0])
            highest = float(np.asarray(again.probability.array)[region].max())
            return Reading(
                highest, not left[region].any(), appeared=int(np.setdiff1d(np.unique(left), [0, *kept]).size)
            )

        return self._explained(
            inputs, prepared, decision, before, mask, extra, confirm, parameters, part(progress, 0.2, 1.0)
        )

    def _explained(
        self,
        inputs: Inputs,
        prepared: Prepared,
        decision: Decision,
        before: Reading,
        mask: Volume | None,
        extra: dict[str, Overlay],
        confirm: Confirm,
        parameters: CounterfactualParameters,
        progress: Progress,
    ) -> Explanation:
        model = inputs.model
        channels = model.info.channels
        allowed = foreground_on(prepared, inputs.images, channels)
        writer = Writer(model.prepare, inputs.images, channels, prepared)
        realism = _realism(parameters, model, decision, prepared)
        drawn = None if realism is None or parameters.space == "image" else realism.autoencoder
        search = Search(decision, writer, allowed, parameters, model.device, confirm, drawn)
        solutions = search.gallery(part(progress, 0.0, 0.95))
        progress(0.95, "drawing")
        judged = [_plausibility(realism, decision, one.written.prepared, model.device) for one in solutions]
        case = Case(
            subject=decision.subject,
            wanted=decision.wanted,
            labels=() if isinstance(model, Segmenter) else model.info.labels,
            thresholds=(model.threshold,) if isinstance(model, Segmenter) else model.thresholds,
            exclusive=not isinstance(model, Segmenter) and model.exclusive,
            channels=channels,
            images={name: inputs.images[name] for name in channels},
            prepared=prepared,
            before=before,
            solutions=solutions,
            mask=mask,
            plausibility=judged,
            plausibility_before=_plausibility(realism, decision, prepared, model.device),
            learned=parameters.realism != NO_REALISM,
        )
        return Explanation(
            method=self.name,
            parameters=parameters.model_dump(mode="json"),
            image_id=inputs.image_id,
            overlays=image_overlays(inputs.images, channels) | extra | overlays(case),
            tables=tables(case),
            figures=figures(case),
            flags=flags(case),
            metrics=metrics(case),
            checks=checks(case, brain=isinstance(model, Segmenter)),
        )


def _nothing(
    inputs: Inputs,
    parameters: CounterfactualParameters,
    extra: dict[str, Overlay],
    label: str,
    highest: float,
) -> Explanation:
    """No lesion, so nothing can vanish."""
    return Explanation(
        method="counterfactual",
        parameters=parameters.model_dump(mode="json"),
        image_id=inputs.image_id,
        overlays=image_overlays(inputs.images, inputs.model.info.channels) | extra,
        tables={"counterfactuals": empty_table()},
        checks=[nothing_predicted(label, highest)],
    )


def _realism(
    parameters: CounterfactualParameters, model: Segmenter | Classifier, decision: Decision, prepared: Prepared
) -> Realism | None:
    """What was learned of such images as the decision rests on; None without, or where it is of another shape.

    Raises `InputError` for the latter where the change is to be drawn by it.
    """
    if parameters.realism is None or parameters.realism == NO_REALISM:
        return None
    stored = RealismStore(settings().realism).load(parameters.realism, model.info.digest, model.device)
    shape, known = tuple(decision.part(prepared.tensor).shape[2:]), tuple(stored.realism.autoencoder.shape)
    if shape == known:
        return stored.realism
    if parameters.space == "latent":
        msg = f"{decision.subject} is decided from {shape} voxels, and what was learned has {known}; use space image"
        raise InputError(msg)
    return None


def _plausibility(
    realism: Realism | None, decision: Decision, prepared: Prepared, device: torch.device
) -> float | None:
    if realism is None:
        return None
    image = decision.part(prepared.tensor)
    if tuple(image.shape[2:]) != tuple(realism.autoencoder.shape):
        return None
    return float(realism.plausibility(image.to(device))[0])


def _expert_mask(mask: Volume, image: Volume) -> Volume:
    """On the image's grid as 0 and 1; an empty one says that there is no finding.

    Raises `InputError` for one whose voxels all lie beside the image.
    """
    drawn = mask.with_array((np.asarray(mask.array) != 0).astype(np.uint8))
    moved = resample_like(drawn, image, order=0)
    if np.asarray(drawn.array).any() and not np.asarray(moved.array).any():
        msg = "the mask has no voxel inside the image; check that it was drawn on this image"
        raise InputError(msg)
    return moved


def _lesion_label(model: Segmenter, wanted: str | None) -> int:
    usable = [name for name in model.info.labels if name != "background"]
    name = usable[0] if wanted is None else wanted
    if name not in usable:
        msg = f"unknown label {name!r}; the model has: {', '.join(usable)}"
        raise InputError(msg, accepted=usable)
    return model.info.labels.index(name)
