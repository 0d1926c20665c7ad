"""The second-order adversarial loss by algebra: the maximum over the ball, and Taylor coefficients of the exact one.

Where f is linear, an attack of size eta moves it by any s with |s| <= t = eta n, n = |grad f|.
"""

from __future__ import annotations

import sympy as sp

f = sp.Symbol("f", real=True)
n, eta, size, d = sp.symbols("n eta A d", positive=True)


def maximum_gaps() -> set[sp.Expr]:
    """What l + A t + c t^2/2 exceeds P(s) = l + a s + c s^2/2 by, less A (t - sign s) + c (t-s)(t+s)/2: {0}.

    a = sign A, sign = -1 or 1; both parts are >= 0 for |s| <= t, and 0 at s = sign t.
    """
    s, t, c = sp.symbols("s t c", real=True)
    gaps = set()
    for sign in (-1, 1):
        above = size * t + c * t**2 / 2 - (sign * size * s + c * s**2 / 2)
        gaps.add(sp.expand(above - (size * (t - sign * s) + c * (t - s) * (t + s) / 2)))
    return gaps


def taylor_gaps(second: sp.Expr) -> list[sp.Expr]:
    """For y = 0 and 1: the Taylor coefficients in eta of the exact maximum, up to the second, less those of
    l + eta |g-y| n + eta^2/2 g(1-g) `second`.

    The exact maximum is l at f + sign t, sign = 1 - 2y: dl/df = g - y has this sign everywhere, as 0 < g < 1.
    """
    g = sp.exp(f) / (1 + sp.exp(f))
    gaps = []
    for y in (0, 1):
        moved = f + (1 - 2 * y) * eta * n
        exact = sp.log(1 + sp.exp(moved)) - y * moved
        expansion = sp.log(1 + sp.exp(f)) - y * f + eta * (1 - 2 * y) * (g - y) * n + eta**2 / 2 * g * (1 - g) * second
        gaps += [sp.simplify(sp.diff(exact - expansion, eta, k).subs(eta, 0)) for k in range(3)]
    return gaps
