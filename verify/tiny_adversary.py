"""The logistic loss under attack in ball arithmetic: its exact maximum where f is linear, and the expansion of it.

An attack of size eta moves a linear f over [f - t, f + t], t = eta |grad f|, and l = log(1 + e^f) - y f is convex in f,
so its largest value is at an end.  With g = e^f/(1 + e^f), the expansion is l + t |g - y| + t^2/2 g (1-g).
"""

from __future__ import annotations

from collections.abc import Callable

from flint import arb, ctx, fmpq

BITS = 256
#: the order of a gap is read off between these two sizes, where what follows the leading power is below 2^-SMALL of it
SMALL = 24


def logistic_loss(f: arb, y: int) -> arb:
    return (1 + f.exp()).log() - y * f


def logistic(f: arb) -> arb:
    return 1 / (1 + (-f).exp())


def worst_loss(f: arb, reach: arb, y: int) -> arb:
    """The largest loss over f + [-reach, reach]."""
    return logistic_loss(f - reach, y).max(logistic_loss(f + reach, y))


def second_order(f: arb, reach: arb, y: int, factor: fmpq | int = 1) -> arb:
    """l + reach |g - y| + factor reach^2/2 g (1-g)."""
    g = logistic(f)
    return logistic_loss(f, y) + reach * abs(g - y) + factor * reach**2 * g * (1 - g) / 2


def order(gap: Callable[[fmpq], arb]) -> float:
    """The slope of log|gap| against log eta between eta = 2^-SMALL and its half."""
    with ctx.workprec(BITS):
        coarse, fine = (abs(gap(fmpq(1, 2**k))) for k in (SMALL, SMALL + 1))
        return float((coarse / fine).log() / arb(2).log())


def length(v: list[fmpq]) -> arb:
    return arb(sum(c * c for c in v)).sqrt()
