"""Results of the property method made by hand, as a server sends them. No number in them was computed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from saliency_scenes import LANDMARK, as_result, blob, centres, scan

from slicerxai.data.volume import Volume
from slicerxai.explain.contract import Check, Explanation, Flag, Overlay, Provenance, Table

EFFECTS = [
    "property",
    "title",
    "units",
    "low",
    "high",
    "neutral",
    "output",
    "output_units",
    "mean_abs_gradient",
    "over_range",
    "mean_gradient",
    "total_variation",
    "flips",
    "first_flip",
    "p_controls",
    "p_controls_adjusted",
    "controls",
    "p_permutation",
    "p_permutation_adjusted",
    "verdict",
]
VALUES = (0.6, 0.8, 1.0, 1.1, 1.6)
"""Of the contrast: the way is not uniform, because the image as it is was put in between."""
NEUTRAL = 2
VOLUME, CHANCE = "lesion_volume_ml", "lesion_probability"
COURSES = {
    "contrast": ((0.5, 0.7, 1.0, 1.2, 2.4), (0.35, 0.45, 0.7, 0.75, 0.9)),
    "noise": ((1.0, 1.02, 0.98, 1.01, 0.99), (0.7, 0.7, 0.69, 0.7, 0.68)),
    "lesion_size": ((0.1, 0.6, 1.0, 1.4, 3.0), (0.2, 0.6, 0.7, 0.8, 0.95)),
}
"""Predictions of both outputs."""
INFO = {
    "contrast": ("Contrast", "", VALUES, 1.0),
    "noise": ("Noise", "1/SNR", (0.0, 0.03, 0.06, 0.09, 0.12), 0.0),
    "lesion_size": ("Lesion size", "mm", (-2.0, -1.0, 0.0, 1.0, 2.0), 0.0),
}
"""Title, units, values, and where the image is as it is."""
DEPENDS, ORDINARY, QUIET = "depends", "changes, but no more than under other changes of its size", "no change"


def frame(affine: np.ndarray, shape: tuple[int, ...], step: int) -> np.ndarray:
    """The scan at a step: the contrast's exponent about 100, as stored integers."""
    image = scan(affine, shape)
    return np.round(100 * (image / 100) ** VALUES[step]).astype(np.int16)


def predicted(affine: np.ndarray, shape: tuple[int, ...], step: int) -> np.ndarray:
    """The lesion, larger at every step; none at the first."""
    radius = (0.0, 2.0, 4.0, 6.0, 8.0)[step]
    distance = np.linalg.norm(centres(affine, shape) - LANDMARK[:, None, None, None], axis=0)
    return (distance < radius).astype(np.uint8)


def _tables(names: tuple[str, ...]) -> dict[str, Table]:
    rows: list[list[Any]] = []
    for place, output in enumerate((VOLUME, CHANCE)):
        units = ("ml", "")[place]
        for name in names:
            title, own, values, neutral = INFO[name]
            course = COURSES[name][place]
            span = values[-1] - values[0]
            over = sum(abs(b - a) for a, b in pairwise(course))
            verdict, p = {"contrast": (DEPENDS, 0.05), "noise": (QUIET, 0.6)}.get(name, (ORDINARY, 0.4))
            flipped = [0.86] if (name, output) == ("contrast", CHANCE) else []
            effect = [name, title, own, values[0], values[-1], neutral, output, units, over / span, over]
            effect += [(course[-1] - course[0]) / span, over, len(flipped), flipped[0] if flipped else None]
            rows.append([*effect, p, min(1.0, p * len(names)), 19, 0.001, 0.003, verdict])
    steps = [
        [name, step + 1, value, *(COURSES[name][place][step] for place in (0, 1))]
        for name in names
        for step, value in enumerate(INFO[name][2])
    ]
    turns = [["contrast", CHANCE, 0.86, "up"]] if "contrast" in names else []
    known = [[VOLUME, "ml", None, 1.0], [CHANCE, "", 0.5, 0.7]]
    return {
        "effects": Table(title="Effects", columns=EFFECTS, rows=rows),
        "curve": Table(title="Curves", columns=["property", "step", "value", VOLUME, CHANCE], rows=steps),
        "flips": Table(title="Flips", columns=["property", "output", "value", "direction"], rows=turns),
        "outputs": Table(title="Outputs", columns=["output", "units", "threshold", "unchanged"], rows=known),
        "unusable": Table(
            title="Not possible", columns=["property", "reason"], rows=[["colour_patch", "the image has no <colours>"]]
        ),
    }


def explanation(
    affine: np.ndarray,
    shape: tuple[int, ...],
    names: tuple[str, ...] = ("contrast",),
    model: str = "tiny",
    masks: bool = True,
    dtype: Any = np.int16,
) -> Explanation:
    """A walk along contrast, or a ranking of several properties."""
    overlays = {"FLAIR": Overlay(Volume(scan(affine, shape), affine), "image", "intensity", "FLAIR, as given.")}
    if names == ("contrast",):
        for step in range(len(VALUES)):
            voxels = frame(affine, shape, step).astype(dtype)
            overlays[f"step_{step + 1}"] = Overlay(Volume(voxels, affine), "counterfactual", "intensity", "A step.")
            overlays[f"step_{step + 1}_T1"] = Overlay(Volume(0 * voxels, affine), "counterfactual", "intensity", "T1.")
            if masks:
                mask = Volume(predicted(affine, shape, step), affine)
                overlays[f"prediction_{step + 1}"] = Overlay(mask, "labelmap", "label", "Predicted.")
    overlays["expert_mask"] = Overlay(
        Volume((blob(affine, shape) > 0.4).astype(np.uint8), affine), "labelmap", "label", "Drawn by an expert."
    )
    return Explanation(
        method="property",
        parameters={"properties": list(names), "steps": 5, "controls": 19, "output": None, "correction": "holm"},
        image_id="DOE^JANE_1970",
        overlays=overlays,
        tables=_tables(names),
        flags=[Flag(subject="lesion_probability", message="rises above 0.5 from <contrast> 0.86 on.")],
        metrics={"over_range": 1.9},
        checks=[Check(name="resolution", value=0.05, limit=0.05, verdict="caution", reason="Ω: 19 controls.")],
        provenance=Provenance(
            package_version="1", model=model, model_digest="00", inputs={"DOE^JANE_1970/FLAIR": "ab" * 32}
        ),
    )


RANKED = ("contrast", "noise", "lesion_size")


def prepared(affine: np.ndarray, shape: tuple[int, ...], **options: Any) -> Any:
    """The explanation as the logic takes it, through its bytes on the wire."""
    from XAIPropertyLib.prepared import prepare

    return prepare(as_result(explanation(affine, shape, **options)))
