"""W-shaped laws of the mixing ratio: a peak at 1/2 beside those at 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, hyp2f1

from msda_theory._validation import require_finite_positive
from msda_theory.folded_ratios import Tilted, half_moment
from msda_theory.quadrature import Array
from msda_theory.ratios import Beta, RatioLaw, RatioRule


@dataclass(frozen=True)
class WShaped(RatioLaw):
    """lambda = X/2 or 1 - X/2, each with probability 1/2, where X ~ Beta(a, b).

    Symmetric about 1/2 for every a and b.  The larger share is theta = 1 - X/2, and its density a W for a, b < 1.  With
    a = b it is the law of the slides on Carratino et al., lambda = X/2 or (1+X)/2.

    Raises ValueError unless a and b are finite and positive.
    """

    a: float
    b: float

    def __post_init__(self) -> None:
        require_finite_positive("a", self.a)
        require_finite_positive("b", self.b)

    @property
    def doubled(self) -> Beta:
        """The law of X, twice the smaller share."""
        return Beta(self.a, self.b)

    def smaller_moment(self, p: float, q: float) -> float:
        """E[(X/2)^p (1-X/2)^q] = 2^-p B(a+p, b)/B(a, b) 2F1(-q, a+p; a+b+p; 1/2); inf where a+p <= 0."""
        a = self.a + p
        if a <= 0:
            return math.inf
        return float(np.exp(betaln(a, self.b) - betaln(self.a, self.b)) / 2**p * hyp2f1(-q, a, a + self.b, 0.5))

    def moment(self, p: float, q: float = 0.0) -> float:
        return (self.smaller_moment(p, q) + self.smaller_moment(q, p)) / 2

    def tilted(self) -> Tilted:
        return Tilted(self)

    def rule(self, order: int, breaks: Sequence[float] = ()) -> RatioRule:
        return self._both_halves(breaks, lambda cuts: self.doubled.rule(order, cuts))

    def cells(self, breaks: Sequence[float] = ()) -> RatioRule:
        parts, edges = self._both_halves(breaks, self.doubled.cells), np.array([0.0, *breaks, 1.0])
        cell = np.searchsorted(edges[1:-1], parts.ratio)
        first, second = (np.bincount(cell, w, len(edges) - 1).astype(float) for w in (parts.first, parts.second))
        return RatioRule((edges[:-1] + edges[1:]) / 2, first, second)

    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> Array:
        rng = np.random.default_rng(seed)
        smaller = self.doubled.sample(n, rng) / 2
        return np.where(rng.random(n) < 0.5, smaller, 1 - smaller)

    @staticmethod
    def _both_halves(breaks: Sequence[float], of_doubled: Callable[[list[float]], RatioRule]) -> RatioRule:
        """From rules of X, cut where lambda = X/2 and where lambda = 1 - X/2 are: half of the weight each."""
        lower = of_doubled([2 * t for t in breaks if t < 0.5])
        upper = of_doubled([2 * (1 - t) for t in reversed(breaks) if t > 0.5])
        small, other = lower.first / 4, upper.first / 4
        return RatioRule.join(
            [
                RatioRule(lower.ratio / 2, small, lower.mass / 2 - small),
                RatioRule(1 - upper.ratio / 2, upper.mass / 2 - other, other),
            ]
        )


@half_moment.register
def _(law: WShaped, p: float = 0.0, q: float = 0.0, *, upper: bool = True) -> tuple[float, float]:
    """In closed form; the two halves are alike."""
    return law.smaller_moment(q, p) / 2, 0.0
