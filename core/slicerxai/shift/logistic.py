"""Ridge-penalised logistic regression of many weightings or labellings of the same cases at once.

A bootstrap draw, a left-out subject and a permuted environment are all another row of weights or labels, so that
thousands of refits cost a few matrix products.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]
ITERATIONS = 12
LARGEST_STEP = 4.0
LARGEST_LOG_ODDS = 15.0
INTERCEPT_RIDGE = 1e-4
CONVERGED = 1e-8
"""A step of Newton's method after which the next one would be rounding."""


def fit(features: Array, labels: Array, weights: Array, ridge: float, offset: Array) -> Array:
    """Minimise sum_i w_i loss(y_i, o_i + b_0 + x_i b) + ridge/2 |b|² by Newton's method.

    Args:
        features: (n, d), shared by all rows.
        labels: 0 or 1, (n,) or (B, n).
        weights: (B, n), 0 leaves a case out.
        ridge: penalty of the slopes; the intercept is all but free.
        offset: known part of the log-odds, (B, n) or broadcastable.

    Returns:
        coefficients (B, d + 1), the intercept last.
    """
    rows, n = weights.shape
    design = np.concatenate([features, np.ones((n, 1))], 1)
    size = design.shape[1]
    # a table of products pays for many rows, of one it would be most of the work
    outer = None if rows == 1 else (design[:, :, None] * design[:, None, :]).reshape(n, size * size)
    penalty = np.full(size, ridge)
    penalty[-1] = INTERCEPT_RIDGE
    coefficients = np.zeros((rows, size))
    for _ in range(ITERATIONS):
        log_odds = np.clip(coefficients @ design.T + offset, -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
        probability = expit(log_odds)
        gradient = (weights * (probability - labels)) @ design + penalty * coefficients
        curve = weights * probability * (1 - probability)
        curvature = (design.T @ (curve.T * design))[None] if outer is None else (curve @ outer).reshape(-1, size, size)
        curvature[:, np.arange(size), np.arange(size)] += penalty + 1e-9
        step = np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0]
        scale = np.minimum(1.0, LARGEST_STEP / np.maximum(np.abs(step).max(1), 1e-12))
        coefficients -= scale[:, None] * step
        if np.abs(step).max() < CONVERGED:
            break
    return coefficients


def deviance(labels: Array, log_odds: Array, weights: Array) -> Array:
    """Twice the weighted negative log-likelihood over the last axis."""
    signed = np.where(labels > 0.5, -log_odds, log_odds)
    return 2 * (weights * np.logaddexp(0.0, signed)).sum(-1)


def platt(scores: Array, labels: Array, weights: Array, offset: Array, ridge: float) -> tuple[Array, Array]:
    """Slope >= 0 and intercept of calibrated log-odds o + a s + b (Platt 1999), one pair for each row.

    The slope is shrunk towards 0 by `ridge` (scores of about unit spread): a discriminator that does not predict its
    held-out cases ends at 0 and says that nothing has shifted.

    Args:
        scores, weights, offset: (B, n). labels: (n,) or (B, n).

    Returns:
        slope (B,), intercept (B,).
    """
    slope, intercept = _platt_newton(scores, labels, weights, offset, ridge, np.ones(len(scores), bool))
    if (slope < 0).any():
        slope, intercept = _platt_newton(scores, labels, weights, offset, ridge, slope >= 0)
    return slope, intercept


def _platt_newton(
    scores: Array, labels: Array, weights: Array, offset: Array, ridge: float, free: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Newton's method in two unknowns; the slope stays 0 where it is not free."""
    slope, intercept = np.zeros(len(scores)), np.zeros(len(scores))
    for _ in range(ITERATIONS):
        log_odds = np.clip(offset + slope[:, None] * scores + intercept[:, None], -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)
        probability = expit(log_odds)
        residual, curve = weights * (probability - labels), weights * probability * (1 - probability)
        g_slope = (residual * scores).sum(1) + ridge * slope
        g_intercept = residual.sum(1) + INTERCEPT_RIDGE * intercept
        h_ss = (curve * scores**2).sum(1) + ridge + 1e-9
        h_ii = curve.sum(1) + INTERCEPT_RIDGE + 1e-9
        h_si = np.where(free, (curve * scores).sum(1), 0.0)
        g_slope = np.where(free, g_slope, 0.0)
        determinant = h_ss * h_ii - h_si**2
        d_slope = (h_ii * g_slope - h_si * g_intercept) / determinant
        d_intercept = (h_ss * g_intercept - h_si * g_slope) / determinant
        slope -= np.clip(d_slope, -LARGEST_STEP, LARGEST_STEP)
        intercept -= np.clip(d_intercept, -LARGEST_STEP, LARGEST_STEP)
        if max(np.abs(d_slope).max(), np.abs(d_intercept).max()) < CONVERGED:
            break
    return slope, intercept
