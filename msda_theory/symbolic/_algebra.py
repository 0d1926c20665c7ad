"""How a residual is brought to zero, or shown not to be zero.  Both are exact: no floating point."""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp
from sympy.core.function import AppliedUndef

from msda_theory.symbolic._notation import Smooth

TRIES = 6


def reduced(residual: sp.Expr) -> sp.Expr:
    """0 if expansion, Gamma-function identities or `simplify` bring the residual to 0; else what they leave."""
    expanded = sp.expand(residual)
    if expanded == 0 or refutation(expanded) is not None:
        return expanded
    return sp.S.Zero if _rational(residual) == 0 else sp.simplify(expanded)


def refutation(residual: sp.Expr) -> dict[sp.Basic, sp.Integer] | None:
    """Integers for the symbols, and for unspecified functions where they are applied, that make the residual nonzero.

    A smooth function and its derivatives may take any values at finitely many points, so nothing more is needed.
    """
    for shift in range(TRIES):
        value, point = _at_primes(residual, shift)
        if value.is_Rational and value != 0:
            return point
    return None


def _rational(residual: sp.Expr) -> sp.Expr:
    """The residual as a rational function, each power t^s with symbolic s taken for a variable of its own."""
    powers: dict[tuple[sp.Expr, sp.Expr], sp.Dummy] = {}

    def split(power: sp.Pow) -> sp.Expr:
        shift, exponent = power.exp.as_coeff_Add()
        return powers.setdefault((power.base, exponent), sp.Dummy()) * power.base**shift

    in_gammas = sp.gammasimp(residual.rewrite(sp.gamma))
    return sp.cancel(in_gammas.replace(lambda e: e.is_Pow and not e.exp.is_number, split))


def _at_primes(expression: sp.Expr, shift: int) -> tuple[sp.Expr, dict[sp.Basic, sp.Integer]]:
    """The value where the symbols, then the functions from the innermost outward, are distinct primes."""
    point: dict[sp.Basic, sp.Integer] = {}
    symbols = expression.atoms(sp.Indexed) | (expression.free_symbols - _indexing(expression))
    chosen: Iterable[sp.Basic] = symbols
    while chosen:
        ordered = sorted(chosen, key=sp.default_sort_key)
        new = {s: sp.Integer(sp.prime(len(point) + k + 1 + shift)) for k, s in enumerate(ordered)}
        point.update(new)
        expression = expression.xreplace(new)
        applied = expression.atoms(AppliedUndef, Smooth)
        chosen = [g for g in applied if not any(inner.atoms(AppliedUndef, Smooth) for inner in g.args)]
    return expression.rewrite(sp.gamma).doit(), point


def _indexing(expression: sp.Expr) -> set[sp.Basic]:
    """What stands only inside an Indexed: its base and indices (x_i is one number here)."""
    within: set[sp.Basic] = set()
    return within.union(*(e.free_symbols for e in expression.atoms(sp.Indexed)))
