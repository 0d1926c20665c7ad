"""LaTeX of the derivations: sympy's printer with the few changes that equations of this length need."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter

from msda_theory.symbolic._notation import MEAN_REMAINDER, REMAINDER

SETTINGS = {"long_frac_ratio": 2}  # 1/m sum ..., not a fraction with the sum above the line
LONG = 200  # characters of LaTeX


class _Printer(LatexPrinter):
    def _as_ordered_terms(self, expr: sp.Expr, order: Any = None) -> list[sp.Expr]:
        """What is added before what is subtracted, remainders last: h'(f) - y."""
        terms = super()._as_ordered_terms(expr, order)
        return sorted(terms, key=lambda t: (t in (REMAINDER, MEAN_REMAINDER), t.could_extract_minus_sign()))

    def _print_beta(self, expr: sp.Expr, exp: str | None = None) -> str:
        """B(alpha, beta): sympy 1.14 prints the names of the arguments without their backslash."""
        text = rf"\mathrm{{B}}\left({', '.join(self._print(x) for x in expr.args)}\right)"
        return text if exp is None else rf"{text}^{{{exp}}}"


def aligned(statement: sp.Basic) -> str:
    """A statement as lines of an `align` environment; a long sum on the right is broken between its terms."""
    printer = _Printer(SETTINGS)
    printed = printer.doprint
    if not isinstance(statement, sp.Equality):
        return f"& {printed(statement)}"
    left, right = printed(statement.lhs), printed(statement.rhs)
    if len(right) > LONG and isinstance(statement.rhs, sp.Add):
        first, *rest = (printed(term) for term in printer._as_ordered_terms(statement.rhs))
        right = " \\\\\n  &\\quad ".join([first, *(t if t.startswith("-") else f"+ {t}" for t in rest)])
    return f"{left} &= {right}"


def plain(text: Any) -> str:
    """Plain text with the characters escaped that LaTeX would read as commands."""
    escaped = str(text)
    for character in "&%#_":
        escaped = escaped.replace(character, f"\\{character}")
    return escaped.replace("^", r"\textasciicircum{}").replace("~", r"\textasciitilde{}")
