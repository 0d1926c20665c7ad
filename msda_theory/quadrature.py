"""Gauss-Jacobi rules for the Beta weight, and refinement of a rule until its a-posteriori error is small.

Ordinary Gauss rules see the endpoint singularities of Beta(a, b) with a < 1 or b < 1 as noise and are off by
tens of percent there.  A Gauss-Jacobi rule carries the singular factor in its weights.  The rules here come from
the Golub-Welsch eigenproblem, which keeps all digits; `scipy.special.roots_jacobi` polishes its nodes by Newton
steps and loses three to four digits near a singular end (a test keeps the comparison).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.special import beta as beta_function

from msda_theory._validation import require_finite_positive

Array = NDArray[np.float64]

FIRST_ORDER = 4
LAST_ORDER = 512


class ToleranceError(ValueError):
    """A requested tolerance was not met; the message says what was reached."""


@cache
def jacobi_rule(order: int, a: float, b: float) -> tuple[Array, Array]:
    """Nodes and weights on [0, 1] for the probability density of Beta(a, b); exact to degree 2 order - 1.

    The three-term recurrence of the Jacobi polynomials (exponents b - 1 at one, a - 1 at zero), solved as a
    symmetric tridiagonal eigenproblem (Golub and Welsch, 1969).  Weights sum to one.  Kept, and not to be changed.
    """
    k = np.arange(1, order, dtype=float)
    s = 2 * (k - 1) + (a + b)  # without cancellation for small a, b
    diagonal = np.concatenate([[(a - b) / (a + b)], (a - b) * (a + b - 2) / (s * (s + 2))])
    k, s = k[1:], s[1:]
    square = 4 * k * (k - 1 + a) * (k - 1 + b) * (k - 2 + a + b) / (s**2 * (s + 1) * (s - 1))
    if order > 1:  # k = 1, where k - 2 + a + b cancels s - 1
        square = np.concatenate([[4 * a * b / ((a + b) ** 2 * (a + b + 1))], square])
    nodes, vectors = eigh_tridiagonal(diagonal, np.sqrt(square))
    nodes, weights = (1 + nodes) / 2, vectors[0] ** 2
    nodes.flags.writeable = weights.flags.writeable = False
    return nodes, weights


def beta_rule(order: int, a: float, b: float, breaks: Sequence[float] = ()) -> tuple[Array, Array]:
    """A rule for E[g(lambda)], lambda ~ Beta(a, b), with g smooth between the `breaks`.

    Each cell between breaks gets `order` nodes: a Jacobi rule that carries lambda^(a-1) in the first cell and
    (1-lambda)^(b-1) in the last, a Legendre rule times the density in between.
    """
    edges = [0.0, *breaks, 1.0]
    cells = [_cell_rule(order, a, b, left, right) for left, right in pairwise(edges)]
    return np.concatenate([n for n, _ in cells]), np.concatenate([w for _, w in cells])


def _cell_rule(order: int, a: float, b: float, left: float, right: float) -> tuple[Array, Array]:
    at_zero, at_one = (a if left == 0 else 1.0), (b if right == 1 else 1.0)
    unit, weights = jacobi_rule(order, at_zero, at_one)
    width = right - left
    nodes = left + width * unit
    rest = nodes ** (a - at_zero) * (1 - nodes) ** (b - at_one)
    scale = width ** (at_zero + at_one - 1) * beta_function(at_zero, at_one) / beta_function(a, b)
    return nodes, weights * rest * scale


def refine(evaluate: Callable[[int], tuple[Array, float]], rtol: float, what: str) -> tuple[Array, float]:
    """Double the order until three successive values agree, max(4 |Q_4n - Q_2n|, |Q_2n - Q_n|) <= rtol * scale.

    `evaluate(order)` returns a value (any shape) and the scale of the terms that were summed.  Returns the last
    value and that estimate of its error.  Where the integrand is smooth the estimate is far larger than the error.  At
    a kink (a ReLU network) the error falls by only 4 a doubling, hence the factor, and its sign changes from rule to
    rule, so that two values agree by chance: |Q_2n - Q_n| is below the error of Q_2n for one kink in six, this estimate
    for one in several hundred (tests/test_quadrature.py counts them).

    Raises
    ------
    ToleranceError
        if order `LAST_ORDER` does not reach `rtol`.
    """
    require_finite_positive("rtol", rtol)
    order, change = FIRST_ORDER, math.inf
    previous, _ = evaluate(order)
    while order < LAST_ORDER:
        order *= 2
        value, scale = evaluate(order)
        with np.errstate(invalid="ignore"):
            before, change = change, float(np.max(np.abs(value - previous), initial=0.0))
        error = max(4 * change, before)
        if error <= rtol * scale:
            return value, error
        if not math.isfinite(change):
            raise ToleranceError(
                f"rtol={rtol:g} cannot be met for {what}: it is not finite with {order} nodes per cell"
            )
        previous = value
    raise ToleranceError(
        f"rtol={rtol:g} cannot be met for {what}: with {order} nodes per cell the estimated error is "
        f"{error / scale:.2g} of its scale; ask for rtol >= {2 * error / scale:.1g}, or use a smoother integrand"
    )
