"""Shift attribution: which mechanism of the data cost performance at another site."""
