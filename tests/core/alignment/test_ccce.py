"""Attributes that made a label: against a slow plain version, and on simulated readers whose reasons are known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from slicerxai.alignment.ccce import (
    annotation_vector,
    ccce,
    cell_of,
    combinations_of,
    label_given_attributes,
    subsets,
)
from slicerxai.errors import InputError


def cases(count: int, attributes: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((count, attributes)) < 0.5


def read(attributes: np.ndarray, weights: tuple[float, ...], bias: float, seed: int) -> np.ndarray:
    """Labels of a reader who decides by a logistic rule."""
    chance = 1 / (1 + np.exp(-(attributes @ np.array(weights) + bias)))
    return np.random.default_rng(seed).random(len(attributes)) < chance


def test_scores_are_those_of_a_plain_version() -> None:
    attributes = cases(20, 4, 0)
    labels = cases(20, 1, 1)[:, 0]
    probability = np.random.default_rng(2).uniform(0.05, 0.95, 16)
    candidates = subsets(4)
    found = ccce(probability, attributes, labels, candidates)
    p = {tuple(row.astype(bool)): value for row, value in zip(combinations_of(4), probability, strict=True)}
    for n in range(20):
        for s, subset in enumerate(c for size in (1, 2, 3) for c in combinations(range(4), size)):
            a = list(attributes[n])
            for k in subset:
                a[k] = not labels[n]
            before, after = p[tuple(attributes[n])], p[tuple(a)]
            expected = 1 - after / before if labels[n] else 1 - (1 - after) / (1 - before)
            assert found[n, s] == pytest.approx(expected, abs=1e-12)


def test_the_score_is_the_effect_in_a_monotone_world() -> None:
    """Units with a threshold each: the difference of both potential outcomes, averaged over units with the evidence."""
    generator = np.random.default_rng(3)
    threshold = generator.random(200_000)
    rule = np.array([0.1, 0.5, 0.3, 0.9])  # P(Y = 1 | cell), rising with either attribute
    a = np.array([[True, False]])
    for y in (False, True):
        units = threshold[(threshold < rule[cell_of(a)[0]]) == y]
        for subset, absent, present in (((0,), 0, 1), ((1,), 1, 3), ((0, 1), 0, 3)):
            truth = ((units < rule[present]).astype(float) - (units < rule[absent])).mean()
            found = ccce(rule, a, np.array([y]), (subset,))[0, 0]
            assert found == pytest.approx(truth, abs=5e-3)


def test_empty_cells_follow_the_regression_and_full_ones_their_cases() -> None:
    attributes = np.array([[0, 0]] * 50 + [[1, 0]] * 50 + [[0, 1]] * 50, dtype=bool)
    labels = np.array([False] * 45 + [True] * 5 + [False] * 10 + [True] * 40 + [False] * 10 + [True] * 40)
    model = label_given_attributes(attributes, labels)
    assert model.cases.tolist() == [50, 50, 50, 0]
    assert model.mean[0] == pytest.approx(0.1, abs=0.02)
    assert model.mean[3] > 0.9
    spread = model.draws(4000, np.random.default_rng(0)).std(axis=0)
    assert spread[3] > 1.5 * spread[0]


@pytest.mark.parametrize("seed", range(3))
def test_known_reasons_are_found(seed: int) -> None:
    """Two of six attributes decide: they are named for the cases that have both or none, and hardly ever another."""
    attributes = cases(600, 6, seed)
    labels = read(attributes, (4.0, 0, 0, 4.0, 0, 0), -3.5, seed + 10)
    found = annotation_vector(attributes, labels)
    both = attributes[:, 0] & attributes[:, 3] & labels
    none = ~attributes[:, 0] & ~attributes[:, 3] & ~labels
    assert found.r[both][:, [0, 3]].mean() > 0.9
    assert found.r[none][:, [0, 3]].max(axis=1).mean() > 0.9
    reasoned = found.explained & (both | none)
    assert found.r[reasoned][:, [1, 2, 4, 5]].mean() < 0.1
    assert ((found.probability >= 0) & (found.probability <= 1)).all()


def test_the_highest_score_names_as_many_as_it_may() -> None:
    attributes = cases(600, 6, 5)
    labels = read(attributes, (4.0, 0, 0, 4.0, 0, 0), -3.5, 6)
    sparing = annotation_vector(attributes, labels)
    highest = annotation_vector(attributes, labels, margin=0)
    assert highest.r[highest.explained].sum() > sparing.r[sparing.explained].sum()
    assert (highest.score >= sparing.score - 1e-12).all()


def test_a_label_without_a_reason_is_held_against_nobody() -> None:
    attributes = np.array([[0, 0]] * 10 + [[1, 1]] * 10, dtype=bool)
    labels = np.array([False] * 9 + [True] * 11)
    found = annotation_vector(attributes, labels)
    assert not found.explained[9]
    assert found.r[9].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("attributes", "labels", "word"),
    [
        (np.zeros((4, 13), dtype=bool), np.array([0, 1, 0, 1], dtype=bool), "13"),
        (np.zeros((4, 2), dtype=bool), np.ones(4, dtype=bool), "alike"),
        (np.zeros((4, 2), dtype=bool), np.array([True, False]), "labels"),
    ],
)
def test_unusable_cases_are_named(attributes: np.ndarray, labels: np.ndarray, word: str) -> None:
    with pytest.raises(InputError, match=word):
        annotation_vector(attributes, labels)
