import numpy as np
import pytest
from scipy.optimize import minimize

from slicerxai.shift import logistic


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    y = (rng.random(40) < 1 / (1 + np.exp(-x[:, 0]))).astype(float)
    weights = rng.multinomial(40, np.full(40, 1 / 40), 4).astype(float)
    offset = rng.normal(size=(4, 40))
    return x, y, weights, offset


def slow(x, y, w, o, ridge):
    def loss(b):
        z = o + x @ b[:-1] + b[-1]
        signed = np.where(y > 0.5, -z, z)
        return (w * np.log1p(np.exp(signed))).sum() + ridge / 2 * (b[:-1] ** 2).sum()

    return minimize(loss, np.zeros(x.shape[1] + 1), tol=1e-12, method="BFGS").x


def test_fit_minimises_the_penalised_loss(problem):
    x, y, weights, offset = problem
    fitted = logistic.fit(x, y, weights, 0.7, offset)
    for row in range(4):
        np.testing.assert_allclose(fitted[row], slow(x, y, weights[row], offset[row], 0.7), atol=2e-4)


def test_many_labellings(problem):
    x, y, _, _ = problem
    labels = np.stack([y, 1 - y])
    fitted = logistic.fit(x, labels, np.ones((2, 40)), 1.0, np.zeros((1, 1)))
    np.testing.assert_allclose(fitted[0], -fitted[1], atol=1e-6)


def test_separable_cases_stay_finite():
    x = np.linspace(-1, 1, 20)[:, None]
    fitted = logistic.fit(x, (x[:, 0] > 0).astype(float), np.ones((1, 20)), 1e-3, np.zeros((1, 1)))
    assert np.isfinite(fitted).all()
    assert fitted[0, 0] > 5


def test_deviance_by_hand():
    value = logistic.deviance(np.array([1.0, 0.0]), np.array([0.3, -2.0]), np.array([1.0, 3.0]))
    slow = -2 * (np.log(1 / (1 + np.exp(-0.3))) + 3 * np.log(1 - 1 / (1 + np.exp(2.0))))
    assert value == pytest.approx(slow)


def test_platt_minimises_its_loss_and_never_turns_scores_round(problem):
    x, y, weights, offset = problem
    scores = np.stack([x[:, 0], x[:, 0], -x[:, 0], x[:, 1]])
    slope, intercept = logistic.platt(scores, y, weights, offset, 0.5)
    for row in (0, 1):

        def loss(b, row=row):
            z = offset[row] + b[0] * scores[row] + b[1]
            return (weights[row] * np.log1p(np.exp(np.where(y > 0.5, -z, z)))).sum() + 0.25 * b[0] ** 2

        best = minimize(loss, [0.0, 0.0], method="BFGS", tol=1e-12).x
        np.testing.assert_allclose([slope[row], intercept[row]], best, atol=1e-3)
    assert slope[2] == 0
