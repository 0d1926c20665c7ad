"""One axis of CutMix's a_jk in closed form: the chance that an interval covers two pixels, on a grid or a continuum.

Pixels are counted from 1.  The interval at position c = 0, ..., P-1 covers pixel t where t-p <= c < t+q:

    sampler     p         q         P
    "printed"   s         0         n-s      the n-s positions that the denominator of Park et al., (10), counts
    "inside"    s         0         n-s+1
    "clip"      [s/2]     [s/2]     n        centres; the interval is cut off at the border

so that both j and k are covered at max(min(j+q, k+q, P) - max(j-p, k-p, 0), 0) of the P positions.  On the torus
n positions wrap around the border, and max(s-d, 0) + max(s-(n-d), 0) of them cover two pixels d apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

SAMPLERS = ("printed", "inside", "clip", "torus")


@dataclass(frozen=True)
class Placement:
    """p, q and P of the table above, on a grid of pixels or of a continuous axis."""

    before: sp.Expr
    after: sp.Expr
    positions: sp.Expr

    def common(self, j: Any, k: Any) -> sp.Expr:
        """The positions that cover both j and k; negative where it is none."""
        last = sp.Min(j + self.after, k + self.after, self.positions)
        return last - sp.Max(j - self.before, k - self.before, 0)


def placement(n: Any, side: Any, sampler: str, *, continuous: bool = False) -> Placement:
    """On an axis of n pixels, or on a continuous axis of length n, where lengths take the place of counts."""
    half, one = (side / 2, 0) if continuous else (side // 2, 1)
    free = n - side
    table = {"printed": (side, 0, free), "inside": (side, 0, free + one), "clip": (half, half, n)}
    return Placement(*map(sp.sympify, table[sampler]))


def interval_overlap(j: Any, k: Any, n: Any, side: Any, sampler: str, *, continuous: bool = False) -> sp.Expr:
    """P(an interval of a `side` covers both j and k): one axis of CutMix's a_jk.

    Of an axis of n pixels, counted from 1; or of points of a continuous axis of length n, the limit for small pixels.
    """
    j, k, n, side = map(sp.sympify, (j, k, n, side))
    require_sampler(sampler)
    if sampler == "torus":
        return wrapped(sp.Abs(j - k), n, side) / n
    place = placement(n, side, sampler, continuous=continuous)
    return sp.Max(place.common(j, k), 0) / place.positions


def printed_overlap(j: Any, k: Any, n: Any, side: Any) -> sp.Expr:
    """The same as Park et al., (10) and (28), print it, literally: h(t) = min(t, n-s), l(t) = max(t-s, 0)."""
    j, k, n, side = map(sp.sympify, (j, k, n, side))
    return sp.Max(printed_common(j, k, n, side), 0) / (n - side)


def wrapped(distance: Any, n: Any, side: Any) -> sp.Expr:
    """How much two intervals of a `side` overlap on a circle of length n: directly, and the other way round."""
    return sp.Max(side - distance, 0) + sp.Max(side - (n - distance), 0)


def printed_common(j: sp.Expr, k: sp.Expr, n: sp.Expr, side: sp.Expr, last: int = 0) -> sp.Expr:
    def h(t: sp.Expr) -> sp.Expr:
        return sp.Min(t, n - side + last)

    def l(t: sp.Expr) -> sp.Expr:  # noqa: E743
        return sp.Max(t - side, 0)

    return sp.Min(h(j) - l(k), h(k) - l(j))


def require_sampler(sampler: str) -> None:
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler={sampler!r}: needed is one of {', '.join(map(repr, SAMPLERS))}")
