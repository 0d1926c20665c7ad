"""The second moment against displacement of the library's mask laws, averaged over the law of the ratio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msda_theory.audit._draws import NOTHING, Draws
from msda_theory.audit._moments import Estimate, pair_counts
from msda_theory.augmentation import LARGEST_DENSE
from msda_theory.averages import ratio_rule
from msda_theory.masks import (
    KERNELS,
    SAMPLERS,
    Bernoulli,
    CutMix,
    GMix,
    HMix,
    MaskLaw,
    Mixup,
    Stochastic,
    interval_cover,
)
from msda_theory.quadrature import Array
from msda_theory.ratios import RatioLaw

#: nodes of the ratio between breaks: exact to degree 15, and far below any statistical bound elsewhere
ORDER = 8


#: the kinds of masks that each law draws, and those that it may draw besides: constant and inside (0, 1), of zeros and
#: ones, or with values between them (HMix is constant where its box is less than a pixel, GMix a point near lambda = 1)
KINDS: dict[type[MaskLaw], tuple[set[str], set[str]]] = {
    Mixup: ({"constant"}, set()),
    Bernoulli: ({"cut"}, set()),
    CutMix: ({"cut"}, set()),
    Stochastic: ({"constant", "cut"}, set()),
    HMix: ({"graded"}, {"constant", "cut"}),
    GMix: ({"graded"}, {"cut"}),
}


@dataclass(frozen=True)
class Fit:
    """A law of the library against what was seen: its curve, and the largest |difference| / bound (above 1: not it).

    `possible` is False where masks were seen that the law does not draw.
    """

    law: str
    curve: Array
    misfit: float
    possible: bool

    @property
    def fits(self) -> bool:
        return self.possible and self.misfit <= 1


def candidates(shape: tuple[int, int]) -> list[MaskLaw]:
    """Every law of the library, HMix with r = 1/2 and Stochastic with q = 1/2 as in the paper."""
    laws: list[MaskLaw] = [Mixup(shape)]
    laws += [CutMix(shape, sampler=s) for s in SAMPLERS] + [HMix(shape, r=0.5, sampler=s) for s in SAMPLERS]
    laws += [Stochastic(shape, q=0.5, sampler=s) for s in SAMPLERS]
    if shape[0] * shape[1] <= LARGEST_DENSE:
        laws += [Bernoulli(shape), *(GMix(shape, kernel=k) for k in KERNELS)]
    return laws


def fits(seen: Estimate, draws: Draws, ratio: RatioLaw) -> tuple[Fit, ...]:
    """All laws, those that draw such masks first, and the best first."""
    shape, kinds = (draws.masks.shape[-2], draws.masks.shape[-1]), kinds_seen(draws)
    always = draws.masks[draws.mixed].min(0) == 1
    known: dict[str, Array] = {}
    found = []
    for law in candidates(shape):
        curve = sum(p * known.setdefault(repr(part), displacement_curve(part, ratio)) for p, part in law.parts)
        misfit = Estimate(seen.value - curve, seen.bound, seen.draws).excess
        needed, allowed = KINDS[type(law)]
        possible = needed <= kinds <= needed | allowed and bool(always[_never_given(law, ratio)].all())
        found.append(Fit(repr(law), np.asarray(curve), misfit, possible))
    return tuple(sorted(found, key=lambda fit: (not fit.possible, fit.misfit)))


def kinds_seen(draws: Draws) -> set[str]:
    """Which of the kinds of `KINDS` were seen; masks of zeros alone or ones alone are of every kind."""
    masks = draws.masks[draws.mixed]
    constant = np.ptp(masks, axis=(1, 2)) <= NOTHING
    inside = (masks > NOTHING) & (masks < 1 - NOTHING)
    seen = {
        "constant": constant & inside.any((1, 2)),
        "cut": ~constant & ~inside.any((1, 2)),
        "graded": ~constant & inside.any((1, 2)),
    }
    return {kind for kind, where in seen.items() if where.any()}


def _never_given(law: MaskLaw, ratio: RatioLaw) -> NDArray[np.bool_]:
    """The pixels that the partner never gets: the last row and column of a box with sampler "printed"."""
    rule = ratio_rule(ratio, law, 1)
    least = np.min([law.mean(float(r)).numpy() for r, m in zip(rule.ratio, rule.mass, strict=True) if m > 0], axis=0)
    return np.asarray(least == 1)


def displacement_curve(law: MaskLaw, ratio: RatioLaw) -> Array:
    """E[a_jk] averaged over the pixel pairs at each displacement, (2H-1, 2W-1)."""
    height, width = law.shape
    rule = ratio_rule(ratio, law, ORDER)
    nodes = [(float(r), float(m)) for r, m in zip(rule.ratio, rule.mass, strict=True) if m > 0]
    if isinstance(law, CutMix | HMix):
        return np.asarray(sum(mass * _box_curve(law, r) for r, mass in nodes))
    moment = np.asarray(sum(mass * law.second_moment(r).to_dense().numpy() for r, mass in nodes))
    return _by_displacement(moment.reshape(height, width, height, width))


def _by_displacement(moment: Array) -> Array:
    """Means of a[j, j + delta], from a (H, W, H, W)."""
    shape = moment.shape[:2]
    total = np.zeros(tuple(2 * n - 1 for n in shape))
    for y in range(shape[0]):
        for x in range(shape[1]):
            total[shape[0] - 1 - y : 2 * shape[0] - 1 - y, shape[1] - 1 - x : 2 * shape[1] - 1 - x] += moment[y, x]
    return total / pair_counts((shape[0], shape[1]))


def _box_curve(law: CutMix | HMix, ratio: float) -> Array:
    """1-M = (1-o) + o B: a product over the axes for E[B_j B_k], for E[B_j] and for E[B_k]."""
    o = law.outside(ratio)
    axes = [_axis_means(n, s, law.sampler) for n, s in zip(law.shape, law.sides(ratio), strict=True)]
    both, first, second = (np.outer(rows, columns) for rows, columns in zip(*axes, strict=True))
    return (1 - o) ** 2 + (1 - o) * o * (first + second) + o**2 * both


def _axis_means(n: int, side: int, sampler: str) -> tuple[Array, Array, Array]:
    """Means over j of E[b_j b_(j+delta)], E[b_j] and E[b_(j+delta)] for delta = 1-n .. n-1; b is an interval."""
    cover = interval_cover(n, side, sampler).numpy()
    ones = np.ones(n)
    pairs = n - np.abs(np.arange(1 - n, n))
    moment, mean = cover.T @ cover / len(cover), cover.mean(0)
    both = np.array([np.diagonal(moment, k).sum() for k in range(1 - n, n)])
    first = np.correlate(ones, mean, "full")
    second = np.correlate(mean, ones, "full")
    return both / pairs, first / pairs, second / pairs
