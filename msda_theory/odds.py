"""Moments of the odds (1-lambda)/lambda, the share of the partner over the own share: where they are finite, and why.

The papers divide a mixed point by its own share, x^ = x_i + (1-lambda)/lambda r, and meet E[((1-lambda)/lambda)^2]
(Zhang et al., Lemmas 3.3 and 3.4).  It asks how thin the law is next to lambda = 0.  Where P(lambda < t) ~ c t^s,

    E[((1-lambda)/lambda)^k] is finite for k < s, and inf for k >= s:          s = `odds_order`.

    Beta(a, b)       s = a, and the moment is Gamma(a-k) Gamma(b+k) / (Gamma(a) Gamma(b))
    its tilted law   s = 1 + min(a, b): the second moment needs min(a, b) > 1
    mass at 0        s = 0;      none near 0, as for `Folded`, `UpperHalf`    s = inf
    Density          s = 1 + the order to which the density vanishes at 0, which is told from its values
"""

from __future__ import annotations

import math
from functools import singledispatch

from msda_theory._validation import require_finite_positive, require_kind
from msda_theory.density_ratios import Density
from msda_theory.folded_ratios import Folded, Tilted, UpperHalf
from msda_theory.ratios import Beta, Discrete, Mixture, RatioLaw
from msda_theory.w_ratios import WShaped


def odds_moment(ratio: RatioLaw, k: float) -> float:
    """E[((1-lambda)/lambda)^k] for a real k >= 0; inf where it diverges, which is where k >= `odds_order(ratio)` > 0.

    In closed form for `Beta`, `Discrete`, `WShaped`, their mixtures and tilted laws, and what is folded of them; by
    quadrature to 1e-12 for a `Density`.  A law of the user's own answers by its `moment(-k, k)`.

    Raises ValueError for k < 0, inf or nan, and ToleranceError for a density whose end cannot be told, or whose
    quadrature does not converge.

    >>> round(odds_moment(Beta(2.0, 2.0).tilted(), 2), 12), odds_moment(Beta(1.0, 1.0).tilted(), 2)
    (3.0, inf)
    """
    require_kind("ratio", ratio, RatioLaw)
    if k == 0:
        return 1.0
    require_finite_positive("k", k)
    return ratio.moment(-k, k)


def odds_order(ratio: RatioLaw) -> float:
    """The s from which on E[((1-lambda)/lambda)^k] diverges: finite for k < s; 0 with mass at lambda = 0, or inf.

    Raises TypeError for a law of the user's own, and ToleranceError for a density whose end cannot be told.
    """
    require_kind("ratio", ratio, RatioLaw)
    return end_orders(ratio)[0]


@singledispatch
def end_orders(law: RatioLaw) -> tuple[float, float]:
    """(s, t) with P(lambda < u) ~ u^s and P(lambda > 1-u) ~ u^t as u falls to 0; 0 for mass, inf for nothing near."""
    raise TypeError(f"ratio is {law!r}: needed is a law of msda_theory, whose behaviour at 0 and 1 is known")


@end_orders.register
def _(law: Beta) -> tuple[float, float]:
    return law.a, law.b


@end_orders.register
def _(law: WShaped) -> tuple[float, float]:
    return law.a, law.a


@end_orders.register
def _(law: Density) -> tuple[float, float]:
    return 1 + law.vanishing_order(0), 1 + law.vanishing_order(1)


@end_orders.register
def _(law: Discrete) -> tuple[float, float]:
    present = {v for v, w in zip(law.values, law.weights, strict=True) if w > 0}
    return (0.0 if 0 in present else math.inf), (0.0 if 1 in present else math.inf)


@end_orders.register
def _(law: Mixture) -> tuple[float, float]:
    low, high = zip(*(end_orders(c) for w, c in zip(law.weights, law.components, strict=True) if w > 0), strict=True)
    return min(low), min(high)


@end_orders.register
def _(law: Folded) -> tuple[float, float]:
    return math.inf, min(end_orders(law.law))


@end_orders.register
def _(law: UpperHalf) -> tuple[float, float]:
    return math.inf, end_orders(law.law)[1]


@end_orders.register
def _(law: Tilted) -> tuple[float, float]:
    """Next to 0 the density is lambda (p(lambda) + p(1-lambda)): one power more, of the heavier end."""
    own = law.law.tilted()
    if not isinstance(own, Tilted):
        return end_orders(own)
    heavier = min(end_orders(law.law))
    return 1 + heavier, heavier
