"""Environments drawn from a phantom pool, and the truth about what their difference costs.

A pool (see `shift_pool`) stands for the world: a hospital's patients are drawn from it, and what a mechanism costs is
read off it, because every patient was scanned by every scanner and drawn by every reader.

- Population S: a hospital's patients are the pool's, chosen with odds exp(tilt · (z(age), z(ln burden))); z is
  standardised over the pool. The burden is the volume of the consensus of a fixed panel.
- Drawing is with replacement: the pool is the population, and its mean is the truth. Every draw counts as a patient of
  its own, as independent draws from a population are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.shift_pool import READERS, SCANNERS
from slicerxai.shift.samples import Pair, Samples
from slicerxai.shift.shapley import shapley

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Pool:
    """All patients in all environments as arrays; n patients, k scanners, r readers in the order of the tables above.

    Attributes:
        population: (n, d) with `names["population"]`.
        settings, habits: (n, k, 6) and (n, r, 4), what was drawn for each examination and reading.
        scans: group to (n, k, d): "acquisition", "prediction", "embedding".
        readings: group to (n, r, d): "reference".
        pairs: group to (n, k, r, d): "style", "agreement".
        metrics: name to (n, k, r): "dice", "f1".
        names: feature names of each group.
    """

    numbers: NDArray[np.int_]
    population: Array
    settings: Array
    habits: Array
    scans: dict[str, Array]
    readings: dict[str, Array]
    pairs: dict[str, Array]
    metrics: dict[str, Array]
    names: dict[str, tuple[str, ...]]

    @classmethod
    def load(cls, folder: Path) -> Pool:
        """Read the rows that there are."""
        rows = [json.loads(path.read_text()) for path in sorted((folder / "rows").glob("[0-9]*.json"))]
        first = rows[0]
        names = {"population": tuple(first["population"])}
        names |= {key: tuple(first["scans"]["a"][key]) for key in ("acquisition", "prediction")}
        names |= {"reference": tuple(first["readings"]["a"]["reference"])}
        names |= {key: tuple(first["pairs"]["aa"][key]) for key in ("style", "agreement", "metric")}

        def scans(key: str) -> Array:
            return np.array([[_values(row["scans"][s][key]) for s in SCANNERS] for row in rows])

        def readings(key: str) -> Array:
            return np.array([[_values(row["readings"][r][key]) for r in READERS] for row in rows])

        def pairs(key: str) -> Array:
            return np.array([[[_values(row["pairs"][s + r][key]) for r in READERS] for s in SCANNERS] for row in rows])

        metric = pairs("metric")
        return cls(
            numbers=np.array([row["number"] for row in rows]),
            population=np.array([_values(row["population"]) for row in rows]),
            settings=scans("settings"),
            habits=readings("habits"),
            scans={key: scans(key) for key in ("acquisition", "prediction", "embedding")},
            readings={"reference": readings("reference")},
            pairs={key: pairs(key) for key in ("style", "agreement")},
            metrics={name: metric[..., i] for i, name in enumerate(names["metric"])},
            names=names,
        )

    def __len__(self) -> int:
        return len(self.numbers)


def _values(found: dict[str, float] | list[float]) -> list[float]:
    return list(found.values()) if isinstance(found, dict) else found


@dataclass(frozen=True)
class Site:
    """An environment of the pool.

    Attributes:
        scanner, reader: names.
        tilt: of the patients' odds by standardised age and log burden.
        burden: lowest and highest standardised log burden that the hospital sees.
    """

    scanner: str = "a"
    reader: str = "a"
    tilt: tuple[float, float] = (0.0, 0.0)
    burden: tuple[float, float] = (-math.inf, math.inf)

    def log_odds(self, pool: Pool) -> Array:
        """Log probability of each patient, (n,); -inf for those it never sees."""
        columns = [pool.names["population"].index(name) for name in ("age", "log_burden")]
        values = pool.population[:, columns]
        z = (values - values.mean(axis=0)) / values.std(axis=0)
        odds = z @ np.asarray(self.tilt)
        odds = np.where((z[:, 1] >= self.burden[0]) & (z[:, 1] <= self.burden[1]), odds, -np.inf)
        return np.asarray(odds - np.logaddexp.reduce(odds))


SOURCE: Final = Site()
SHIFTS: Final = {
    "neither": SOURCE,
    "acquisition": Site(scanner="b"),
    "annotation": Site(reader="b"),
    "both": Site(scanner="b", reader="b"),
    "population": Site(tilt=(0.4, -1.2)),
    "distant annotation": Site(reader="c"),
    "disjoint acquisition": Site(scanner="c"),
    "disjoint acquisition and annotation": Site(scanner="c", reader="b"),
    "disjoint population": Site(burden=(-math.inf, -1.0)),
}
"""Target site of each shift. The source is `SOURCE`, but for the last: it sees burdens above the mean.

Nothing answers the disjoint ones. A distant annotation can be answered: it is the last mechanism, so no case has to
stand for another one's drawing.
"""
SOURCES: Final = {"disjoint population": Site(burden=(0.0, math.inf))}

MECHANISMS: Final = ("population", "acquisition", "annotation")


def coalition_values(pool: Pool, source: Site, target: Site, metric: str = "dice") -> Array:
    """Mean metric of every coalition over the pool, (8,); bit i of the index: mechanism i comes from the target."""
    values = np.empty(8)
    for coalition in range(8):
        sites = [target if coalition >> bit & 1 else source for bit in range(3)]
        weights = np.exp(sites[0].log_odds(pool))
        scanner, reader = list(SCANNERS).index(sites[1].scanner), list(READERS).index(sites[2].reader)
        values[coalition] = weights @ pool.metrics[metric][:, scanner, reader]
    return values


def true_drop(pool: Pool, source: Site, target: Site, metric: str = "dice") -> Array:
    """True φ of each mechanism, positive where it costs performance, (3,)."""
    return -shapley(coalition_values(pool, source, target, metric))


@dataclass(frozen=True)
class Draw:
    """A source and a target cohort and what is known about them.

    Attributes:
        pair: what an estimator gets.
        swapped: (n_source + n_target, 8): each case's own metric under every coalition's scanner and reader, with its
            population left alone; an estimator must not see it.
        log_ratio: (n_source + n_target, 3): exact log density ratio target / source of each mechanism's own settings.
        rows: patient, scanner and reader of every case as indices into the pool, (n, 3).
    """

    pair: Pair
    swapped: Array
    log_ratio: Array
    rows: NDArray[np.int_]


GROUPS: Final = {"S": ("population",), "X": ("acquisition", "prediction"), "Y": ("reference",)}
"""Groups of features of each variable of the mechanism graph."""


def draw(
    pool: Pool,
    source: Site,
    target: Site,
    sizes: tuple[int, int],
    seed: int,
    groups: Mapping[str, Sequence[str]] = GROUPS,
    metric: str = "dice",
) -> Draw:
    """Draw patients with replacement; the same seed gives the same patients."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=sizes))
    rows = []
    for site, size in zip((source, target), sizes, strict=True):
        patients = rng.choice(len(pool), size=size, p=np.exp(site.log_odds(pool)))
        place = (list(SCANNERS).index(site.scanner), list(READERS).index(site.reader))
        rows.append(np.column_stack([patients, np.full(size, place[0]), np.full(size, place[1])]))
    every = np.concatenate(rows)
    return Draw(
        pair=Pair(*(_samples(pool, part, name, groups, metric) for part, name in zip(rows, "st", strict=True))),
        swapped=_swapped(pool, every, source, target, metric),
        log_ratio=_log_ratio(pool, every, source, target),
        rows=every,
    )


def _samples(
    pool: Pool, rows: NDArray[np.int_], prefix: str, groups: Mapping[str, Sequence[str]], metric: str
) -> Samples:
    patient, scanner, reader = rows.T

    def group(name: str) -> Array:
        if name == "population":
            return pool.population[patient]
        if name in pool.scans:
            return pool.scans[name][patient, scanner]
        if name in pool.readings:
            return pool.readings[name][patient, reader]
        return pool.pairs[name][patient, scanner, reader]

    variables = {key: np.concatenate([group(name) for name in names], axis=1) for key, names in groups.items()}
    subjects = np.array([f"{prefix}{n:04d}" for n in range(len(rows))])
    return Samples(variables, pool.metrics[metric][patient, scanner, reader], subjects)


def _swapped(pool: Pool, rows: NDArray[np.int_], source: Site, target: Site, metric: str) -> Array:
    columns = []
    for coalition in range(8):
        scanner = (target if coalition & 2 else source).scanner
        reader = (target if coalition & 4 else source).reader
        place = list(SCANNERS).index(scanner), list(READERS).index(reader)
        columns.append(pool.metrics[metric][rows[:, 0], place[0], place[1]])
    return np.stack(columns, axis=1)


def _log_ratio(pool: Pool, rows: NDArray[np.int_], source: Site, target: Site) -> Array:
    patient, scanner, reader = rows.T
    settings, habits = pool.settings[patient, scanner], pool.habits[patient, reader]
    one, other = SCANNERS[source.scanner], SCANNERS[target.scanner]
    first, second = READERS[source.reader], READERS[target.reader]
    with np.errstate(invalid="ignore"):
        population = target.log_odds(pool)[patient] - source.log_odds(pool)[patient]
    return np.stack(
        [
            population,
            other.log_density(settings) - one.log_density(settings),
            second.log_density(habits) - first.log_density(habits),
        ],
        axis=1,
    )
