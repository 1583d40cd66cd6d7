r"""Density ratios of single mechanisms, from discriminators.

With e the environment (0 source, 1 target), the ratio of mechanism i is that of its *conditional*,

.. math:: r_i(v, pa) = \frac{p_1(v \mid pa)}{p_0(v \mid pa)}
          = \frac{P(e=1 \mid v, pa)\, P(e=0 \mid pa)}{P(e=0 \mid v, pa)\, P(e=1 \mid pa)} .

It is fitted as one residual head: the log-odds given the parents are held fixed as an offset, and only what the
variable adds is learnt. The printed formula of the paper is the ratio of the joint (v, pa), `kind="joint"`; it counts a
shift of the parents a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from slicerxai.shift.basis import parents_design, products
from slicerxai.shift.discriminators import (
    CaseDiscriminator,
    Discriminator,
    Folds,
    auc,
    calibrate,
    cross_fit,
    prior_log_odds,
)
from slicerxai.shift.graph import Mechanism, MechanismGraph
from slicerxai.shift.samples import Pair

Array = NDArray[np.float64]
RatioKind = Literal["conditional", "joint"]


@dataclass(frozen=True)
class RatioModel:
    """How the log density ratios of all mechanisms are learnt from a pair of environments.

    Attributes:
        folds: one row for each way to cross-fit, (R, n); results are averaged over rows.
        calibrated: Platt calibration on held-out folds; the published estimator has none.
    """

    pair: Pair
    graph: MechanismGraph
    discriminator: Discriminator
    folds: Folds
    kind: RatioKind = "conditional"
    calibrated: bool = True

    def log_ratios(self, weights: Array) -> Array:
        """Held-out log ratios under each row of case weights.

        A discriminator that is too dear to be fitted again is fitted to the cases as they are, for all rows.

        Args:
            weights: (B, n) of the source's, then the target's cases.

        Returns:
            (B, mechanisms, n).
        """
        if self.discriminator.refits:
            return self._fit(weights)[0]
        once = self._once[0]
        return np.broadcast_to(once, (len(weights), *once.shape[1:]))

    @cached_property
    def _once(self) -> tuple[Array, list[Array], list[Array]]:
        """What is fitted to the cases as they are: log ratios (1, mechanisms, n), log-odds given parents, given all."""
        return self._fit(np.ones((1, len(self.pair.labels))))

    def held_out_auc(self) -> Array:
        """(mechanisms, 2): AUC of the discriminator on the parents alone (0.5 without any), and with the variable."""
        _, given, full = self._once
        labels = self.pair.labels
        return np.array([[auc(g[0], labels), auc(f[0], labels)] for g, f in zip(given, full, strict=True)])

    def parents(self, names: tuple[str, ...]) -> Array:
        """Features of the parents, (n, d); d is 0 without parents."""
        values = [self.pair.variable(name) for name in names]
        return parents_design(values) if values else np.empty((len(self.pair.labels), 0))

    def given_log_odds(self) -> list[Array]:
        """Held-out log-odds of the target given the parents of every mechanism, (n,) each, without the prior."""
        return [given[0] for given in self._once[1]]

    def full_log_odds(self) -> list[Array]:
        """Given the parents and the variable of every mechanism, (n,) each, without the prior."""
        return [full[0] for full in self._once[2]]

    def _fit(self, weights: Array) -> tuple[Array, list[Array], list[Array]]:
        """Log ratios, and the log-odds given the parents and given all, of every mechanism."""
        total = np.zeros((len(weights), len(self.graph), weights.shape[1]))
        given = [np.zeros(weights.shape) for _ in self.graph.mechanisms]
        full = [np.zeros(weights.shape) for _ in self.graph.mechanisms]
        for folds in self.folds:
            known: dict[tuple[str, ...], Array] = {}
            for position, mechanism in enumerate(self.graph.mechanisms):
                prior = prior_log_odds(self.pair.labels, weights, folds)
                if self.kind == "joint":
                    offset = prior
                else:
                    key = tuple(sorted(mechanism.parents))
                    if key not in known:
                        known[key] = prior + self._head(key, self.parents(key), weights, prior, folds) if key else prior
                    offset = known[key]
                variables = (*mechanism.parents, mechanism.variable)
                head = self._head(variables, self._features(mechanism), weights, offset, folds)
                total[:, position] += head / len(self.folds)
                given[position] += (offset - prior) / len(self.folds)
                full[position] += (offset - prior + head) / len(self.folds)
        return total, given, full

    def _features(self, mechanism: Mechanism) -> Array:
        """The parents, the variable and, where they are few, their products, (n, d)."""
        variable = self.pair.variable(mechanism.variable)
        mixed = [products(self.pair.variable(name), variable) for name in mechanism.parents]
        return np.concatenate([self.parents(mechanism.parents), variable, *mixed], 1)

    def _head(self, variables: tuple[str, ...], features: Array, weights: Array, offset: Array, folds: Folds) -> Array:
        """Held-out log-odds given the variables on top of the offset, (B, n)."""
        labels = self.pair.labels
        if isinstance(self.discriminator, CaseDiscriminator) and self.discriminator.sees(variables):
            scores = np.stack([self.discriminator.held_out(variables, labels, known, folds) for known in offset])
        else:
            scores = cross_fit(self.discriminator, features, labels, weights, offset, folds)
        return calibrate(scores, labels, weights, offset, folds) if self.calibrated else scores
