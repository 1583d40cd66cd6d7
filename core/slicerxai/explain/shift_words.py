"""How shift attribution speaks to people: units, names of features, and what is to be done about a mechanism."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from slicerxai.explain.contract import Check, Flag
from slicerxai.shift.evaluate import ERRORS
from slicerxai.shift.options import MetricName
from slicerxai.shift.study import Study, points

UNITS: Final[dict[MetricName, str]] = {"volume_error_ml": "ml", "surface_distance_mm": "mm"}
VARIABLES: Final = {"S": "patient", "X": "image", "Y": "mask"}
MEANING: Final = {
    "population": "who the patients are",
    "acquisition": "how they were scanned",
    "annotation": "how lesions were drawn",
}
FEATURES: Final = {
    "age": "age, years",
    "female": "share of women",
    "log_burden": "disease burden",
    "high_frequency": "noise and fine detail",
    "anisotropy": "detail across slices",
    "grain": "grain",
    "dark": "dark tissue",
    "contrast": "contrast",
    "bright": "bright tissue",
    "tone": "tone curve",
    "shading": "shading",
    "log_predicted": "predicted volume",
    "confidence": "the model's confidence",
    "log_predicted_lesions": "number of predicted lesions",
    "offset_mm": "boundary outside the image's outline, mm",
    "edge": "brightness of the drawn rim",
    "disagreement": "departure from the image's outline",
    "log_lesions": "number of lesions",
    "log_median_mm3": "size of the drawn lesions",
    "faintest": "contrast of the faintest drawn lesions",
    "log_volume_ratio": "drawn volume against the panel's",
    "drawn_dice": "Dice with the panel's mask",
    "lesions_found": "share of the panel's lesions that are drawn",
    "lesions_right": "share of the drawn lesions that are the panel's",
}
"""Names for people; logarithms are not named as such, since only their differences in SDs are shown."""
HELP: Final = "What would help: "
NOTABLE_SD: Final = 0.5
"""Differences of features below this many standard deviations are not named."""


def unit(metric: MetricName) -> str:
    """Unit of the numbers that people read."""
    return UNITS.get(metric, "points")


def differences(study: Study, groups: Sequence[str]) -> list[tuple[str, float, float, float]]:
    """Name, mean of the source, mean of the target and their difference in standard deviations within the sites,
    largest first; features of some groups, see `CaseScore`.
    """
    sides = [
        [[value for group in groups for value in score.features[group].values()] for score in side]
        for side in (study.source_scores, study.target_scores)
    ]
    if not sides[0][0]:
        return []
    one, other = (np.array(side, dtype=np.float64) for side in sides)
    within = np.sqrt((one.var(0, ddof=1) + other.var(0, ddof=1)) / 2)
    apart = np.divide(other.mean(0) - one.mean(0), within, out=np.zeros_like(within), where=within > 0)
    names = [name for group in groups for name in study.source_scores[0].features[group]]
    rows = zip(names, one.mean(0), other.mean(0), apart, strict=True)
    return sorted(((name, float(a), float(b), float(d)) for name, a, b, d in rows), key=lambda row: -abs(row[3]))


def actions(study: Study, metric: MetricName, raters: tuple[str, str], checks: Sequence[Check]) -> list[Flag]:
    """What to do, one for each mechanism that is established to cost performance, the dearest first.

    Where the result is not to be relied on, or nothing is established: what would help to find out.
    """
    failed = [check for check in checks if check.verdict == "unreliable"]
    if failed:
        return [Flag(subject="unresolved", message=f"No action on the grounds of this result. {_help(failed)}")]
    found = study.attribution
    scale = points(metric)
    order = [int(k) for k in np.argsort(-found.phi) if found.interval[k, 0] > 0]
    flags = []
    for k in order:
        name = found.names[k]
        low, high = scale * found.interval[k]
        cost = f"It costs {scale * found.phi[k]:.1f} {unit(metric)} ({low:.1f} to {high:.1f})."
        flags.append(Flag(subject=name, message=f"{cost} {_action(name, study, raters)}"))
    if flags:
        return flags
    if found.drop <= 0:
        return [Flag(subject="unresolved", message="The model does no worse at the target; nothing is to be done.")]
    unsure = [check for check in checks if check.verdict == "caution"]
    return [Flag(subject="unresolved", message=f"No mechanism is established to cost performance. {_help(unsure)}")]


def _action(name: str, study: Study, raters: tuple[str, str]) -> str:
    if name == "acquisition":
        return (
            "Harmonise the scanners: align the protocols, or train with images of the target, such as a few annotated "
            f"cases or augmentation towards its look.{_most(study, ['acquisition'])}"
        )
    if name == "annotation" and raters[0] == raters[1]:
        return (
            f"Both sites take the masks of rater {raters[0]!r}: see whether these were made in the same way at both; "
            f"if so, this share belongs to acquisition.{_most(study, study.groups['Y'])}"
        )
    if name == "annotation":
        return (
            f"Standardise the annotation: agree on a protocol and read some cases jointly (raters {raters[0]!r} and "
            "{!r}), before the model is blamed or trained again.{}".format(raters[1], _most(study, study.groups["Y"]))
        )
    if name == "population":
        return (
            "Collect and annotate cases of such patients for training, or state that the model was not made for them."
            f"{_most(study, ['population'])}"
        )
    variable = study.graph.mechanisms[study.graph.index(name)]
    return f"Look at what changed in {variable}."


def _most(study: Study, groups: Sequence[str], count: int = 3) -> str:
    """What differs most between the sites, as a sentence with a space before it; nothing when nothing does."""
    rows = [row for row in differences(study, groups) if abs(row[3]) >= NOTABLE_SD][:count]
    shown = ", ".join(f"{FEATURES.get(name, name).split(',')[0]} ({apart:+.1f} SD)" for name, _, _, apart in rows)
    return f" What differs most at the target: {shown}." if shown else ""


def _help(checks: Sequence[Check]) -> str:
    """What the checks say would help, each once."""
    found = [check.reason.partition(HELP)[2] for check in checks if HELP in check.reason]
    unique = list(dict.fromkeys(text.strip().removesuffix(".") for text in found))
    return f"{HELP}{'; '.join(unique)}." if unique else "See the reasons of the checks."


def is_error(metric: MetricName) -> bool:
    """Whether smaller is better."""
    return metric in ERRORS
