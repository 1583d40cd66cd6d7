"""Results of the counterfactual method made by hand, as a server sends them. No number in them was computed."""

from __future__ import annotations

from typing import Any

import numpy as np
from saliency_scenes import LANDMARK, as_result, blob, centres, scan

from slicerxai.data.volume import Volume
from slicerxai.explain.contract import Check, Explanation, Flag, Overlay, Provenance, Table

CORNER = LANDMARK + np.array([12.0, 8.0, -10.0])
"""RAS mm; where the second counterfactual changes the image."""
GALLERY = [
    "number",
    "flipped",
    "probability_before",
    "probability_after",
    "change_l1",
    "changed_voxels",
    "share_inside_mask",
    "plausibility",
    "overlay",
]


def mark(affine: np.ndarray, shape: tuple[int, ...], place: np.ndarray, radius: float = 6.0) -> np.ndarray:
    """1 at a place, falling to 0 at the radius."""
    distance = np.linalg.norm(centres(affine, shape) - place[:, None, None, None], axis=0)
    return np.clip(1 - distance / radius, 0, 1).astype(np.float32)


def changes(affine: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The lesion made darker; a corner made brighter and something in the lesion a little darker."""
    lesion = -80 * (blob(affine, shape) > 0.5) * blob(affine, shape)
    corner = 60 * mark(affine, shape, CORNER) - 5 * (blob(affine, shape) > 0.9)
    return lesion.astype(np.float32), corner.astype(np.float32)


def explanation(affine: np.ndarray, shape: tuple[int, ...], model: str = "regions", masked: bool = True) -> Explanation:
    """Two counterfactuals of a scan: the first inside the lesion, the second in a corner."""
    image = scan(affine, shape)
    overlays = {"FLAIR": Overlay(Volume(image, affine), "image", "intensity", "FLAIR, as given.")}
    for suffix, change in zip(("", "_2"), changes(affine, shape), strict=True):
        changed = Volume(image + change, affine)
        overlays[f"counterfactual{suffix}"] = Overlay(changed, "counterfactual", "intensity", "Changed.")
        overlays[f"difference{suffix}"] = Overlay(Volume(change, affine), "difference", "intensity", "Change.")
    if masked:
        mask = Volume((blob(affine, shape) > 0.4).astype(np.uint8), affine)
        overlays["expert_mask"] = Overlay(mask, "labelmap", "label", "Drawn by an expert.")
    rows: list[list[Any]] = [
        [1, True, 0.9, 0.2, 1234.5, 321, 1.0 if masked else None, 0.4, "counterfactual"],
        [2, False, 0.9, 0.6, 4321.0, 99, 0.04 if masked else None, None, "counterfactual_2"],
    ]
    labels: list[list[Any]] = [["periventricular", 0.9, 0.2, 0.5, True], ["infratentorial", 0.1, 0.12, 0.45, False]]
    metrics = {"probability_before": 0.9, "probability_after": 0.2, "changed_voxels": 1321.0}
    return Explanation(
        method="counterfactual",
        parameters={"label": None, "count": 2, "distance": "l1", "space": "image"},
        image_id="DOE^JANE_1970",
        overlays=overlays,
        tables={
            "counterfactuals": Table(title="Counterfactuals", columns=GALLERY, rows=rows),
            "labels": Table(title="Labels", columns=["label", "before", "after", "threshold", "flipped"], rows=labels),
        },
        flags=[Flag(subject="counterfactual 2", message="96 % of the change lies outside the <lesion>.")],
        metrics=metrics | ({"share_inside_mask": 1.0} if masked else {}),
        checks=[Check(name="decision", value=0.2, limit=0.5, verdict="caution", reason="Ω turned, read back.")],
        provenance=Provenance(
            package_version="1", model=model, model_digest="00", inputs={"DOE^JANE_1970/FLAIR": "ab" * 32}
        ),
    )


def result(affine: np.ndarray, shape: tuple[int, ...], **options: Any) -> Any:
    """The explanation as the client receives it, through its bytes on the wire."""
    return as_result(explanation(affine, shape, **options))


def prepared(affine: np.ndarray, shape: tuple[int, ...], **options: Any) -> Any:
    """The explanation as the logic takes it, through its bytes on the wire."""
    from XAICounterfactualLib.prepared import prepare

    return prepare(result(affine, shape, **options))
