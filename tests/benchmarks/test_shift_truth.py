from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.shift_ground_truth import Answer, exact_values, figures, judged, swapped_values
from benchmarks.shift_pool import HABITS, READERS, SCANNERS, SETTINGS, Spread
from benchmarks.shift_truth import SHIFTS, SOURCE, SOURCES, Pool, Site, coalition_values, draw, true_drop

N = 4000


@pytest.fixture(scope="module")
def pool() -> Pool:
    """A pool without images: Dice falls by a known amount with each setting and habit, and rises with the burden."""
    rng = np.random.default_rng(0)
    population = np.column_stack([rng.normal(44, 11, N), rng.random(N) < 0.7, rng.normal(2, 1, N)])
    noise = rng.standard_normal((N, 6)), rng.standard_normal((N, 4))
    settings = np.stack([np.asarray(s.mean) + np.asarray(s.sd) * noise[0] for s in SCANNERS.values()], axis=1)
    habits = np.stack([np.asarray(r.mean) + np.asarray(r.sd) * noise[1] for r in READERS.values()], axis=1)
    dice = (
        0.6 + 0.1 * (population[:, 2] - 2)[:, None, None] + 0.2 * settings[:, :, None, 0] + 0.15 * habits[:, None, :, 0]
    )
    return Pool(
        numbers=np.arange(1, N + 1),
        population=population,
        settings=settings,
        habits=habits,
        scans={"acquisition": settings, "prediction": settings[..., :1]},
        readings={"reference": habits},
        pairs={"style": np.repeat(habits[:, None], 3, axis=1)},
        metrics={"dice": dice},
        names={"population": ("age", "female", "log_burden")},
    )


def test_truth_is_what_the_mechanism_does(pool: Pool) -> None:
    both = true_drop(pool, SOURCE, SHIFTS["both"])
    gamma = SCANNERS["a"].mean[0] - SCANNERS["b"].mean[0]
    offset = READERS["a"].mean[0] - READERS["b"].mean[0]
    np.testing.assert_allclose(both, [0, 0.2 * gamma, 0.15 * offset], atol=1e-9)
    np.testing.assert_allclose(true_drop(pool, SOURCE, SHIFTS["neither"]), 0, atol=1e-12)
    tilted = true_drop(pool, SOURCE, SHIFTS["population"])
    assert tilted[0] == pytest.approx(0.12, abs=0.01)
    np.testing.assert_allclose(tilted[1:], 0, atol=1e-12)


def test_values_of_coalitions_plainly(pool: Pool) -> None:
    target = Site("b", "c", tilt=(0.5, -0.5))
    values = coalition_values(pool, SOURCE, target)
    z = (pool.population - pool.population.mean(axis=0)) / pool.population.std(axis=0)
    odds = np.exp(0.5 * z[:, 0] - 0.5 * z[:, 2])
    plain = sum(o * d for o, d in zip(odds, pool.metrics["dice"][:, 0, 2], strict=True)) / odds.sum()
    assert values[0b101] == pytest.approx(plain)
    assert values[0] == pytest.approx(pool.metrics["dice"][:, 0, 0].mean())


def test_draws_repeat_and_come_from_the_right_site(pool: Pool) -> None:
    one, again = (draw(pool, SOURCE, SHIFTS["both"], (15, 38), 3) for _ in range(2))
    np.testing.assert_array_equal(one.rows, again.rows)
    assert (one.rows[:15, 1:] == 0).all()
    assert (one.rows[15:, 1:] == 1).all()
    assert one.pair.source.variables["X"].shape == (15, 7)
    assert len(set(one.pair.subjects)) == 53
    np.testing.assert_allclose(one.pair.source.metric, one.swapped[:15, 0])
    np.testing.assert_allclose(one.pair.target.metric, one.swapped[15:, 7])
    assert (draw(pool, SOURCE, SHIFTS["both"], (15, 38), 4).rows != one.rows).any()


def test_exact_ratios_give_the_truth_in_large_samples(pool: Pool) -> None:
    for kind in ("acquisition", "annotation", "population", "both"):
        drawn = draw(pool, SOURCE, SHIFTS[kind], (20000, 20000), 0)
        wanted = coalition_values(pool, SOURCE, SHIFTS[kind])
        np.testing.assert_allclose(exact_values(drawn), wanted, atol=0.015)
        np.testing.assert_allclose(swapped_values(drawn), wanted, atol=0.006)


def test_overlapping_sites_overlap_and_the_others_do_not(pool: Pool) -> None:
    def share(kind: str) -> float:
        source = SOURCES.get(kind, SOURCE)
        logs = draw(pool, source, SHIFTS[kind], (4000, 10), 0).log_ratio[:4000].sum(axis=1)
        weights = np.exp(logs - max(logs.max(), -700))
        return float(weights.sum() ** 2 / (weights**2).sum() / 4000) if weights.any() else 0.0

    for kind in ("acquisition", "annotation", "population"):
        assert 0.02 < share(kind) < 0.4
    assert 0.0005 < share("both") < 0.1
    for kind in SHIFTS:
        if kind.startswith("disjoint"):
            assert share(kind) < 0.01


def test_log_density_is_the_normal_one() -> None:
    spread = Spread((1.0, -2.0), (0.5, 2.0))
    values = np.array([[1.2, 0.0], [0.0, -2.0]])
    plain = [
        sum(-0.5 * ((x - m) / s) ** 2 - math.log(s) for x, m, s in zip(row, spread.mean, spread.sd, strict=True))
        for row in values
    ]
    np.testing.assert_allclose(spread.log_density(values), plain)
    assert all(len(scanner.mean) == len(SETTINGS) for scanner in SCANNERS.values())
    assert all(len(reader.mean) == len(HABITS) for reader in READERS.values())


def test_figures_plainly() -> None:
    one = Answer("acquisition", (15, 38), 0, "robust", [0, 4, 1], [0, 6, 0], [[-1, 1], [2, 5], [-1, 2]], True)
    bad = replace(one, phi=[9, 0, 0], reliable=False)
    apart = replace(one, kind="disjoint acquisition", reliable=False)
    floor = replace(one, estimator="exact", phi=[0, 5, 0], interval=None)
    found = figures([one, bad, apart, floor])
    assert found["rmse_robust"] == pytest.approx(math.sqrt(5 / 3))
    assert found["rmse_floor"] == pytest.approx(math.sqrt(1 / 3))
    assert found["coverage_95"] == pytest.approx(2 / 3)
    assert found["answered_share"] == 0.5
    assert found["dominant_right"] == found["unreliable_recall"] == 1.0
    assert "rmse_plain" not in found
    plain = [
        replace(run, estimator="plain", reliable=not run.reliable, seed=seed) for seed, run in enumerate((one, bad))
    ]
    assert [run.reliable for run in judged([one, replace(bad, seed=1), *plain])[2:]] == [True, False]
