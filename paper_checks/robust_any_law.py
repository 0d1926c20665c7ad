"""What holds in the place of Theorem 3 for every mask law: a search over all laws, and the identity behind it, exactly.

With eta_i as in `msda_theory.bounds.robust_radii`, L~ exceeds the mean of l~_adv(eta_i) by half the mean of h'' times
the variance of N . (grad f * (r - x_i)), whatever the law of N, the mean of the data and the biases of the network.
"""

from __future__ import annotations

from functools import cache

import torch
from flint import fmpq
from torch import Tensor

from msda_theory import Beta
from paper_checks.attacked_cases import (
    Cases,
    added_to_second_order,
    drift,
    gradient_regulariser,
    regularisers,
    relu,
    split,
)
from paper_checks.exact_cases import RATIOS, problem, tiny_laws
from paper_checks.findings import Trial
from paper_checks.seen_laws import RATIO, mixed_moments, seen_moments
from verify.tiny_laws import Mask, Number, TinyLaw
from verify.tiny_problems import BetaInt, TinyProblem, Vector, average, expansion, two_role_moments

SAMPLES, HIDDEN = 4, 3
#: with plain ReLU both sides are 0 where all units are off
LEAK = 0.1


def any_law_count() -> int:
    return len(seen_moments()[0])


def any_law_row() -> int:
    laws, size = seen_moments()[0].shape
    return SAMPLES * size + HIDDEN * (size + 2) + 1 + laws


def any_law_cases(rows: Tensor) -> tuple[Cases, Tensor, Tensor]:
    """Mixtures of all mask laws and label rules, data with any mean, networks with biases, labels with eta_i >= 0."""
    laws, size = seen_moments()[0].shape
    shapes = ((SAMPLES, size), (HIDDEN, size), (1, HIDDEN), (HIDDEN,), (1,), (laws,))
    x, inner, bias, outer, offset, logits = split(rows, *shapes)
    cases, (first, second) = relu(x, inner, outer, bias, offset, leak=LEAK), mixed_moments(logits)
    return cases.labelled(drift(cases, first) < 0), first, second


def reach(cases: Cases, first: Tensor, trial: Trial) -> Tensor:
    """eta_i |grad f_i|, (b, m).  Planted: E_D~[1-lambda] for n_j."""
    share = torch.full_like(first, Beta(*RATIO).tilted().moment(0, 1))
    return drift(cases, trial.plant(first, share)).abs()


def any_law_sides(rows: Tensor, trial: Trial) -> tuple[Tensor, Tensor]:
    """What l~_adv(eta_i) and L~ add to the standard loss."""
    cases, first, second = any_law_cases(rows)
    return added_to_second_order(cases, reach(cases, first, trial)), regularisers(cases, first, second)


def quadratic_sides(rows: Tensor, trial: Trial) -> tuple[Tensor, Tensor]:
    """The terms of second order alone: those of first order are equal, and outweigh them on the wrong side of 0."""
    cases, first, second = any_law_cases(rows)
    quadratic = (cases.curvature * reach(cases, first, trial) ** 2 / 2).mean(1)
    return quadratic, gradient_regulariser(cases, second)


@cache
def exact_gaps() -> list[Number]:
    """`variance_gap` for the mask laws whose moments are rational, data not centred, alpha unlike beta."""
    laws = [law for name in ("mixup", "bernoulli", "cutmix", "stochastic") for law in tiny_laws(name)]
    return [variance_gap(problem(law.size, 2, linear=True, centred=False), law, RATIOS[1]) for law in laws]


def variance_gap(data: TinyProblem, law: TinyLaw, ratio: BetaInt) -> Number:
    """R1 + R2 less the mean of l~_adv(eta_i) - l, less half h'' times the mean variance of N . (grad f * (r - x_i)): 0.

    For h with h'' = q; the variance one role, mask and partner at a time.
    """
    moments = two_role_moments(law, ratio)
    terms, m = expansion(data, moments), fmpq(len(data.x))
    gap = terms.r1 + terms.r2
    for x, y in zip(data.x, data.y, strict=True):
        slope, residual = data.gradient(x), data.p + data.q * data.f(x) - y
        moved = sum(n * g * (c - v) for n, g, c, v in zip(moments.first, slope, data.mean, x, strict=True))
        reach = moved if residual > 0 else -moved  # eta |grad f|, of the sign of y - h'
        gap -= (reach * abs(residual) + data.q * reach**2 / 2) / m
        gap -= data.q * seen_variance(data, law, ratio, slope, x) / (2 * m)
    return gap


def seen_variance(data: TinyProblem, law: TinyLaw, ratio: BetaInt, slope: Vector, x: Vector) -> Number:
    """E[(z - E z)^2] of z = N . (grad f * (r - x)) over ratio, role, mask and partner."""

    def of(power: int, shift: Number) -> Number:
        def at(share: Mask) -> Number:
            moves = [sum(n * g * (a - b) for n, g, a, b in zip(share, slope, r, x, strict=True)) for r in data.x]
            return sum((move - shift) ** power for move in moves) / fmpq(len(moves))

        def roles(lam: Number, mask: Mask) -> Number:
            return lam * at([1 - v for v in mask]) + (1 - lam) * at(list(mask))

        return average(law, ratio.density, roles)

    return of(2, of(1, 0))
