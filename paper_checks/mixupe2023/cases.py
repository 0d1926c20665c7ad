"""Polynomial networks and losses, on which an expansion of the right order must be exact in rationals."""

from __future__ import annotations

from flint import fmpq, fmpq_mpoly

from paper_checks.exact_cases import HALF
from verify.tiny_all_orders import BetaLaw, PolynomialProblem, variables

#: equal and unequal parameters
LAWS = (BetaLaw(fmpq(1), fmpq(1)), BetaLaw(fmpq(1, 3), fmpq(2)))
LAW_NAMES = ("Beta(1,1)", "Beta(1/3,2)")
#: degrees of f and h
DEGREES = ((1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (2, 3), (3, 2))


def problem(outputs: int, degree_f: int, degree_h: int, *, centred: bool = False) -> PolynomialProblem:
    """Three samples in two coordinates, readable numbers without symmetry; centred: their mean is 0."""
    third = fmpq(1, 3)
    x = [[fmpq(1), -HALF], [fmpq(0), fmpq(2)], [third, fmpq(1)]]
    if centred:
        mean = [sum(column, fmpq(0)) / 3 for column in zip(*x, strict=True)]
        x = [[v - c for v, c in zip(row, mean, strict=True)] for row in x]
    y = [[fmpq(1), fmpq(0)], [HALF, HALF], [fmpq(0), fmpq(1)]]
    return PolynomialProblem(x, [row[:outputs] for row in y], _network(degree_f)[:outputs], _loss(outputs, degree_h))


def described(p: PolynomialProblem) -> str:
    """Network, loss and data, to be set up again from them."""

    def plain(rows: object) -> str:
        return "[" + ", ".join(map(plain, rows)) + "]" if isinstance(rows, list | tuple) else str(rows)

    return f"f = {plain(p.f)}, h = {p.h}, x = {plain(p.x)}, y = {plain(p.y)}"


def _network(degree: int) -> tuple[fmpq_mpoly, ...]:
    u, v = variables(2)
    first = [2 * u - v + 1, u * v - u**2 / 2, v**3 / 5 - u**2 * v]
    second = [u + v / 3, v**2 / 3, u**3 / 4 + u * v**2]
    return sum(first[:degree], 0 * u), sum(second[:degree], 0 * u)


def _loss(outputs: int, degree: int) -> fmpq_mpoly:
    if outputs == 1:
        (u,) = variables(1)
        return sum([u / 2, u**2 / 3, u**3 / 6 - u**2][:degree], 0 * u)
    u, v = variables(2)
    return sum([u / 2 - v, u**2 / 3 + u * v + v**2, u**2 * v / 4 + v**3 / 3][:degree], 0 * u)
