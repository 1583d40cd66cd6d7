"""Training of an image classifier on cases with labels in their metadata, and a finished model folder."""

from __future__ import annotations

from slicerxai.models.classifier_fitting import FitResult, LabelledImages, fit_network
from slicerxai.models.classifier_network import build_network

__all__ = ["FitResult", "LabelledImages", "build_network", "fit_network"]
