"""The smallest change of an image that would have made the model decide otherwise."""

from __future__ import annotations

from typing import ClassVar

from slicerxai.explain.contract import Explainer, Explanation, Inputs, Subject
from slicerxai.explain.counterfactual_parameters import CounterfactualParameters
from slicerxai.progress import Progress


class CounterfactualExplainer(Explainer[Inputs, CounterfactualParameters]):
    """Counterfactual images (eq. 2 of Learning Causal Alignment) of one case, with checks."""

    subject: ClassVar[Subject] = "case"
    name: ClassVar[str] = "counterfactual"
    title: ClassVar[str] = "Counterfactual"
    summary: ClassVar[str] = "The smallest change of this image that would have made the model decide otherwise."
    Parameters: ClassVar[type[CounterfactualParameters]] = CounterfactualParameters

    def explain(self, inputs: Inputs, parameters: CounterfactualParameters, progress: Progress) -> Explanation:
        raise NotImplementedError
