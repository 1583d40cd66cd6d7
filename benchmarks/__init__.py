"""Experiments with a protocol fixed beforehand; `python -m benchmarks list` names them."""
