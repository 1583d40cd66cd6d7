"""Shapley values of a game over mechanisms (Shapley 1953; eq. 2 of the shift-attribution paper)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import factorial

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError
from slicerxai.shift.weights import memberships

Array = NDArray[np.float64]
EXACT_LIMIT = 16
"""Most players of the exact computation, which reads 2**n values."""
PERMUTATIONS = 40
"""Orders in which more players than that are added."""


@lru_cache(maxsize=EXACT_LIMIT)
def coefficients(players: int) -> Array:
    """The (players, 2**players) matrix that turns values of coalitions into Shapley values.

    Coalition I is the number whose bit i is set for every player i in I. Raises `InputError` beyond `EXACT_LIMIT`.
    """
    if not 1 <= players <= EXACT_LIMIT:
        msg = f"exact Shapley values of {players} players; accepted: 1 to {EXACT_LIMIT}"
        raise InputError(msg)
    coalitions = np.arange(2**players)
    sizes = np.array([bin(c).count("1") for c in coalitions])
    share = np.array([factorial(s) * factorial(players - s - 1) / factorial(players) for s in range(players)])
    matrix = np.empty((players, len(coalitions)))
    for player in range(players):
        member = (coalitions >> player) & 1 == 1
        matrix[player] = np.where(member, share[np.maximum(sizes - 1, 0)], 0.0)
        matrix[player, ~member] = -share[sizes[~member]]
    matrix.setflags(write=False)
    return matrix


def shapley(values: Array) -> Array:
    """Exact Shapley values.

    Args:
        values: (..., 2**n), value of every coalition; that of none need not be zero.

    Returns:
        (..., n); they add up to values[..., -1] - values[..., 0].
    """
    players = values.shape[-1].bit_length() - 1
    if values.shape[-1] != 2**players:
        msg = f"{values.shape[-1]} coalition values are not a power of two"
        raise InputError(msg)
    return values @ coefficients(players).T


@dataclass(frozen=True)
class Coalitions:
    """Coalitions whose values are needed, and how the values make Shapley values.

    Attributes:
        members: (C, n) membership; the first coalition is empty, the last is everybody.
        parts: (P, n, C), matrices that turn values into P estimates, whose mean is the answer; one if it is exact.
    """

    members: NDArray[np.bool_]
    parts: Array

    def shapley(self, values: Array) -> Array:
        """(..., C) to (..., n), adding up to values[..., -1] - values[..., 0]."""
        return values @ self._mean.T

    def error(self, values: Array) -> Array:
        """Standard error (n,) of having sampled coalitions, of values (C,); 0 when all were read."""
        estimates = self.parts @ values
        count = len(estimates)
        return estimates.std(0, ddof=1) / np.sqrt(count) if count > 1 else np.zeros(estimates.shape[1])

    @cached_property
    def _mean(self) -> Array:
        mean: Array = self.parts.mean(0)
        return mean


def coalitions(players: int, seed: int) -> Coalitions:
    """All coalitions of up to `EXACT_LIMIT` players, else those that `PERMUTATIONS` random orders pass through."""
    if players <= EXACT_LIMIT:
        return Coalitions(memberships(players), coefficients(players)[None])
    return sampled(players, PERMUTATIONS, seed)


def sampled(players: int, permutations: int, seed: int) -> Coalitions:
    """Coalitions of permutation sampling, each permutation with its reverse (Castro 2009, Mitchell 2022).

    It is exact for games without interactions of more than two players.

    Args:
        permutations: of which half are reverses, an even number of at least 4.
    """
    if permutations < 4 or permutations % 2:
        msg = f"{permutations} permutations; accepted: an even number of at least 4"
        raise InputError(msg)
    rng = np.random.default_rng(seed)
    pairs = permutations // 2
    order = np.argsort(rng.random((pairs, players)), 1)
    orders = np.stack([order, order[:, ::-1]], 1)
    place = np.argsort(orders, -1)
    prefixes = place[:, :, None, :] < np.arange(players + 1)[:, None]
    members, number = np.unique(prefixes.reshape(-1, players), axis=0, return_inverse=True)
    number = number.reshape(pairs, 2, players + 1)
    parts = np.zeros((pairs, players, len(members)))
    pair = np.arange(pairs)[:, None, None]
    np.add.at(parts, (pair, orders, number[..., 1:]), 0.5)
    np.add.at(parts, (pair, orders, number[..., :-1]), -0.5)
    return Coalitions(members, parts)
