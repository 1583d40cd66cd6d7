"""Explainable AI for medical images: why a model decided, whether to trust it, what broke elsewhere."""

__version__ = "0.1.0"
