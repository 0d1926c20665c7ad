"""R1, R2 and R3 of the n-Mixup loss: the Taylor polynomial averaged over independent partners, and over the ratios.

For one sample x with label y, its partners with mean rbar, scatter C = E_r[(r-x)(r-x)^T], and away = rbar - x:

    R1 = (h' - y) S_1 grad f . away
    R2 = h''/2     (S_2 grad f^T C grad f + (T - S_2) (grad f . away)^2)
    R3 = (h' - y)/2 (S_2 tr(C Hess f)     + (T - S_2) away^T Hess f away),

S_1 = E[1-lambda_1], S_2 = E[sum_{j>=2} lambda_j^2] and T = E[(1-lambda_1)^2] under D~_Lambda.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from msda_theory.symbolic._notation import Mean, average, equation, moments, require_fault
from msda_theory.symbolic.assembly import Terms
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.dirichlet import DIRICHLET_FAULTS, LABEL_WEIGHTED, label_weighted_mean, parameters, ratios
from msda_theory.symbolic.many_taylor import Partners

N_TERM_FAULTS = ("half", "sign", "curvature", "limit", "cross")
N_MOMENT_FAULTS = ("weight", "shape", "square")
S1, S2, T = sp.symbols("S_1 S_2 T", positive=True)


class NTerms(Terms):
    """R1, R2, R3 of one sample among n, as stated above, in symbols for the moments of ratios and partners.

    Faults: those of the Taylor step; "limit": S_2 without its last lambda_j^2, as the sum up to m prints it for
    m = n - 1; "cross": the partners taken for one and the same, T for S_2 and no second part.
    """

    def __init__(self, n: int, d: int, fault: str | None = None) -> None:
        super().__init__(d, fault)
        self.partners = Partners(self.sample, n)

    @property
    def away(self) -> sp.MatrixBase:
        return sp.Matrix([mean - x for mean, x in zip(self.mean, self.sample.x, strict=True)])

    def moved(self) -> sp.MatrixBase:
        """E[v v^T] of the move v of the sample: S_2 C + (T - S_2) away away^T."""
        same = T if self.fault == "cross" else S2
        return same * self.C + (T - same) * self.away * self.away.T

    def contract(self, factor: sp.Expr, weights: sp.MatrixBase) -> sp.Expr:
        moved = self.moved()
        return sp.Mul(self.sample.half, factor, sp.Add(*(moved[p] * weights[p] for p in self.pairs)))

    @property
    def r1(self) -> sp.Expr:
        return self.sample.slope * S1 * sp.Add(*(self.sample.f(c) * self.away[c] for c in self.sample.coordinates))

    def in_shares(self, expression: sp.Expr) -> sp.Expr:
        """S_1, S_2 and T at given ratios lambda_2, .., lambda_n."""
        shares = self.partners.shares
        squares = [share**2 for share in (shares[:-1] if self.fault == "limit" else shares)]
        whole = sp.Add(*shares)
        return expression.subs({S1: whole, S2: sp.Add(*squares), T: whole**2})

    def over_partners(self, expression: sp.Expr) -> sp.Expr:
        """The expectation over independent partners."""
        d, names = len(self.mean), tuple(r for j in self.partners.partners for r in self.partners.r(j))
        mean = self.mean * len(self.partners.partners)
        second = sp.Matrix(
            len(names),
            len(names),
            lambda p, q: self.Q[p % d, q % d] if p // d == q // d else self.mean[p % d] * self.mean[q % d],
        )
        return average(expression, names, moments(mean, second))

    def polynomial(self) -> tuple[sp.Expr, ...]:
        """The terms of order 0, 1 and 2 of phi, by differentiation along the ray through lambda_2, .., lambda_n."""
        eps = sp.Symbol("epsilon")
        along = self.partners.phi().subs({s: eps * s for s in self.partners.shares}, simultaneous=True)
        return tuple(along.diff(eps, order).subs(eps, 0) / sp.factorial(order) for order in range(3))


@cache
def n_terms(n: int = 3, d: int = 2, *, fault: str | None = None) -> Derivation:
    """R1, R2 and R3 of one sample from the Taylor polynomial, the partners averaged; at every lambda."""
    require_fault(fault, N_TERM_FAULTS)
    terms = NTerms(n, d, fault)
    _, linear, square = terms.polynomial()
    first = equation(sp.Symbol("R_1"), terms.r1)
    second = equation(sp.Symbol("R_2"), terms.r2), equation(sp.Symbol("R_3"), terms.r3)
    r1, r23 = (terms.in_shares(terms.in_data(e)) for e in (terms.r1, terms.r2 + terms.r3))
    source = "Park et al., Theorem 5, with n for m in the sum of lambda_j^2"
    return Derivation(
        f"The regularisers with {n} ratios in {d} coordinate{'s' if d > 1 else ''}",
        (
            Step("R1 of one sample", first, terms.over_partners(linear) - r1, "Park et al., Theorem 5"),
            Step("R2 and R3 of one sample", second, terms.over_partners(square) - r23, source),
        ),
    )


@cache
def n_moments(n: int = 3, *, fault: str | None = None) -> Derivation:
    """S_1, S_2 and T in closed form for every alpha.

    Faults: "weight", "shape": as in `dirichlet_conjugacy`; "square": lambda_j for lambda_j^2 in S_2.
    """
    require_fault(fault, N_MOMENT_FAULTS)
    alpha, total, (own, *others) = parameters(n), sp.Add(*parameters(n)), ratios(n)
    two, three = total * (total + 1), total * (total + 1) * (total + 2)
    rest, squares = [(a, total - a) for a in alpha], [t ** (1 if fault == "square" else 2) for t in others]
    rows = (
        ("S_1", 1 - own, sp.Add(*(a * b for a, b in rest)) / two),
        ("S_2", sp.Add(*squares), sp.Add(*(a * (a + 1) * b for a, b in rest)) / three),
        ("T", (1 - own) ** 2, sp.Add(*(a * b * (b + 1) for a, b in rest)) / three),
    )
    slip = fault if fault in DIRICHLET_FAULTS else None
    steps = tuple(
        Step(
            f"{name} in closed form",
            (equation(sp.Symbol(name), Mean(g, LABEL_WEIGHTED)), equation(sp.Symbol(name), closed)),
            label_weighted_mean(g, alpha, slip) - closed,
            "Park et al., Theorem 5, its coefficients",
        )
        for name, g, closed in rows
    )
    return Derivation(f"The moments of {n} ratios under the label-weighted law", steps)
