"""Tables, overlays and numbers of property gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from slicerxai.data.volume import Volume
from slicerxai.explain.case_parts import slug
from slicerxai.explain.contract import Overlay, Table
from slicerxai.explain.property_case import PropertyCase
from slicerxai.explain.property_words import flip_words, output_title, range_words, valued, verdict

Row = list[str | int | float | bool | None]

EFFECT_COLUMNS: Final = (
    *("property", "title", "units", "low", "high", "neutral", "output", "output_units", "mean_abs_gradient"),
    *("over_range", "mean_gradient", "total_variation", "flips", "first_flip", "p_controls", "p_controls_adjusted"),
    *("controls", "p_permutation", "p_permutation_adjusted", "verdict"),
)


def tables(case: PropertyCase) -> dict[str, Table]:
    """A summary, effects, curves, flips, outputs and what could not be changed."""
    return {
        "summary": _summary(case),
        "effects": _effects(case),
        "curve": _curve(case),
        "flips": _flips(case),
        "outputs": _outputs(case),
    } | ({"unusable": _unusable(case)} if case.unusable else {})


def _summary(case: PropertyCase) -> Table:
    """The ranked output alone, in words."""
    p = case.p_controls()
    adjusted, column = case.adjusted(p)[:, case.output], case.output
    rows: list[Row] = []
    for one, tested, known in zip(case.measured, p[:, column], adjusted, strict=True):
        flips = one.effect.flips[column]
        rows.append(
            [
                one.property.title,
                range_words(one),
                rounded(float(one.effect.over_range[column])),
                "none" if not flips else "; ".join(flip_words(one, case.ranked, flip) for flip in flips),
                _known(float(known)),
                verdict(case, one, column, float(tested), float(known)),
            ]
        )
    title = output_title(case.ranked)
    columns = ["property", "range", f"E|∇| × range of {title}", "flips", "adjusted p of the controls", "verdict"]
    return Table(title=f"What {title} depends on", columns=columns, rows=rows)


def _effects(case: PropertyCase) -> Table:
    controls, permutation = case.p_controls(), case.p_permutation()
    adjusted, shuffled = case.adjusted(controls), case.adjusted(permutation)
    rows: list[Row] = []
    first = [case.output, *(n for n in range(len(case.outputs)) if n != case.output)]
    for row, one in enumerate(case.measured):
        for column in first:
            output, flips = case.outputs[column], one.effect.flips[column]
            p, q = float(controls[row, column]), float(adjusted[row, column])
            rows.append(
                [
                    one.property.name,
                    one.property.title,
                    one.property.units,
                    rounded(float(one.values[0])),
                    rounded(float(one.values[-1])),
                    rounded(one.neutral),
                    output.name,
                    output.units,
                    rounded(float(one.effect.mean_abs_gradient[column])),
                    rounded(float(one.effect.over_range[column])),
                    rounded(float(one.effect.mean_gradient[column])),
                    rounded(float(one.effect.total_variation[column])),
                    len(flips),
                    rounded(flips[0].value) if flips else None,
                    _known(p),
                    _known(q),
                    0 if one.controls is None else one.controls.drawn,
                    _known(float(permutation[row, column])),
                    _known(float(shuffled[row, column])),
                    verdict(case, one, column, p, q),
                ]
            )
    return Table(title=f"Effects, strongest on {case.ranked.name} first", columns=[*EFFECT_COLUMNS], rows=rows)


def rounded(value: float | None) -> float | None:
    """To six significant digits."""
    return None if value is None else float(f"{value:.6g}")


def _known(p: float) -> float | None:
    return None if np.isnan(p) else rounded(p)


def _curve(case: PropertyCase) -> Table:
    rows: list[Row] = [
        [one.property.name, step + 1, rounded(float(value)), *(rounded(float(number)) for number in numbers)]
        for one in case.measured
        for step, (value, numbers) in enumerate(zip(one.values, one.predictions, strict=True))
    ]
    names = [output.name for output in case.outputs]
    return Table(title="Predictions at every step", columns=["property", "step", "value", *names], rows=rows)


def _flips(case: PropertyCase) -> Table:
    rows: list[Row] = [
        [one.property.name, output.name, rounded(flip.value), "up" if flip.upward else "down"]
        for one in case.measured
        for output, flips in zip(case.outputs, one.effect.flips, strict=True)
        for flip in flips
    ]
    return Table(title="Where decisions turn", columns=["property", "output", "value", "direction"], rows=rows)


def _outputs(case: PropertyCase) -> Table:
    rows: list[Row] = [
        [output.name, output.units, rounded(output.threshold), rounded(float(value))]
        for output, value in zip(case.outputs, case.measured[0].unchanged, strict=True)
    ]
    return Table(
        title="Outputs of the unchanged image", columns=["output", "units", "threshold", "unchanged"], rows=rows
    )


def _unusable(case: PropertyCase) -> Table:
    rows: list[Row] = [[name, reason] for name, reason in case.unusable.items()]
    return Table(title="Properties that were not changed", columns=["property", "reason"], rows=rows)


def overlays(case: PropertyCase) -> dict[str, Overlay]:
    """Images and predictions at every step of the one property that was asked for, and the expert's mask."""
    found: dict[str, Overlay] = {}
    for index, step in enumerate(case.steps, start=1):
        one = case.measured[0]
        words = f"{one.property.title} {valued(one, float(one.values[index - 1]))}"
        for channel, name in zip(case.channels, ("", *(f"_{slug(name)}" for name in case.channels[1:])), strict=True):
            image = _as_stored(step.images[channel], case.images[channel])
            found[f"step_{index}{name}"] = Overlay(image, "counterfactual", "intensity", f"{channel} at {words}.")
        if step.prediction is not None:
            found[f"prediction_{index}"] = Overlay(step.prediction, "labelmap", "label", f"Predicted at {words}.")
    if case.lesions is not None:
        words = "Lesions that the model predicts in the unchanged image."
        found["lesions"] = Overlay(case.lesions, "labelmap", "label", words)
    if case.expert is not None:
        found["expert_mask"] = Overlay(case.expert, "labelmap", "label", "The expert's mask.")
    return found


def _as_stored(volume: Volume, source: Volume) -> Volume:
    """In the integer type of the image as given, where it has one."""
    kind = source.array.dtype
    if kind.kind not in "iu" or volume.array.dtype == kind:
        return volume
    limits = np.iinfo(kind)  # type: ignore[type-var]
    return volume.with_array(np.clip(np.rint(np.asarray(volume.array)), limits.min, limits.max).astype(kind))


def metrics(case: PropertyCase) -> dict[str, float]:
    """Of the property with the strongest effect on the ranked output."""
    one, column = case.measured[0], case.output
    found = {
        "over_range": float(one.effect.over_range[column]),
        "mean_abs_gradient": float(one.effect.mean_abs_gradient[column]),
        "mean_gradient": float(one.effect.mean_gradient[column]),
        "total_variation": float(one.effect.total_variation[column]),
        "flips": float(_count([one.effect.flips[column]])),
        "unchanged": float(one.unchanged[column]),
        "properties": float(len(case.measured)),
    }
    if one.controls is not None:
        found |= {"p_controls": float(one.controls.p[column]), "controls": float(one.controls.drawn)}
    if one.permutation is not None:
        found["p_permutation"] = float(one.permutation.p[column])
    return found


def _count(flips: Sequence[Sequence[object]]) -> int:
    return sum(len(one) for one in flips)
