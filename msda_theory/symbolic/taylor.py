"""The second-order Taylor step of Theorem 1, for unspecified h and f of d coordinates: eqs. (15)-(19) of Park et al.

phi(N) = h(f(x + N (r-x))) - y f(x + N (r-x)),   N the share of the partner r that the sample x sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sympy as sp

from msda_theory.symbolic._notation import REMAINDER, equation, require_fault, smooth
from msda_theory.symbolic.derivation import Derivation, Step

TAYLOR_FAULTS = ("half", "sign", "curvature", "label_sign")


@dataclass(frozen=True)
class Sample:
    """A sample x with label y, its partner r and the share N that it sees of it; unspecified h, f; d coordinates.

    The formulas of the paper are written with `slope`, `curvature` and `half`, where a fault can be planted; what they
    are held against, `phi`, never sees it.
    """

    x: tuple[sp.Symbol, ...]
    r: tuple[sp.Symbol, ...]
    N: tuple[sp.Symbol, ...]
    y: sp.Symbol
    fault: str | None = None

    @staticmethod
    def of(d: int, fault: str | None = None) -> Sample:
        x, r, N = (tuple(sp.symbols(f"{name}_1:{d + 1}")) for name in ("x", "r", "N"))
        return Sample(x, r, N, sp.Symbol("y"), fault)

    @property
    def coordinates(self) -> range:
        return range(len(self.x))

    @property
    def move(self) -> tuple[sp.Expr, ...]:
        """r - x."""
        return tuple(r - x for x, r in zip(self.x, self.r, strict=True))

    def f(self, *order: int) -> sp.Expr:
        """f at x, or its partial derivative in the coordinates named: f(0, 1) is the mixed second one."""
        return smooth("f", *(order.count(k) for k in self.coordinates))(*self.x)

    def h(self, order: int) -> sp.Expr:
        """The derivative of h of the given order at f(x)."""
        return smooth("h", order)(self.f())

    @property
    def label(self) -> sp.Expr:
        return -self.y if self.fault == "label_sign" else self.y

    @property
    def slope(self) -> sp.Expr:
        """h'(f) - y."""
        return (self.h(1) - self.label) * (-1 if self.fault == "sign" else 1)

    @property
    def curvature(self) -> sp.Expr:
        """h''(f)."""
        return self.h(1) ** 2 if self.fault == "curvature" else self.h(2)

    @property
    def half(self) -> sp.Expr:
        """The factor of the second-order terms."""
        return sp.S.One if self.fault == "half" else sp.S.Half

    def phi(self) -> sp.Expr:
        """The loss of the moved sample, as a function of the share N."""
        moved = (x + N * s for x, N, s in zip(self.x, self.N, self.move, strict=True))
        value = smooth("f", *[0] * len(self.x))(*moved)
        return smooth("h", 0)(value) - self.y * value

    def value(self) -> sp.Expr:
        """(16): l(x, y) = h(f) - y f."""
        return self.h(0) - self.label * self.f()

    def gradient(self, k: int) -> sp.Expr:
        """(17): (h' - y) d_k f (r_k - x_k)."""
        return self.slope * self.f(k) * self.move[k]

    def hessian(self, j: int, k: int) -> sp.Expr:
        """(18): (h'' d_j f d_k f + (h' - y) d_jk f) (r_j - x_j)(r_k - x_k)."""
        return (self.curvature * self.f(j) * self.f(k) + self.slope * self.f(j, k)) * self.move[j] * self.move[k]

    def gradient_term(self) -> sp.Expr:
        """(h' - y) (grad f * (r-x)) . N, which averages to R1."""
        return self.slope * sp.Add(*(self.f(k) * self.move[k] * self.N[k] for k in self.coordinates))

    def curvature_term(self) -> sp.Expr:
        """h''/2 ((grad f * (r-x)) . N)^2, which averages to R2."""
        along = sp.Add(*(self.f(k) * self.move[k] * self.N[k] for k in self.coordinates))
        return sp.Mul(self.half, self.curvature, along**2)

    def hessian_term(self) -> sp.Expr:
        """(h' - y)/2 N^T (Hess f * (r-x)(r-x)^T) N, which averages to R3."""
        moved = [N * s for N, s in zip(self.N, self.move, strict=True)]
        terms = (self.f(j, k) * moved[j] * moved[k] for j in self.coordinates for k in self.coordinates)
        return sp.Mul(self.half, self.slope, sp.Add(*terms))

    def expansion(self) -> sp.Expr:
        """(19), less its remainder."""
        return self.value() + self.gradient_term() + self.curvature_term() + self.hessian_term()


@cache
def second_order(d: int = 2, *, fault: str | None = None) -> Derivation:
    """Value (16), gradient (17), Hessian (18) at N = 0, and their sum (19) with the order of its remainder (15).

    Faults: "half": the second-order terms without their factor 1/2; "sign": y - h' for h' - y; "curvature": h'^2 for
    h''; "label_sign": +y for -y.
    """
    require_fault(fault, TAYLOR_FAULTS)
    sample = Sample.of(d, fault)
    return Derivation(
        f"The second-order Taylor step in {d} coordinate{'s' if d > 1 else ''}",
        (_value_step(sample), _gradient_step(sample), _hessian_step(sample), _expansion_step(sample)),
    )


def _at_zero(s: Sample, *order: int) -> sp.Expr:
    """The derivative of phi in the shares named, at N = 0."""
    derivative = s.phi()
    for k in order:
        derivative = derivative.diff(s.N[k])
    return derivative.subs(dict.fromkeys(s.N, 0))


def _value_step(s: Sample) -> Step:
    statement = equation(sp.Symbol(r"\phi(0)"), s.value())
    return Step("Value", statement, _at_zero(s) - s.value(), "Park et al., (16)")


def _gradient_step(s: Sample) -> Step:
    names = [sp.Symbol(rf"\partial_{{N_{k + 1}}}\phi(0)") for k in s.coordinates]
    lines = tuple(equation(name, s.gradient(k)) for k, name in enumerate(names))
    gaps = tuple(_at_zero(s, k) - s.gradient(k) for k in s.coordinates)
    return Step("Gradient", lines, gaps, "Park et al., (17)")


def _hessian_step(s: Sample) -> Step:
    pairs = [(j, k) for j in s.coordinates for k in s.coordinates if j <= k]
    names = [sp.Symbol(rf"\partial_{{N_{j + 1}}}\partial_{{N_{k + 1}}}\phi(0)") for j, k in pairs]
    lines = tuple(equation(name, s.hessian(*pair)) for name, pair in zip(names, pairs, strict=True))
    gaps = tuple(_at_zero(s, j, k) - s.hessian(j, k) for j, k in pairs)
    return Step("Hessian", lines, gaps, "Park et al., (18)")


def _expansion_step(s: Sample) -> Step:
    """phi(eps N) less (19) at eps N vanishes at eps = 0 with its first two derivatives: on every ray it is o(eps^2)."""
    eps = sp.Symbol("epsilon")
    remainder = (s.phi() - s.expansion()).subs({N: eps * N for N in s.N}, simultaneous=True)
    gaps = tuple(remainder.diff(eps, order).subs(eps, 0) for order in range(3))
    stated = equation(sp.Symbol(r"\phi(N)"), s.expansion() + REMAINDER)
    return Step("Expansion", stated, gaps, "Park et al., (15), (19); Zhang et al., (10)")
