"""Counterfactuals of a network's decisions, and training that makes it decide from inside an expert's mask."""
