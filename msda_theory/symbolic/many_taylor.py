"""The second-order Taylor step of Theorem 5 for unspecified h and f: eqs. (21)-(25) of Park et al., App. B.

phi(lambda_2, .., lambda_n) = h(f(x~)) - y f(x~),   x~ = (1 - sum_j lambda_j) x + sum_j lambda_j r_j,

r_2, .., r_n the partners of the sample x, which keeps its label y; N = (lambda_2, .., lambda_n) in the remainder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement, product

import sympy as sp

from msda_theory.symbolic._notation import REMAINDER, equation, require_fault, smooth
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.dirichlet import ratios
from msda_theory.symbolic.taylor import TAYLOR_FAULTS, Sample

AFTER = "Park et al., App. B"


@dataclass(frozen=True)
class Partners:
    """A sample and its n-1 partners in d coordinates; the formulas (22)-(25) with every index and factor in its place.

    `phi`, what they are held against, never sees the fault of the sample.
    """

    sample: Sample
    n: int

    @property
    def shares(self) -> tuple[sp.Symbol, ...]:
        """lambda_2, .., lambda_n."""
        return ratios(self.n)[1:]

    @property
    def partners(self) -> range:
        """Positions among the partners: 0 for r_2."""
        return range(self.n - 1)

    def r(self, j: int) -> tuple[sp.Symbol, ...]:
        """The coordinates of a partner."""
        return tuple(sp.Symbol(f"r_{j + 2}{c + 1}") for c in self.sample.coordinates)

    def move(self, j: int) -> tuple[sp.Expr, ...]:
        """r_j - x."""
        return tuple(r - x for r, x in zip(self.r(j), self.sample.x, strict=True))

    def phi(self) -> sp.Expr:
        kept = 1 - sp.Add(*self.shares)
        point = [
            kept * x + sp.Add(*(self.shares[j] * self.r(j)[c] for j in self.partners))
            for c, x in enumerate(self.sample.x)
        ]
        value = smooth("f", *[0] * len(point))(*point)
        return smooth("h", 0)(value) - self.sample.y * value

    def along(self, j: int) -> sp.Expr:
        """grad f . (r_j - x)."""
        return sp.Add(*(self.sample.f(c) * step for c, step in enumerate(self.move(j))))

    def bend(self, j: int, s: int) -> sp.Expr:
        """(r_j - x)^T Hess f (r_s - x)."""
        pairs = product(self.sample.coordinates, repeat=2)
        return sp.Add(*(self.sample.f(c, e) * self.move(j)[c] * self.move(s)[e] for c, e in pairs))

    def gradient(self, j: int) -> sp.Expr:
        """(23): (h' - y) grad f . (r_j - x)."""
        return self.sample.slope * self.along(j)

    def hessian(self, j: int, s: int) -> sp.Expr:
        """(24): h'' (grad f . (r_j - x)) (grad f . (r_s - x)) + (h' - y) (r_j - x)^T Hess f (r_s - x)."""
        return self.sample.curvature * self.along(j) * self.along(s) + self.sample.slope * self.bend(j, s)

    def expansion(self) -> sp.Expr:
        """(25), less its remainder."""
        linear = sp.Add(*(self.gradient(j) * self.shares[j] for j in self.partners))
        pairs = product(self.partners, repeat=2)
        square = sp.Add(*(self.hessian(j, s) * self.shares[j] * self.shares[s] for j, s in pairs))
        return self.sample.value() + linear + self.sample.half * square


@dataclass(frozen=True)
class Printed(Partners):
    """(23)-(25) as they stand: the label of the partner, h''(f - y), and -y for h' - y before the Hessian."""

    def gradient(self, j: int) -> sp.Expr:
        return (self.sample.h(1) - sp.Symbol(f"y_{j + 2}")) * self.along(j)

    @property
    def curvature(self) -> sp.Expr:
        return smooth("h", 2)(self.sample.f() - self.sample.y)

    def hessian(self, j: int, s: int) -> sp.Expr:
        return self.curvature * self.along(j) * self.along(s) - self.sample.y * self.bend(j, s)


@dataclass(frozen=True)
class PrintedApart(Printed):
    """The same with h''(f) - y read for h''(f - y)."""

    @property
    def curvature(self) -> sp.Expr:
        return self.sample.h(2) - self.sample.y


FORMS = {"derived": Partners, "printed": Printed, "printed, label outside h''": PrintedApart}


@cache
def n_second_order(n: int = 3, d: int = 2, *, form: str = "derived", fault: str | None = None) -> Derivation:
    """Value (22), gradient (23) and Hessian (24) at 0, and their sum (25), for n ratios and d coordinates.

    form : "derived", or "printed" for the formulas as they stand, in both readings of (24) (the keys of `FORMS`).
    Faults: those of `second_order`.
    """
    require_fault(fault, TAYLOR_FAULTS)
    if form not in FORMS:
        raise ValueError(f"form={form!r}: needed is one of {', '.join(map(repr, FORMS))}")
    partners = FORMS[form](Sample.of(d, fault), n)
    name = f"The Taylor step with {n - 1} partner{'s' if n > 2 else ''} in {d} coordinate{'s' if d > 1 else ''}, {form}"
    return Derivation(name, (_value(partners), _gradient(partners), _hessian(partners), _expansion(partners)))


def _at_zero(p: Partners, *order: int) -> sp.Expr:
    derivative = p.phi()
    for j in order:
        derivative = derivative.diff(p.shares[j])
    return derivative.subs(dict.fromkeys(p.shares, 0))


def _partial(*order: int) -> sp.Symbol:
    return sp.Symbol("".join(rf"\partial_{{\lambda_{{{j + 2}}}}}" for j in order) + r"\varphi(0)")


def _value(p: Partners) -> Step:
    return Step("Value", equation(_partial(), p.sample.value()), _at_zero(p) - p.sample.value(), f"{AFTER}, (22)")


def _gradient(p: Partners) -> Step:
    lines = tuple(equation(_partial(j), p.gradient(j)) for j in p.partners)
    return Step("Gradient", lines, tuple(_at_zero(p, j) - p.gradient(j) for j in p.partners), f"{AFTER}, (23)")


def _hessian(p: Partners) -> Step:
    pairs = list(combinations_with_replacement(p.partners, 2))
    lines = tuple(equation(_partial(*pair), p.hessian(*pair)) for pair in pairs)
    return Step("Hessian", lines, tuple(_at_zero(p, *pair) - p.hessian(*pair) for pair in pairs), f"{AFTER}, (24)")


def _expansion(p: Partners) -> Step:
    """On every ray through 0, phi less (25) vanishes with its first two derivatives."""
    eps = sp.Symbol("epsilon")
    remainder = (p.phi() - p.expansion()).subs({share: eps * share for share in p.shares}, simultaneous=True)
    gaps = tuple(remainder.diff(eps, order).subs(eps, 0) for order in range(3))
    stated = equation(sp.Symbol(r"\varphi(\lambda_{2},\ldots,\lambda_{n})"), p.expansion() + REMAINDER)
    return Step("Expansion", stated, gaps, f"{AFTER}, (21), (25)")
