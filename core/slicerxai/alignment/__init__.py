"""Causal alignment: does a model decide from the lesion, and training that makes it so."""
