"""How fast a smooth function vanishes at an end of an interval, from its values."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from msda_theory.quadrature import ToleranceError

STEPS, AGREEING = 48, 3
WHOLE = 0.02
#: values below this, of a function of size 1, may be rounding alone
NOISE = 1e3 * float(np.finfo(float).eps)


def vanishing_order(values: Callable[[NDArray[np.float64]], NDArray[np.float64]], reach: float, where: str) -> float:
    """The n of values(t) = c t^n (1 + O(t)) as t falls to 0, for values >= 0, of size 1 at least, smooth on (0, reach).

    inf where they are zero there.  s_j = log2(v(t_j) / v(t_j / 2)) = n + O(t_j) at t_j = reach/2^j, so that 2 s_{j+1} -
    s_j = n + O(t_j^2); the three at the smallest t whose values stand clear of rounding decide.  A value below 2e-13
    counts as zero.

    Raises ToleranceError where those three are not one whole number to 0.02: an end like t^(5/2), 1/log(t) or
    exp(-1/t), or one above the tenth order.
    """
    t = reach * 2.0 ** -np.arange(STEPS, dtype=float)[1:]
    v = values(t)
    if not v.any():
        return math.inf
    clear = int(np.argmin(np.append(v > NOISE * max(1.0, float(v.max())), False)))
    slopes = -np.diff(np.log2(v[:clear]))
    orders = (2 * slopes[1:] - slopes[:-1])[-AGREEING:]
    if len(orders) == AGREEING and np.abs(orders - round(orders[-1])).max() <= WHOLE:
        return float(round(orders[-1]))
    raise ToleranceError(
        f"the order to which {where} vanishes cannot be told from its values: the last local powers are "
        f"{np.array2string(orders, precision=3)}, needed are {AGREEING} that agree on a whole number; give a law whose "
        f"ends are powers as a Beta, or as a Mixture of them"
    )
