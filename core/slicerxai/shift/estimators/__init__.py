"""Estimators of the performance under every coalition of shifted mechanisms."""
