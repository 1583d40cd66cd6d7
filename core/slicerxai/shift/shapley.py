"""Shapley values of a game over mechanisms (Shapley 1953; eq. 2 of the shift-attribution paper)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import factorial

import numpy as np
from numpy.typing import NDArray

from slicerxai.errors import InputError

Array = NDArray[np.float64]
EXACT_LIMIT = 16
"""Most players of the exact computation, which reads 2**n values."""


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


def sampled_shapley(
    value: Callable[[NDArray[np.bool_]], float], players: int, permutations: int, seed: int
) -> tuple[Array, Array]:
    """Shapley values by permutation sampling, each permutation with its reverse (Castro 2009, Mitchell 2022).

    Args:
        value: value of the coalition given as (players,) membership; called once for each prefix.
        permutations: of which half are reverses, an even number of at least 4.

    Returns:
        values (players,), which add up to value(all) - value(none), and their standard errors (players,).
    """
    if permutations < 4 or permutations % 2:
        msg = f"{permutations} permutations; accepted: an even number of at least 4"
        raise InputError(msg)
    rng = np.random.default_rng(seed)
    seen: dict[bytes, float] = {}

    def cached(members: NDArray[np.bool_]) -> float:
        key = members.tobytes()
        if key not in seen:
            seen[key] = value(members.copy())
        return seen[key]

    pairs = np.zeros((permutations // 2, players))
    for row in pairs:
        order = rng.permutation(players)
        for direction in (order, order[::-1]):
            members = np.zeros(players, bool)
            before = cached(members)
            for player in direction:
                members[player] = True
                after = cached(members)
                row[player] += (after - before) / 2
                before = after
    return pairs.mean(0), pairs.std(0, ddof=1) / np.sqrt(len(pairs))
