"""Model cards (Mitchell et al. 2019, arXiv:1810.03993): what a model is, what it learned from, and what it is not for.

Made from `model.json` alone: a card says what is known and names what is not. It lies in the model's folder as
`MODEL_CARD.md`, where it may be added to by hand; it is no part of the model's digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FILE = "MODEL_CARD.md"
NAMED = 12
"""Cases that are listed by name; of more, the first ones and how many there are."""

TASKS = {
    "fast": "segments lesions: a small 3D U-Net on an isotropic grid around the brain",
    "nnunet": "segments lesions: nnU-Net v2 with a small plan",
    "classifier": "says for each label how likely it is present in an image",
}
USE = (
    "For research on explanations of such models, on images like those that it was trained on. Not a medical device; "
    "not for diagnosis, treatment or triage."
)
LIMITS = {
    "fast": (
        "Small lesions are missed more often than large ones, and outlines are smoother than those of a reader.",
        "Images must be skull-stripped; intensities are normalised over all non-zero voxels.",
    ),
    "nnunet": (
        "The plan is far smaller than nnU-Net's own, so that it can be trained without a graphics card.",
        "Images must be skull-stripped as those of the training.",
    ),
    "classifier": (
        "A label that was rare in training is hardly learned, whatever its figure on a few cases says.",
        "It may decide from something that only goes along with the finding: ask for counterfactuals.",
    ),
}
ANY_MODEL = (
    "Another scanner, protocol or hospital changes how well it works: measure it there; a shift attribution says why.",
    "What was learned from synthetic patients has not been shown to hold for real ones.",
    "Age, sex, disease course and treatment were not looked at; groups may be served differently.",
)


def card(model: Mapping[str, Any]) -> str:
    """The card of a model as Markdown.

    Args:
        model: the content of its `model.json`; what it lacks is said to be unknown.
    """
    parts = [
        [f"# {text(model.get('name'))}", f"A model that {TASKS.get(str(model.get('kind')), 'is of an unknown kind')}."],
        ["## Details", *details(model)],
        ["## Intended use", USE],
        ["## Training data", *data(_provenance(model))],
        ["## Training", *training(_provenance(model))],
        ["## Figures", *figures(_provenance(model))],
        ["## Limits", bullets([*LIMITS.get(str(model.get("kind")), ()), *ANY_MODEL])],
    ]
    return "\n\n".join(line for part in parts for line in part) + "\n"


def details(model: Mapping[str, Any]) -> Iterator[str]:
    """What goes in and comes out."""
    rows = [
        ("Kind", text(model.get("kind"))),
        ("Input", listed(model.get("channels"))),
        ("Output", listed(model.get("labels"))),
    ]
    config = model.get("config")
    if isinstance(config, Mapping):
        rows += [(str(name).replace("_", " "), text(value)) for name, value in config.items()]
    if thresholds := model.get("thresholds"):
        rows.append(("Thresholds", listed([f"{value:.3g}" for value in thresholds])))
    yield table(rows)


def data(provenance: Mapping[str, Any]) -> Iterator[str]:
    """The cases, as far as provenance names them."""
    cases = list(provenance.get("cases") or ())
    aside = list(provenance.get("held_out") or provenance.get("validation_cases") or ())
    if not cases:
        yield "Not known."
        return
    seen = [case for case in cases if case not in set(aside)]
    rater = provenance.get("rater")
    yield table(
        [
            ("Learned from", named(seen)),
            ("Left aside to validate", named(aside) if aside else "none"),
            ("Masks of rater", text(rater) if rater is not None else "none: labels of the cases' metadata"),
        ]
    )
    yield (
        "The digests of all files are in `model.json`. Where the images come from, who may use them and who the "
        "patients are is not recorded there: add it here."
    )


def training(provenance: Mapping[str, Any]) -> Iterator[str]:
    """Parameters, versions and time."""
    parameters = provenance.get("parameters")
    if not isinstance(parameters, Mapping):
        yield "Not known."
        return
    rows = [(name, text(value)) for name, value in parameters.items()]
    if isinstance(base := provenance.get("base"), Mapping):
        rows.append(("went on from", text(base.get("name"))))
    for name, title in (("device", "device"), ("started", "started"), ("training_seconds", "seconds")):
        if name in provenance:
            rows.append((title, text(provenance[name])))
    versions = provenance.get("versions")
    if isinstance(versions, Mapping):
        rows.append(("versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    yield table(rows)


def figures(provenance: Mapping[str, Any]) -> Iterator[str]:
    """What was measured on the cases left aside."""
    auc, dice = provenance.get("validation_auc"), provenance.get("validation_dice")
    aside = len(provenance.get("held_out") or provenance.get("validation_cases") or ())
    if isinstance(dice, int | float):
        yield table([("Mean Dice", f"{dice:.3f}")])
    elif isinstance(auc, Mapping):
        yield table([(f"AUC of {label}", f"{value:.3f}") for label, value in auc.items()])
    else:
        yield "None were measured while training. Do so before the model is used."
        return
    yield (
        f"On the {aside} case{'s' if aside != 1 else ''} left aside, on which the training was also watched or "
        "settings were chosen: a test on other cases will be lower. So few cases tell little."
    )


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Two columns without a heading."""
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def bullets(lines: Sequence[str]) -> str:
    """A list."""
    return "\n".join(f"- {line}" for line in lines)


def text(value: object) -> str:
    """A value in a cell, taken literally."""
    if value is None:
        return "not known"
    if isinstance(value, list | tuple):
        return listed(value)
    return f"`{str(value).replace('`', chr(39)).replace('|', '/')}`"


def listed(values: Sequence[object] | None) -> str:
    """Several values in a cell."""
    return ", ".join(text(value) for value in values) if values else "not known"


def named(cases: Sequence[str]) -> str:
    """How many cases, and which."""
    more = f" and {len(cases) - NAMED} more" if len(cases) > NAMED else ""
    return f"{len(cases)} case{'s' if len(cases) != 1 else ''}: {listed(cases[:NAMED])}{more}"


def _provenance(model: Mapping[str, Any]) -> Mapping[str, Any]:
    found = model.get("provenance")
    return found if isinstance(found, Mapping) else {}
