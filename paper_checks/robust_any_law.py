"""What holds in the place of Theorem 3 for every mask law: a search over all laws, and the identity behind it, exactly.

With eta_i as in `msda_theory.bounds.robust_radii`, L~ exceeds the mean of l~_adv(eta_i) by half the mean of h'' times
the variance of N . (grad f * (r - x_i)), whatever the law of N, the mean of the data and the biases of the network.
"""

from __future__ import annotations

import warnings
from functools import cache, partial
from math import prod

import torch
from flint import fmpq
from torch import Tensor, nn

from msda_theory import Augmentation, Beta, ZeroHessianNotice, taylor_loss
from msda_theory.bounds import adversarial_taylor, robust_radii
from msda_theory.bounds.radii import seen_deviations
from msda_theory.losses import Logistic
from msda_theory.masks import CutMix
from paper_checks import attacked_networks
from paper_checks.attacked_cases import (
    SLACK,
    Cases,
    added_to_second_order,
    drift,
    gradient_regulariser,
    regularisers,
    split,
)
from paper_checks.exact_cases import RATIOS, problem, tiny_laws
from paper_checks.findings import Trial
from paper_checks.seen_laws import RATIO, SHAPE, augmentations, mixed_moments
from verify.tiny_laws import Mask, Number, TinyLaw
from verify.tiny_problems import BetaInt, TinyProblem, Vector, average, expansion, two_role_moments
from verify.violations import Search, search

SAMPLES, HIDDEN, SIZE = 4, 3, prod(SHAPE)
#: with plain ReLU both sides are 0 where all units are off
LEAK = 0.1

Figures = dict[str, float | int | str]


def any_law_row(hidden: int = HIDDEN) -> int:
    networks = attacked_networks.shapes(hidden, SIZE, biased=True)
    return SAMPLES * SIZE + attacked_networks.count(networks) + len(augmentations())


def any_law_cases(rows: Tensor, hidden: int = HIDDEN) -> tuple[Cases, Tensor, Tensor]:
    """Mixtures of all mask laws and label rules, data with any mean, labels with eta_i >= 0; networks with biases, or
    for hidden = 0 linear models with one."""
    x, network, logits = _parts(rows, hidden)
    cases, (first, second) = attacked_networks.on_data(x, network, LEAK), mixed_moments(logits)
    return cases.labelled(drift(cases, first) < 0), first, second


def _parts(rows: Tensor, hidden: int) -> tuple[Tensor, list[Tensor], Tensor]:
    networks = attacked_networks.shapes(hidden, SIZE, biased=True)
    x, *network, logits = split(rows, (SAMPLES, SIZE), *networks, (len(augmentations()),))
    return x, network, logits


def reach(cases: Cases, first: Tensor, trial: Trial) -> Tensor:
    """eta_i |grad f_i|, (b, m).  Planted: E_D~[1-lambda] for n_j."""
    share = torch.full_like(first, Beta(*RATIO).tilted().moment(0, 1))
    return drift(cases, trial.plant(first, share)).abs()


def any_law_sides(rows: Tensor, hidden: int, trial: Trial) -> tuple[Tensor, Tensor]:
    """What l~_adv(eta_i) and L~ add to the standard loss."""
    cases, first, second = any_law_cases(rows, hidden)
    return added_to_second_order(cases, reach(cases, first, trial)), regularisers(cases, first, second)


def quadratic_sides(rows: Tensor, hidden: int, trial: Trial) -> tuple[Tensor, Tensor]:
    """The terms of second order alone: those of first order are equal, and outweigh them on the wrong side of 0."""
    cases, first, second = any_law_cases(rows, hidden)
    quadratic = (cases.curvature * reach(cases, first, trial) ** 2 / 2).mean(1)
    return quadratic, gradient_regulariser(cases, second)


def searched(trial: Trial, hidden: int = HIDDEN) -> tuple[bool, Figures]:
    """Whether L~ >= mean of l~_adv(eta_i) in all cases, under mixtures of the laws and under each; and figures."""
    found, margins = searches(trial, hidden), confirmed(trial.seed, hidden)
    figures = least("any law: 1 - mean l~_adv / L~", margins)
    for name, of in found.items():
        figures |= of.figures(name)
    return max(of.worst for of in found.values()) <= SLACK and min(margins) >= -SLACK, figures


@cache
def searches(trial: Trial, hidden: int) -> dict[str, Search]:
    return {
        name: search(
            partial(sides, hidden=hidden, trial=trial),
            any_law_row(hidden),
            trials=1000,
            ascents=16,
            steps=100,
            seed=trial.seed,
        )
        for name, sides in {"any law": any_law_sides, "any law, second order": quadratic_sides}.items()
    }


@cache
def confirmed(seed: int, hidden: int) -> list[float]:
    """`by_library` in the worst case of the search without a fault."""
    return by_library(searches(Trial(seed), hidden)["any law"].at, hidden)


def by_library(row: Tensor, hidden: int) -> list[float]:
    """1 - mean l~_adv(eta_i) / L~ by the library for the network and the data of a row, under each law alone."""
    x, network, _ = _parts(row.unsqueeze(0), hidden)
    slope = attacked_networks.on_data(x, network, LEAK).slope[0]
    model = attacked_networks.module([part[0] for part in network], LEAK)
    return [_margin(model, x[0].unflatten(1, SHAPE), slope, augmentation) for augmentation in augmentations()]


def _margin(model: nn.Module, x: Tensor, slope: Tensor, augmentation: Augmentation) -> float:
    y = ((slope * seen_deviations(x, augmentation)).sum(1) > 0).to(x)
    eta = robust_radii(model, x, y, augmentation).eta
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroHessianNotice)
        total = taylor_loss(model, Logistic(), x, y, augmentation).total
    return 1 - float(adversarial_taylor(model, x, y, eta).mean()) / total


def least(name: str, margins: list[float]) -> Figures:
    """The least of one number a law, as `augmentations` lists them: over all, and over those of CutMix."""
    boxes = [margin for margin, law in zip(margins, augmentations(), strict=True) if isinstance(law.mask, CutMix)]
    return {
        f"{name}, by the library in the worst case, least over {len(margins)} laws and label rules": min(margins),
        f"{name}, the same, least over the {len(boxes)} of CutMix": min(boxes),
    }


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
