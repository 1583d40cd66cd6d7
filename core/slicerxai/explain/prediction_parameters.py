"""Parameters of the prediction."""

from __future__ import annotations

from slicerxai.explain.contract import ExplainParameters


class PredictionParameters(ExplainParameters):
    """A prediction has no options of its own."""
