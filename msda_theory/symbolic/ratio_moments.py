"""Beta laws of the mixing ratio and the tilted law D~ of Theorem 1: densities and moments, symbolic in a and b.

D~ = a/(a+b) Beta(a+1, b) + b/(a+b) Beta(b+1, a)     (Park et al., Theorem 1; Zhang et al., Lemma 3.1)
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from msda_theory.symbolic._notation import TILTED, D, Mean, ratio


def beta_density(a: Any, b: Any, t: Any) -> sp.Expr:
    """t^(a-1) (1-t)^(b-1) / B(a, b), the density of Beta(a, b) on (0, 1)."""
    a, b, t = map(sp.sympify, (a, b, t))
    return t ** (a - 1) * (1 - t) ** (b - 1) / sp.beta(a, b)


def beta_moment(a: Any, b: Any, p: Any = 0, q: Any = 0) -> sp.Expr:
    """E[lambda^p (1-lambda)^q] = B(a+p, b+q) / B(a, b) for lambda ~ Beta(a, b)."""
    a, b, p, q = map(sp.sympify, (a, b, p, q))
    return sp.gammasimp((sp.beta(a + p, b + q) / sp.beta(a, b)).rewrite(sp.gamma))


def tilted_density(a: Any, b: Any, t: Any) -> sp.Expr:
    """The density of D~ as the papers define it; it equals t (p(t) + p(1-t)) with p that of Beta(a, b)."""
    a, b = map(sp.sympify, (a, b))
    return (a * beta_density(a + 1, b, t) + b * beta_density(b + 1, a, t)) / (a + b)


def tilted_moment(a: Any, b: Any, p: Any = 0, q: Any = 0) -> sp.Expr:
    """E[lambda^p (1-lambda)^q] for lambda ~ D~."""
    a, b = map(sp.sympify, (a, b))
    return sp.gammasimp((a * beta_moment(a + 1, b, p, q) + b * beta_moment(b + 1, a, p, q)) / (a + b))


def under_ratio_law(expression: sp.Expr) -> sp.Expr:
    """The integrand under D of a combination of expectations; two are equal for every law D if these are.

    E_D[g] -> g(lambda),   E_D~[g] -> lambda g(lambda) + (1-lambda) g(1-lambda)     (shown by `conjugacy`)
    """

    def integrand(mean: Mean) -> sp.Expr:
        g, law = mean.args
        return g if law == D else ratio * g + (1 - ratio) * g.subs(ratio, 1 - ratio)

    return expression.replace(lambda e: isinstance(e, Mean), integrand)


def in_closed_form(expression: sp.Expr, a: Any, b: Any) -> sp.Expr:
    """Expectations of polynomials in lambda and 1-lambda, under Beta(a, b) or its tilted law, by their moments."""

    def moment(mean: Mean) -> sp.Expr:
        g, law = mean.args
        of = {D: beta_moment, TILTED: tilted_moment}[law]
        return sp.Add(*(c * of(a, b, *powers) for powers, c in sp.Poly(g, ratio).terms()))

    return expression.replace(lambda e: isinstance(e, Mean), moment)
