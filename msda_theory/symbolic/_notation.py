"""The objects of the derivations: unspecified smooth functions, expectations, and the symbols of the papers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import sympy as sp

a, b = sp.symbols("alpha beta", positive=True)
ratio = sp.Symbol("lambda", positive=True)
D = sp.Symbol(r"\mathcal{D}_{\lambda}")
TILTED = sp.Symbol(r"\tilde{\mathcal{D}}_{\lambda}")

REMAINDER = sp.Symbol(r"o(\lVert N\rVert^{2})")
MEAN_REMAINDER = sp.Symbol(r"\mathbb{E}[o(\lVert N\rVert^{2})]")

Moments = Mapping[tuple[int, ...], sp.Expr]


class Smooth(sp.Function):
    """An unspecified smooth function or one of its partial derivatives, applied to arguments; made by `smooth`.

    Differentiation names the partial derivative of one order more and leaves the chain rule to sympy; the order in
    which one differentiates makes no difference (Schwarz).
    """

    name: str
    orders: tuple[int, ...]

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        raised = tuple(n + (k == argindex) for k, n in enumerate(self.orders, 1))
        return smooth(self.name, *raised)(*self.args)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        """f(u + v) in full, but f alone where it is applied to the coordinates themselves."""
        text = _head(self.name, self.orders)
        if not all(x.is_Symbol for x in self.args):
            text += rf"\left({', '.join(printer.doprint(x) for x in self.args)}\right)"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


@cache
def smooth(name: str, *orders: int) -> Callable[..., sp.Expr]:
    """The partial derivative of `name` of the given order in each of its arguments; all 0: the function itself."""
    label = "_".join([name, *map(str, orders)])
    return type(label, (Smooth,), {"name": name, "orders": orders, "nargs": len(orders)})


def _head(name: str, orders: tuple[int, ...]) -> str:
    if len(orders) == 1:
        return name + "'" * orders[0]
    indices = "".join(str(k) * n for k, n in enumerate(orders, 1))
    return (rf"\partial_{{{indices}}} " if indices else "") + name


class Mean(sp.Expr):
    """The expectation of an expression in the mixing ratio under D or the tilted law D~, not evaluated."""

    def __new__(cls, expression: sp.Expr, law: sp.Symbol) -> Mean:
        return sp.Expr.__new__(cls, sp.sympify(expression), law)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        text = rf"\mathbb{{E}}_{{\lambda\sim {self.args[1].name}}}\left[{printer.doprint(self.args[0])}\right]"
        return text if exp is None else rf"{text}^{{{exp}}}"


def equation(left: sp.Basic, right: sp.Basic) -> sp.Equality:
    return sp.Eq(left, right, evaluate=False)


def difference(statement: sp.Equality) -> sp.Expr:
    return statement.lhs - statement.rhs


def moments(first: tuple[sp.Expr, ...], second: sp.MatrixBase) -> Moments:
    """The expectations of the monomials of degree <= 2 in d variables, by their exponents."""
    d = len(first)
    unit = [tuple(int(k == j) for k in range(d)) for j in range(d)]
    table: dict[tuple[int, ...], sp.Expr] = {(0,) * d: sp.S.One}
    for j in range(d):
        table[unit[j]] = first[j]
        for k in range(d):
            table[tuple(p + q for p, q in zip(unit[j], unit[k], strict=True))] = second[j, k]
    return table


def average(expression: sp.Expr, variables: tuple[sp.Symbol, ...], table: Moments) -> sp.Expr:
    """The expectation of a polynomial in random `variables`: each monomial by its moment in `table`."""
    terms = sp.Poly(expression, *variables).terms()
    return sp.Add(*(coefficient * table[powers] for powers, coefficient in terms))


def require_fault(fault: str | None, known: tuple[str, ...]) -> None:
    """ValueError if `fault` is neither None nor one of the faults that a derivation can plant in itself."""
    if fault is not None and fault not in known:
        raise ValueError(f"fault={fault!r}: needed is None or one of {', '.join(map(repr, known))}")
