"""What the panel says: names of metrics, estimators and mechanisms. No Qt and no MRML."""

from __future__ import annotations

METHOD = "shift"
"""The server's method that this panel asks for."""

PREDICTION = "prediction"
"""The server's method that segments one case."""

METRICS = {
    "dice": "Dice",
    "f1": "Lesion-wise F1",
    "precision": "Lesion-wise precision",
    "recall": "Lesion-wise recall",
    "volume_error_ml": "Volume error (ml)",
    "surface_distance_mm": "Surface distance (mm)",
}
ESTIMATORS = {
    "robust": "Robust: regression and weights",
    "weighting": "Weighting",
    "plain": "Plain, as published",
}
EXCHANGES = {
    "auto": "Automatic",
    "none": "None",
    "paired": "Raters: both masks of each case",
    "harmonised": "Scanners: harmonised images",
}
EXCHANGE_HINTS = {
    "auto": "Both raters' masks are compared directly where every case has them; otherwise everything is estimated.",
    "none": "Everything is estimated from the two selections.",
    "paired": "What another rater costs is observed: the same predictions are compared with both raters' masks.",
    "harmonised": "What another scanner costs is observed: images are carried over to the other scanner's look, and "
    "the model runs again.",
}
MECHANISMS = {"population": "Patients", "acquisition": "Scanner", "annotation": "Rater"}
VERDICTS = {
    "reliable": "The checks are passed: the shares can be used.",
    "caution": "Use the shares with caution: at least one check is doubtful.",
    "unreliable": "The data do not support these shares.",
}
NO_ACTION = "Nothing in particular: no mechanism is found to cost performance."


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
    return f"{number} case{'s' * (number != 1)}"


def _spaced(name: str) -> str:
    return name.replace("_", " ")
