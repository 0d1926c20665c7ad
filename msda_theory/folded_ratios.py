"""Laws of the larger share theta of a pair, on [1/2, 1], for any law of the mixing ratio (Carratino et al., Thm. 1).

    Folded(law)       theta = max(lambda, 1 - lambda)
    UpperHalf(law)    lambda given that it lies in the upper half: Beta_[1/2,1](alpha, alpha) of the paper

Over all ordered pairs the Mixup loss at lambda is that at 1 - lambda with the two samples exchanged, so that it depends
on theta = max(lambda, 1 - lambda) alone: the folded law gives the loss of every ratio law, symmetric or not.  The upper
half gives it where the law is symmetric about 1/2, and the two laws are then the same.

Mass at 1/2.  Folded, it stays at 1/2: both shares are 1/2, and the sides need not be told apart.  Of the halves each
takes one half of it.  With all of it in both, as where lambda is conditioned on [1/2, 1], closed, it counts twice, and
the halves of a symmetric law no longer make up the law.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from scipy.special import betainc, betaln, hyp2f1

from msda_theory._validation import require_kind
from msda_theory.quadrature import Array, refine
from msda_theory.ratios import Beta, Discrete, Mixture, RatioLaw, RatioRule

HALF = 0.5
MOMENT_RTOL = 1e-12
FINE_ORDER = 64
LARGEST_DRAW = 2**27


@singledispatch
def half_moment(law: RatioLaw, p: float = 0.0, q: float = 0.0, *, upper: bool = True) -> tuple[float, float]:
    """E[theta^p (1-theta)^q; half] and its error: theta = lambda where lambda > 1/2, or 1 - lambda where lambda < 1/2.

    Half of the mass at 1/2 counts.  Beta laws, finite laws and their mixtures have closed forms, and the error is 0 but
    for rounding; any other law is integrated, the nodes doubled until the error is below 1e-12 of the moment.

    Raises ToleranceError where that is not reached.
    """

    def at(order: int) -> tuple[Array, float]:
        rule = law.rule(order, (HALF,))
        larger, smaller = (rule.ratio, 1 - rule.ratio) if upper else (1 - rule.ratio, rule.ratio)
        value = float(np.sum(rule.mass * _in_half(rule.ratio, upper) * larger**p * smaller**q))
        return np.array(value), abs(value)

    value, error = refine(at, MOMENT_RTOL, f"E[theta^{p:g} (1-theta)^{q:g}] on a half of {law!r}")
    return float(value), error


@half_moment.register
def _(law: Beta, p: float = 0.0, q: float = 0.0, *, upper: bool = True) -> tuple[float, float]:
    """B_{1/2}(b+q, a+p) / B(a, b) on the upper half; inf where b+q <= 0."""
    a, b = (law.a, law.b) if upper else (law.b, law.a)
    if b + q <= 0:
        return math.inf, 0.0
    if a + p > 0:
        return float(betainc(b + q, a + p, HALF) * np.exp(betaln(b + q, a + p) - betaln(a, b))), 0.0
    series = hyp2f1(b + q, 1 - a - p, b + q + 1, HALF)  # of terms that are all positive
    return float(HALF ** (b + q) / (b + q) * series / np.exp(betaln(a, b))), 0.0


@half_moment.register
def _(law: Discrete, p: float = 0.0, q: float = 0.0, *, upper: bool = True) -> tuple[float, float]:
    values, weights = np.array(law.values, dtype=float), np.array(law.weights, dtype=float)
    share = weights * _in_half(values, upper)
    v, w = values[share > 0], share[share > 0]
    larger, smaller = (v, 1 - v) if upper else (1 - v, v)
    with np.errstate(divide="ignore"):
        return float(np.sum(w * larger**p * smaller**q)), 0.0


@half_moment.register
def _(law: Mixture, p: float = 0.0, q: float = 0.0, *, upper: bool = True) -> tuple[float, float]:
    parts = [half_moment(c, p, q, upper=upper) for c in law.components]
    value, error = (sum(w * part[k] for w, part in zip(law.weights, parts, strict=True) if w > 0) for k in (0, 1))
    return value, error


@singledispatch
def upper_half(law: RatioLaw) -> RatioLaw | None:
    """The law given its upper half as a law of its own kind, where it has one: finite laws, densities, mixtures."""
    return None


@upper_half.register
def _(law: Discrete) -> RatioLaw | None:
    share = np.array(law.weights) * _in_half(np.array(law.values, dtype=float), True)
    return Discrete(law.values, tuple((share / share.sum()).tolist()))


@upper_half.register
def _(law: Mixture) -> RatioLaw | None:
    share = [w * half_moment(c)[0] for w, c in zip(law.weights, law.components, strict=True)]
    kept = [(s / sum(share), UpperHalf(c)) for s, c in zip(share, law.components, strict=True) if s > 0]
    return Mixture(*zip(*kept, strict=True))


class _LargerShare(RatioLaw):
    """A law of theta: the upper half of `law` with one weight, the lower half, reflected, with another."""

    law: RatioLaw

    @property
    @abstractmethod
    def half_weights(self) -> tuple[float, float]:
        """The factors of the upper and of the lower half."""

    def moment(self, p: float, q: float = 0.0) -> float:
        """E[theta^p (1-theta)^q]; inf where it diverges."""
        return self.moment_with_error(p, q)[0]

    def moment_with_error(self, p: float, q: float = 0.0) -> tuple[float, float]:
        """The moment and its error, which is 0 but for rounding where there is a closed form (see `half_moment`)."""
        parts = [
            (weight, half_moment(self.law, p, q, upper=upper))
            for weight, upper in zip(self.half_weights, (True, False), strict=True)
            if weight > 0
        ]
        return sum(w * value for w, (value, _) in parts), sum(w * error for w, (_, error) in parts)

    def rule(self, order: int, breaks: Sequence[float] = ()) -> RatioRule:
        return self._on_upper_half(self.law.rule(order, _mirrored(breaks)))

    def cells(self, breaks: Sequence[float] = ()) -> RatioRule:
        return self._on_upper_half(self.law.cells(_mirrored(breaks)))

    def _on_upper_half(self, rule: RatioRule) -> RatioRule:
        """Shares exchanged below 1/2, so that 1 - theta keeps its digits next to theta = 1."""
        upper, lower = (
            weight * _in_half(rule.ratio, side) for weight, side in zip(self.half_weights, (True, False), strict=True)
        )
        kept = RatioRule.join(
            [
                RatioRule(rule.ratio, rule.first * upper, rule.second * upper),
                RatioRule(1 - rule.ratio, rule.second * lower, rule.first * lower),
            ]
        )
        inside = np.concatenate([upper, lower]) > 0
        return RatioRule(kept.ratio[inside], kept.first[inside], kept.second[inside])


@dataclass(frozen=True)
class Folded(_LargerShare):
    """theta = max(lambda, 1 - lambda) for lambda ~ `law`, any law; mass at 1/2 stays at 1/2."""

    law: RatioLaw

    def __post_init__(self) -> None:
        require_kind("law", self.law, RatioLaw)

    @property
    def half_weights(self) -> tuple[float, float]:
        return 1.0, 1.0

    def tilted(self) -> RatioLaw:
        """That of `law`: lambda (p(lambda) + p(1-lambda)) does not change where lambda and 1 - lambda are exchanged."""
        return self.law.tilted()

    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> Array:
        ratio = self.law.sample(n, seed)
        return np.maximum(ratio, 1 - ratio)


@dataclass(frozen=True)
class UpperHalf(_LargerShare):
    """lambda ~ `law` given that it lies in the upper half, to which half of any mass at 1/2 belongs.

    For `Beta(alpha, alpha)` this is Beta_[1/2,1](alpha, alpha) of Carratino et al.; for every law that is symmetric
    about 1/2 it is `Folded(law)`.

    Raises ValueError for a law with no mass there.
    """

    law: RatioLaw

    def __post_init__(self) -> None:
        require_kind("law", self.law, RatioLaw)
        if not half_moment(self.law)[0] > 0:
            raise ValueError(f"law={self.law!r} has no mass in [1/2, 1]: needed is one with some; Folded takes any law")

    @property
    def half_weights(self) -> tuple[float, float]:
        return 1 / half_moment(self.law)[0], 0.0

    def tilted(self) -> RatioLaw:
        own = upper_half(self.law)
        return Tilted(self) if own is None else own.tilted()

    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> Array:
        """`n` independent ratios, by rejection; ValueError where that would take more than 2^27 draws."""
        rng, mass = np.random.default_rng(seed), half_moment(self.law)[0]
        if n / mass > LARGEST_DRAW:
            raise ValueError(f"n={n} draws, of which {self.law!r} has {mass:.1g} in [1/2, 1]: too few are accepted")
        kept = np.empty(0)
        while len(kept) < n:
            draws = self.law.sample(math.ceil((n - len(kept)) / mass) + 8, rng)
            kept = np.concatenate([kept, draws[rng.random(len(draws)) < _in_half(draws, True)]])
        return kept[:n]


@upper_half.register
def _(law: UpperHalf) -> RatioLaw | None:
    own = upper_half(law.law)
    return None if own is None else upper_half(own)


@upper_half.register
def _(law: Folded) -> RatioLaw | None:
    folded = law.law
    if isinstance(folded, Discrete):
        return upper_half(Discrete(tuple(max(v, 1 - v) for v in folded.values), folded.weights))
    if isinstance(folded, Mixture):
        return upper_half(Mixture(folded.weights, tuple(map(Folded, folded.components))))
    return upper_half(folded) if isinstance(folded, _LargerShare) else None


@dataclass(frozen=True)
class Tilted(RatioLaw):
    """The law D~ of Theorem 1 of Park et al. for any `law`: E_D~ g = E[lambda g(lambda) + (1-lambda) g(1-lambda)]."""

    law: RatioLaw

    def __post_init__(self) -> None:
        require_kind("law", self.law, RatioLaw)

    def moment(self, p: float, q: float = 0.0) -> float:
        """E_D[lambda^(p+1) (1-lambda)^q + lambda^q (1-lambda)^(p+1)], or the moment of the law's own tilted law.

        The sum has 0^(p+1) for mass at an end, of which D~ puts none at 0; laws with such mass have a tilted law of
        their own.
        """
        own = self.law.tilted()
        if not isinstance(own, Tilted):
            return own.moment(p, q)
        return self.law.moment(p + 1, q) + self.law.moment(q, p + 1)

    def tilted(self) -> Tilted:
        """Itself: tilting twice changes nothing."""
        return self

    def rule(self, order: int, breaks: Sequence[float] = ()) -> RatioRule:
        edges = sorted({*breaks, *(1 - b for b in breaks)})
        base = self.law.rule(order, edges)
        t, first, second = base.ratio, base.first, base.second
        roles = RatioRule(t, first * t, first * (1 - t)), RatioRule(1 - t, second * (1 - t), second * t)
        return RatioRule.join(roles)

    def cells(self, breaks: Sequence[float] = ()) -> RatioRule:
        """By a rule of `FINE_ORDER` nodes a cell, for `law` states no more than its first moment in a cell."""
        fine, edges = self.rule(FINE_ORDER, breaks), np.array([0.0, *breaks, 1.0])
        cell = np.digitize(fine.ratio, edges[1:-1])
        first, second = (np.bincount(cell, w, len(edges) - 1).astype(float) for w in (fine.first, fine.second))
        return RatioRule((edges[:-1] + edges[1:]) / 2, first, second)

    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> Array:
        rng = np.random.default_rng(seed)
        ratio = self.law.sample(n, rng)
        return np.where(rng.random(n) < ratio, ratio, 1 - ratio)


def _in_half(ratio: Array, upper: bool) -> Array:
    """1 in the half, 0 in the other, 1/2 at 1/2 itself."""
    return np.heaviside(ratio - HALF if upper else HALF - ratio, HALF)


def _mirrored(breaks: Sequence[float]) -> list[float]:
    """The breaks of theta as breaks of lambda: themselves, their mirror images, and 1/2."""
    return sorted({HALF, *(b for b in breaks if b > HALF), *(1 - b for b in breaks if b > HALF)})
