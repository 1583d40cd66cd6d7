"""E|∇F|, flips and departures against plain loops and known answers."""

from itertools import pairwise

import numpy as np
import pytest

from slicerxai.errors import InputError
from slicerxai.interventions.effect import Flip, departure, effect, mean_steps


def slow_gradient(values, outputs):
    """Second-order differences of unevenly spaced samples, one by one."""
    found = []
    for n in range(len(values)):
        if n in (0, len(values) - 1):
            a, b = (0, 1) if n == 0 else (n - 1, n)
            found.append((outputs[b] - outputs[a]) / (values[b] - values[a]))
            continue
        left, right = values[n] - values[n - 1], values[n + 1] - values[n]
        rise = (outputs[n + 1] - outputs[n]) / right * left + (outputs[n] - outputs[n - 1]) / left * right
        found.append(rise / (left + right))
    return found


@pytest.mark.parametrize("values", [np.linspace(2, 5, 9), np.array([0.0, 0.1, 0.5, 0.6, 2.0])])
def test_measures_of_a_curve(values):
    outputs = np.random.default_rng(0).normal(size=(len(values), 2))
    found = effect(values, outputs, [None, None])
    for n in range(2):
        gradient = slow_gradient(values, outputs[:, n])
        middle = [(a + b) / 2 for a, b in pairwise(values)]
        edges = [2 * values[0] - middle[0], *middle, 2 * values[-1] - middle[-1]]
        width = np.diff(edges)
        assert found.gradient[:, n] == pytest.approx(gradient)
        assert found.mean_gradient[n] == pytest.approx(
            sum(g * w for g, w in zip(gradient, width, strict=True)) / sum(width)
        )
        mean_abs = sum(abs(g) * w for g, w in zip(gradient, width, strict=True)) / sum(width)
        assert found.mean_abs_gradient[n] == pytest.approx(mean_abs)
        assert found.over_range[n] == pytest.approx(mean_abs * (values[-1] - values[0]))
        assert found.total_variation[n] == pytest.approx(
            sum(abs(b - a) for a, b in zip(outputs[:-1, n], outputs[1:, n], strict=True))
        )
        assert found.per_step[n] == pytest.approx(np.mean(np.abs(np.gradient(outputs[:, n]))))


def test_equidistant_values_give_the_published_mean():
    values, outputs = np.linspace(0, 10, 11), np.random.default_rng(1).random((11, 3))
    found = effect(values, outputs, [None] * 3)
    assert found.mean_abs_gradient == pytest.approx(np.abs(np.gradient(outputs, values, axis=0)).mean(0))
    assert found.per_step == pytest.approx(found.mean_abs_gradient)


def test_expectation_does_not_depend_on_where_the_samples_lie():
    dense = np.linspace(0, 3, 2001)
    uneven = np.sort(np.random.default_rng(2).uniform(0, 3, 400))
    for values in (dense, uneven):
        found = effect(values, np.sin(2 * values)[:, None], [None])
        assert found.mean_abs_gradient[0] == pytest.approx(np.abs(2 * np.cos(2 * dense)).mean(), rel=0.02)


def test_flips_are_interpolated_and_have_a_direction():
    values = np.array([0.0, 1.0, 3.0, 4.0])
    outputs = np.array([[0.2, 0.9], [0.6, 0.9], [0.4, 0.9], [0.5, 0.9]])
    found = effect(values, outputs, [0.5, 0.5])
    assert found.flips[0] == (Flip(0.75, True), Flip(2.0, False), Flip(4.0, True))
    assert found.flips[1] == ()
    assert effect(values, outputs, [None, None]).flips == ((), ())


def test_statistics_of_paths():
    outputs = np.random.default_rng(3).normal(size=(7, 2))
    assert mean_steps(outputs) == pytest.approx(np.abs(np.gradient(outputs, axis=0)).mean(0))
    assert mean_steps(outputs[:2]) == pytest.approx(np.abs(np.gradient(outputs[:2], axis=0)).mean(0))
    unchanged = np.array([0.1, 0.2])
    plain = [sum(abs(row[n] - unchanged[n]) for row in outputs) / 7 for n in range(2)]
    assert departure(outputs, unchanged) == pytest.approx(plain)


@pytest.mark.parametrize(
    ("values", "outputs", "thresholds", "words"),
    [
        ([0.0, 0.0], [[1.0], [2.0]], [None], "ascend"),
        ([0.0, np.nan], [[1.0], [2.0]], [None], "finite"),
        ([0.0, 1.0], [[1.0], [np.nan]], [None], "step 2, output 1 is nan"),
        ([0.0], [[1.0]], [None], "at least 2"),
        ([0.0, 1.0, 2.0], [[1.0], [2.0]], [None], "2 predictions"),
        ([0.0, 1.0], [[1.0], [2.0]], [], "0 thresholds"),
    ],
)
def test_unusable_curves(values, outputs, thresholds, words):
    with pytest.raises(InputError, match=words):
        effect(np.array(values), np.array(outputs), thresholds)
