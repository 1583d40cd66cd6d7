"""What the panel says: names of metrics, estimators and mechanisms. No Qt and no MRML."""

from __future__ import annotations

from slicer.i18n import tr as _
from XAIPanels.words import counted

METHOD = "shift"
"""The server's method that this panel asks for."""
JOB = _("Shift attribution")
"""What the job tray calls it."""

PREDICTION = "prediction"
"""The server's method that segments one case."""

METRICS = {
    "dice": _("Dice"),
    "f1": _("Lesion-wise F1"),
    "precision": _("Lesion-wise precision"),
    "recall": _("Lesion-wise recall"),
    "volume_error_ml": _("Volume error (ml)"),
    "surface_distance_mm": _("Surface distance (mm)"),
}
ESTIMATORS = {
    "robust": _("Robust: regression and weights"),
    "weighting": _("Weighting"),
    "plain": _("Plain, as published"),
}
EXCHANGES = {
    "auto": _("Automatic"),
    "none": _("None"),
    "paired": _("Raters: both masks of each case"),
    "harmonised": _("Scanners: harmonised images"),
}
EXCHANGE_HINTS = {
    "auto": _("Both raters' masks are compared directly where every case has them; otherwise everything is estimated."),
    "none": _("Everything is estimated from the two selections."),
    "paired": _("What another rater costs is observed: the same predictions are compared with both raters' masks."),
    "harmonised": _(
        "What another scanner costs is observed: images are carried over to the other scanner's look, and "
        "the model runs again."
    ),
}
MECHANISMS = {"population": _("Patients"), "acquisition": _("Scanner"), "annotation": _("Rater")}
VERDICTS = {
    "reliable": _("The checks are passed: the shares can be used."),
    "caution": _("Use the shares with caution: at least one check is doubtful."),
    "unreliable": _("The data do not support these shares."),
}
NO_ACTION = _("Nothing in particular: no mechanism is found to cost performance.")


def metric(name: str) -> str:
    """A metric, for people; one that this version does not know is shown by its name."""
    return METRICS.get(name, _spaced(name))


def estimator(name: str) -> str:
    """An estimator, for people."""
    return ESTIMATORS.get(name, _spaced(name))


def exchange(name: str) -> str:
    """A way to exchange mechanisms, for people."""
    return EXCHANGES.get(name, _spaced(name))


def mechanism(name: str) -> str:
    """A mechanism, for people."""
    return MECHANISMS.get(name, _spaced(name).capitalize())


def cases(number: int) -> str:
    """Such as "1 case" or "15 cases"."""
    return counted(number, _("{number} case"), _("{number} cases"))


def _spaced(name: str) -> str:
    return name.replace("_", " ")
