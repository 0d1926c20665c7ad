"""Laws of the mixing ratio lambda in [0, 1]: moments, tilted laws, quadrature and cell weights.

Wherever a law is averaged, the two samples of a pair carry different label weights: the first has lambda, the
second 1 - lambda.  A `RatioRule` therefore holds two weights a node, E[lambda; node] and E[1 - lambda; node].
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, betaincinv, betaln

from msda_theory._validation import require_finite_positive, require_kind, require_ratio
from msda_theory.quadrature import Array, beta_rule, refine


@dataclass(frozen=True)
class RatioRule:
    """Nodes of the mixing ratio and, at each, the label weights of the two samples of a pair.

    sum_k first[k] g(ratio[k]) = E[lambda g(lambda)] and sum_k second[k] g(ratio[k]) = E[(1-lambda) g(lambda)].
    """

    ratio: Array
    first: Array
    second: Array

    @property
    def mass(self) -> Array:
        """Weights of E[g(lambda)] itself."""
        return self.first + self.second

    def scaled(self, factor: float) -> RatioRule:
        return RatioRule(self.ratio, factor * self.first, factor * self.second)

    @staticmethod
    def join(rules: Sequence[RatioRule]) -> RatioRule:
        parts = [np.concatenate([getattr(r, name) for r in rules]) for name in ("ratio", "first", "second")]
        return RatioRule(*parts)


class RatioLaw(ABC):
    """The law D_lambda of the mixing ratio."""

    @abstractmethod
    def moment(self, p: float, q: float = 0.0) -> float:
        """E[lambda^p (1-lambda)^q]; inf where it diverges."""

    @abstractmethod
    def tilted(self) -> RatioLaw:
        """The law D~ of Theorem 1, density lambda (p(lambda) + p(1-lambda)).

        E_D~ g = E[lambda g(lambda) + (1-lambda) g(1-lambda)].
        """

    @abstractmethod
    def rule(self, order: int, breaks: Sequence[float] = ()) -> RatioRule:
        """Quadrature for an integrand that is smooth between the `breaks` (increasing, inside (0, 1))."""

    @abstractmethod
    def cells(self, breaks: Sequence[float] = ()) -> RatioRule:
        """Exact weights for an integrand that is constant between the `breaks`, one node a cell."""

    @abstractmethod
    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> Array:
        """`n` independent ratios."""

    def placed(self, uniform: Array, seed: int | np.random.Generator | None = None) -> Array:
        """Ratios (n,) of uniform numbers (n,) in [0, 1), by the inverse of the distribution function.

        A law that does not have it draws them from the generator and leaves the uniform numbers alone.
        """
        return self.sample(len(uniform), seed)

    def expectation(
        self, g: Callable[[Array], Array], *, breaks: Sequence[float] = (), rtol: float = 1e-10
    ) -> tuple[Array, float]:
        """E[g(lambda)] and an a-posteriori error, the nodes doubled until it is below `rtol` of E|g|.

        `g` maps ratios (n,) to values (n, ...), smooth between the `breaks` (increasing, inside (0, 1)).

        Raises ToleranceError where `rtol` is not reached, and says what was.
        """

        def at(order: int) -> tuple[Array, float]:
            rule = self.rule(order, breaks)
            values = np.asarray(g(rule.ratio), dtype=float)
            return np.tensordot(rule.mass, values, 1), float(np.max(np.tensordot(rule.mass, np.abs(values), 1)))

        return refine(at, rtol, "E[g(lambda)]")

    @property
    def mean(self) -> float:
        return self.moment(1)

    @property
    def var(self) -> float:
        """Var(lambda) = E[lambda] E[1-lambda] - E[lambda(1-lambda)], free of cancellation near 0 and 1."""
        return self.moment(1) * self.moment(0, 1) - self.moment(1, 1)


@dataclass(frozen=True)
class Beta(RatioLaw):
    """lambda ~ Beta(a, b), density lambda^(a-1) (1-lambda)^(b-1) / B(a, b).

    Raises ValueError unless a and b are finite and positive.
    """

    a: float
    b: float

    def __post_init__(self) -> None:
        require_finite_positive("a", self.a)
        require_finite_positive("b", self.b)

    def moment(self, p: float, q: float = 0.0) -> float:
        """E[lambda^p (1-lambda)^q] = B(a+p, b+q) / B(a, b); inf where a+p <= 0 or b+q <= 0."""
        if self.a + p <= 0 or self.b + q <= 0:
            return math.inf
        return float(np.exp(betaln(self.a + p, self.b + q) - betaln(self.a, self.b)))

    def tilted(self) -> Mixture:
        """D~ = a/(a+b) Beta(a+1, b) + b/(a+b) Beta(b+1, a)  (Park et al., Theorem 1; Zhang et al., Lemma 3.1)."""
        total = self.a + self.b
        return Mixture((self.a / total, self.b / total), (Beta(self.a + 1, self.b), Beta(self.b + 1, self.a)))

    def rule(self, order: int, breaks: Sequence[float] = ()) -> RatioRule:
        ratio, mass = beta_rule(order, self.a, self.b, breaks)
        return RatioRule(ratio, mass * ratio, mass * (1 - ratio))

    def cells(self, breaks: Sequence[float] = ()) -> RatioRule:
        """E[lambda; cell] = a/(a+b) P(Beta(a+1, b) in cell), and likewise for 1 - lambda with Beta(a, b+1)."""
        edges = np.array([0.0, *breaks, 1.0])
        total = self.a + self.b
        first = self.a / total * np.diff(betainc(self.a + 1, self.b, edges))
        second = self.b / total * np.diff(betainc(self.a, self.b + 1, edges))
        return RatioRule((edges[:-1] + edges[1:]) / 2, first, second)

    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> Array:
        """`n` independent ratios; one that underflows is the smallest positive float, for the law has no atom at 0."""
        return np.maximum(np.random.default_rng(seed).beta(self.a, self.b, size=n), np.finfo(float).tiny)

    def placed(self, uniform: Array, seed: int | np.random.Generator | None = None) -> Array:
        return np.maximum(betaincinv(self.a, self.b, uniform), np.finfo(float).tiny)


@dataclass(frozen=True)
class Mixture(RatioLaw):
    """lambda drawn from `components[k]` with probability `weights[k]`."""

    weights: tuple[float, ...]
    components: tuple[RatioLaw, ...]

    def __post_init__(self) -> None:
        _require_probabilities(self.weights, len(self.components), "components")
        for component in self.components:
            require_kind("components", component, RatioLaw)

    def moment(self, p: float, q: float = 0.0) -> float:
        return sum(w * c.moment(p, q) for w, c in self._pairs() if w > 0)

    def tilted(self) -> Mixture:
        return Mixture(self.weights, tuple(c.tilted() for c in self.components))

    def rule(self, order: int, breaks: Sequence[float] = ()) -> RatioRule:
        return RatioRule.join([c.rule(order, breaks).scaled(w) for w, c in self._pairs()])

    def cells(self, breaks: Sequence[float] = ()) -> RatioRule:
        return RatioRule.join([c.cells(breaks).scaled(w) for w, c in self._pairs()])

    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> Array:
        rng = np.random.default_rng(seed)
        which = rng.choice(len(self.weights), size=n, p=self.weights)
        draws = np.stack([c.sample(n, rng) for c in self.components])
        return draws[which, np.arange(n)]

    def _pairs(self) -> list[tuple[float, RatioLaw]]:
        return list(zip(self.weights, self.components, strict=True))


@dataclass(frozen=True)
class Discrete(RatioLaw):
    """lambda = values[k] with probability weights[k]; `Discrete((0.5,), (1.0,))` is a fixed ratio."""

    values: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        _require_probabilities(self.weights, len(self.values), "values")
        for value in self.values:
            require_ratio("values", value)

    def moment(self, p: float, q: float = 0.0) -> float:
        """A value at 0 (or 1) with positive weight makes the moment inf for p < 0 (or q < 0)."""
        with np.errstate(divide="ignore"):
            terms = [
                w * np.float64(v) ** p * np.float64(1 - v) ** q
                for v, w in zip(self.values, self.weights, strict=True)
                if w > 0
            ]
        return float(sum(terms))

    def tilted(self) -> Discrete:
        v, w = np.array(self.values), np.array(self.weights)
        return Discrete((*self.values, *(1 - v).tolist()), (*(w * v).tolist(), *(w * (1 - v)).tolist()))

    def rule(self, order: int, breaks: Sequence[float] = ()) -> RatioRule:
        v, w = np.array(self.values, dtype=float), np.array(self.weights, dtype=float)
        return RatioRule(v, w * v, w * (1 - v))

    def cells(self, breaks: Sequence[float] = ()) -> RatioRule:
        return self.rule(1)

    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> Array:
        return np.random.default_rng(seed).choice(self.values, size=n, p=self.weights)

    def placed(self, uniform: Array, seed: int | np.random.Generator | None = None) -> Array:
        order = np.argsort(self.values)
        edges = np.cumsum(np.array(self.weights)[order])[:-1]
        return np.array(self.values, dtype=float)[order][np.searchsorted(edges, uniform, side="right")]


def _require_probabilities(weights: Sequence[float], length: int, partner: str) -> None:
    if len(weights) != length or length == 0:
        raise ValueError(f"weights has {len(weights)} entries, {partner} has {length}: one weight each, at least one")
    if min(weights) < 0 or not math.isclose(sum(weights), 1.0, rel_tol=0, abs_tol=1e-12):
        raise ValueError(f"weights={tuple(weights)}: needed are non-negative numbers that sum to one")
