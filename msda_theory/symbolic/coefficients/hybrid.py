"""Mixup, Stochastic Mixup & CutMix and HMix: coefficients made of Mixup's and of a box's.

With M = o outside a box and 0 inside, 1-M = (1-o) + o B for the box's indicator B, so with v_j = E[B_j]

    a_jk = (1-o)^2 + o(1-o)(v_j + v_k) + o^2 E[B_j B_k].
"""

from __future__ import annotations

from functools import cache
from typing import Any

import sympy as sp

from msda_theory.symbolic._notation import average, equation, moments, ratio, require_fault
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.ratio_moments import beta_moment

HMIX_FAULTS = ("square", "area", "rounding", "endpoint", "weight")
STOCHASTIC_FAULTS = ("mask", "swap")

o, r, q, v_j, v_k, box = sp.symbols("o r q v_j v_k E_jk", positive=True)
H, W, s_1, s_2 = sp.symbols("H W s_1 s_2", positive=True)
g, power = sp.symbols(r"\gamma k", positive=True)
B = sp.symbols("B_j B_k")
a_jk = sp.Symbol("a_jk")


def outside_value(share: Any) -> sp.Expr:
    """lambda / (1 - (1-lambda) r), HMix's mask outside a box that covers `share` = (1-lambda) r  (sec. 4)."""
    return ratio / (1 - share)


def hmix_coefficient_of(outside: Any, v_j: Any, v_k: Any, both: Any) -> sp.Expr:
    """a_jk by the mask's value outside the box, E[B_j], E[B_k] and E[B_j B_k]."""
    o = sp.sympify(outside)
    return (1 - o) ** 2 + o * (1 - o) * (v_j + v_k) + o**2 * both


def stochastic_coefficient_of(q: Any, mixup: Any, cutmix: Any) -> sp.Expr:
    """The average of the two coefficients, q the probability of Mixup."""
    return q * mixup + (1 - q) * cutmix


@cache
def hmix_coefficient(*, fault: str | None = None) -> Derivation:
    """a_jk of HMix, the value outside from the area of the box, the limits in r and r ~ Beta(gamma, gamma).

    Faults: "square": o for o^2, as Park et al., App. H print it; "area": a box of area lambda r; "rounding": the side
    of the box in sec. 4's value; "endpoint": r = 1 for r = 0 and back; "weight": 1/4 for 1/2 as gamma -> 0.
    """
    require_fault(fault, HMIX_FAULTS)
    steps = (*_outside(fault), _expanded(fault), *_limits(fault), *_random_share(fault))
    return Derivation("HMix", steps)


def _outside(fault: str | None) -> tuple[Step, Step]:
    """The mean of the mask over the pixels is lambda."""
    share = (ratio if fault == "area" else 1 - ratio) * r
    value = equation(o, outside_value(share))
    mean = equation(o * (1 - (1 - ratio) * r), ratio)
    drawn = ratio * H * W / (H * W - s_1 * s_2)
    if fault == "rounding":
        drawn = outside_value((1 - ratio) * r)
    realised = equation(o * (H * W - s_1 * s_2), ratio * H * W)
    return (
        Step(
            "Value outside a box of area (1-lambda) r",
            (mean, value),
            mean.lhs.subs(o, value.rhs) - mean.rhs,
            "Park et al., sec. 4",
        ),
        Step(
            "Value outside a box of s_1 x s_2 of H x W pixels",
            (realised, equation(o, drawn)),
            realised.lhs.subs(o, drawn) - realised.rhs,
            "Park et al., App. H",
        ),
    )


def _expanded(fault: str | None) -> Step:
    table = moments((v_j, v_k), sp.Matrix([[v_j, box], [box, v_k]]))
    mask = [1 - ((1 - o) + o * b) for b in B]
    closed = hmix_coefficient_of(o, v_j, v_k, box)
    if fault == "square":
        closed += (o - o**2) * box
    residual = average((1 - mask[0]) * (1 - mask[1]), B, table) - closed
    statement = equation(a_jk, closed)
    return Step("Second moment", statement, residual, "corrects Park et al., App. H, which prints o for o^2")


def _limits(fault: str | None) -> tuple[Step, Step]:
    """r -> 0, where the box is empty below r = 1/((1-lambda) n^2), and r -> 1, where the box becomes CutMix's."""
    value, source = outside_value((1 - ratio) * r), "Park et al., sec. 4"
    ends = (1, 0) if fault == "endpoint" else (0, 1)
    at = [sp.limit(value, r, end) for end in ends]
    mixup = hmix_coefficient_of(at[0], 0, 0, 0), (1 - ratio) ** 2
    cutmix = hmix_coefficient_of(at[1], v_j, v_k, box), box
    return (
        Step(
            "r to 0: Mixup",
            (equation(sp.Limit(value, r, 0), ratio), equation(a_jk, mixup[1])),
            (at[0] - ratio, mixup[0] - mixup[1]),
            source,
        ),
        Step(
            "r to 1: CutMix",
            (equation(sp.Limit(value, r, 1, "-"), 1), equation(a_jk, cutmix[1])),
            (at[1] - 1, cutmix[0] - cutmix[1]),
            source,
        ),
    )


def _random_share(fault: str | None) -> tuple[Step, Step, Step]:
    """r ~ Beta(gamma, gamma): as gamma -> 0 each moment tends to 1/2, so each polynomial's mean to that of its values
    at 0 and 1, and so does every continuous function's (Weierstrass).
    """
    half = sp.Rational(1, 4) if fault == "weight" else sp.S.Half
    moment = beta_moment(g, g, power)
    moments_tend = equation(sp.Limit(moment, g, 0), half)
    constant, *others = sp.symbols("c_1:6")
    mean = constant + half * sp.Add(*others)
    at_zero, at_one = constant, sp.Add(constant, *others)
    ends = sp.S.Half * (hmix_coefficient_of(ratio, 0, 0, 0) + hmix_coefficient_of(1, v_j, v_k, box))
    stochastic = stochastic_coefficient_of(half, (1 - ratio) ** 2, box)
    phi, source = sp.Function(r"\phi"), "Park et al., sec. 4"
    means_tend = equation(sp.Limit(sp.Function(r"\mathbb{E}")(phi(r)), g, 0), (phi(0) + phi(1)) / 2)
    return (
        Step("Moments of r as gamma to 0", moments_tend, sp.limit(moment, g, 0) - half, source),
        Step("Means of polynomials", means_tend, mean - (at_zero + at_one) / 2, source),
        Step("Stochastic with q = 1/2", equation(a_jk, stochastic), ends - stochastic, source),
    )


@cache
def stochastic_coefficient(*, fault: str | None = None) -> Derivation:
    """Mixup's a_jk, and the average of it and CutMix's.

    Faults: "mask": M = 1-lambda with probability q, as Park et al., sec. 4, print it; "swap": q a_cutmix +
    (1-q) a_mixup, as they print it.
    """
    require_fault(fault, STOCHASTIC_FAULTS)
    share = 1 - ratio if fault == "mask" else ratio
    mixup = (1 - ratio) ** 2
    weight = 1 - q if fault == "swap" else q
    average_mask = q * share + (1 - q) * ratio
    drawn = q * (1 - share) ** 2 + (1 - q) * box
    stated = stochastic_coefficient_of(weight, mixup, box)
    return Derivation(
        "Stochastic Mixup & CutMix",
        (
            Step("Mixup", equation(a_jk, mixup), (1 - share) ** 2 - mixup, "Park et al., sec. 4"),
            Step(
                "Mean of the mask where that of CutMix is lambda",
                equation(average_mask, ratio),
                average_mask - ratio,
                "corrects Park et al., sec. 4, which prints M = 1-lambda",
            ),
            Step("Average", equation(a_jk, stated), drawn - stated, "corrects Park et al., sec. 4: q swapped"),
        ),
    )
