"""A law of the mixing ratio given by its density."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.special import beta
from scipy.stats.sampling import NumericalInversePolynomial

from msda_theory._validation import require_ratio
from msda_theory._vanishing import vanishing_order
from msda_theory.folded_ratios import HALF, half_moment, upper_half
from msda_theory.quadrature import Array, ToleranceError, beta_rule, refine
from msda_theory.ratios import RatioLaw, RatioRule

DENSITY_RTOL = 1e-12


@dataclass(frozen=True)
class Density(RatioLaw):
    """lambda on [0, 1] with a density proportional to `weight`, for instance Density(lambda t: 1 + np.cos(6 * t)).

    `weight` maps ratios (n,) to finite values (n,) >= 0 and is smooth between the `breaks` (increasing, inside (0, 1)).
    It need not be normalised.  A density that grows without bound towards 0 or 1 is a `Beta`, or a `Mixture` of them.

    Raises ValueError where the weight is negative, not finite or zero everywhere, or the breaks are not increasing, and
    ToleranceError where its integral does not converge.
    """

    weight: Callable[[Array], Array]
    breaks: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for value in self.breaks:
            require_ratio("breaks", value)
        if list(self.breaks) != sorted(set(self.breaks) - {0.0, 1.0}):
            raise ValueError(f"breaks={self.breaks}: needed are increasing numbers inside (0, 1)")
        if not self._mass > 0:
            raise ValueError(f"weight={self.weight!r} integrates to {self._mass}: needed is a density on [0, 1]")

    @cached_property
    def _mass(self) -> float:
        """The integral of the weight."""

        def evaluate(order: int) -> tuple[Array, float]:
            nodes, weights = beta_rule(order, 1.0, 1.0, self.breaks)
            total = float(weights @ self._weights_at(nodes))
            return np.array(total), total

        return float(refine(evaluate, DENSITY_RTOL, f"the integral of weight={self.weight!r}")[0])

    def _weights_at(self, ratio: Array) -> Array:
        values = np.asarray(self.weight(ratio), dtype=float)
        if values.shape != ratio.shape or not np.isfinite(values).all() or (values < 0).any():
            raise ValueError(
                f"weight={self.weight!r} maps {ratio.shape} ratios to shape {values.shape}, smallest value "
                f"{values.min(initial=np.inf)}: needed is one finite number >= 0 a ratio"
            )
        return values

    def density(self, ratio: Array) -> Array:
        """p(lambda), of integral one."""
        return self._weights_at(np.asarray(ratio, dtype=float)) / self._mass

    def moment(self, p: float, q: float = 0.0) -> float:
        """E[lambda^p (1-lambda)^q], the powers carried by the rule; inf where it diverges.

        For p <= -1 (or q <= -1) it is finite where the density vanishes at 0 (or 1) to the order [-p] at least, and so
        much of the power is divided out.  Raises ToleranceError where `vanishing_order` cannot tell.
        """
        low, high = (max(0, math.floor(-power)) for power in (p, q))
        if (low and low > self.vanishing_order(0)) or (high and high > self.vanishing_order(1)):
            return math.inf
        a, b = p + low + 1, q + high + 1

        def evaluate(order: int) -> tuple[Array, float]:
            nodes, weights = beta_rule(order, a, b, self.breaks)
            total = float(beta(a, b) * (weights @ (self.density(nodes) / nodes**low / (1 - nodes) ** high)))
            return np.array(total), total

        return float(refine(evaluate, DENSITY_RTOL, f"E[lambda^{p} (1-lambda)^{q}]")[0])

    def vanishing_order(self, end: int) -> float:
        """The n of p(lambda) ~ c t^n, t the distance from `end`, 0 or 1; inf where the density is zero about it.

        Raises ToleranceError where the values do not tell (see `msda_theory._vanishing`).
        """
        edges = [0.0, *self.breaks, 1.0]
        reach = 2.0 ** math.floor(math.log2(edges[1] if end == 0 else 1 - edges[-2]))
        return vanishing_order(lambda t: self.density(t if end == 0 else 1 - t), reach, f"{self!r} at {end}")

    def tilted(self) -> Density:
        """D~, density lambda (p(lambda) + p(1-lambda))."""
        mirrored = {1 - value for value in self.breaks}
        return replace(
            self,
            weight=lambda t: t * (self.density(t) + self.density(1 - t)),
            breaks=tuple(sorted({*self.breaks, *mirrored})),
        )

    def rule(self, order: int, breaks: Sequence[float] = ()) -> RatioRule:
        nodes, weights = beta_rule(order, 1.0, 1.0, sorted({*self.breaks, *breaks}))
        mass = weights * self.density(nodes)
        return RatioRule(nodes, mass * nodes, mass * (1 - nodes))

    def cells(self, breaks: Sequence[float] = ()) -> RatioRule:
        """E[lambda; cell] and E[1-lambda; cell] by quadrature, refined to `DENSITY_RTOL`."""
        edges = np.array([0.0, *breaks, 1.0])

        def evaluate(order: int) -> tuple[Array, float]:
            rule = self.rule(order, breaks)
            cell = np.searchsorted(edges[1:-1], rule.ratio)
            return np.stack([np.bincount(cell, part, len(edges) - 1) for part in (rule.first, rule.second)]), 1.0

        sums, _ = refine(evaluate, DENSITY_RTOL, f"the cells of {self!r}")
        return RatioRule((edges[:-1] + edges[1:]) / 2, sums[0], sums[1])

    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> Array:
        """`n` independent ratios, by numerical inversion of the distribution function."""
        return self._inverse.ppf(np.random.default_rng(seed).random(n))

    @cached_property
    def _inverse(self) -> NumericalInversePolynomial:
        try:
            return NumericalInversePolynomial(_Scalar(self), domain=(0.0, 1.0), u_resolution=1e-12)
        except Exception as error:
            raise ToleranceError(f"{self!r} cannot be sampled: its distribution function is not inverted") from error


@upper_half.register
def _(law: Density) -> RatioLaw | None:
    return _on_half(law, True)


@half_moment.register
def _(law: Density, p: float = 0.0, q: float = 0.0, *, upper: bool = True) -> tuple[float, float]:
    """P(half) E[theta^p (1-theta)^q | half], by the density that is zero on the other half."""
    share = float(law.cells((HALF,)).mass[int(upper)])
    if not share > 0:
        return 0.0, 0.0
    value = share * _on_half(law, upper).moment(*((p, q) if upper else (q, p)))
    return value, DENSITY_RTOL * value


def _on_half(law: Density, upper: bool) -> Density:
    def weight(ratio: Array) -> Array:
        return law.density(ratio) * ((ratio > HALF) == upper)

    return Density(weight, tuple(sorted({*law.breaks, HALF})))


@dataclass(frozen=True)
class _Scalar:
    law: Density

    def pdf(self, ratio: float) -> float:
        return float(self.law.density(np.array([ratio]))[0])
