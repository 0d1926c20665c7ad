"""What a pair's leading sample sees: the first sample where lambda >= 1/2, the second where lambda < 1/2.

N is the partner's share, 1-M where the first leads and M where the second does; omega is the partner's label weight,
min(lambda, 1-lambda) for label="nominal", the mean of N for "realised".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from msda_theory.augmentation import MOMENT_RTOL, Augmentation, require_dense
from msda_theory.averages import law_parts
from msda_theory.masks import MaskLaw
from msda_theory.quadrature import Array
from msda_theory.ratios import RatioLaw, RatioRule

LEADS_FROM = 0.5


@dataclass(frozen=True)
class LeadingMeans:
    """first : (d,) E[N_j]    label : E[omega]    error : quadrature error, absolute"""

    first: Tensor
    label: float
    error: float


@dataclass(frozen=True)
class LeadingMoments(LeadingMeans):
    """The means, and second : (d, d) E[N_j N_k]    cross : (d,) E[omega N_j]"""

    second: Tensor
    cross: Tensor


@dataclass(frozen=True)
class LeadingDraws:
    """n independent draws of N (n, d) and omega (n, 1), float64."""

    share: Tensor
    omega: Tensor


def leading_means(augmentation: Augmentation) -> LeadingMeans:
    """The means for any mask law and any image size, averaged over the ratio.  ToleranceError: no convergence."""
    packed, error = augmentation.converged(
        lambda order: (_packed_means(augmentation, order), 1.0), MOMENT_RTOL, f"E[N] of {augmentation.mask!r}"
    )
    first, label = torch.from_numpy(packed[:-1]), float(packed[-1])
    return LeadingMeans(first, label if augmentation.label == "nominal" else float(first.mean()), error)


@lru_cache(maxsize=1)
def leading_moments(augmentation: Augmentation) -> LeadingMoments:
    """The moments for any mask law, averaged over the ratio; the last are kept.  ToleranceError: no convergence."""
    mask = augmentation.mask
    require_dense(mask)
    packed, error = augmentation.converged(
        lambda order: (_packed(augmentation, order), 1.0), MOMENT_RTOL, f"the leading moments of {mask!r}"
    )
    first, nominal, second = packed[0, :-1], packed[1], packed[2:, :-1]
    if augmentation.label == "nominal":
        label, cross = float(nominal[-1]), nominal[:-1]
    else:  # omega is the mean of N
        label, cross = float(first.mean()), second.mean(0)
    return LeadingMoments(torch.from_numpy(first), label, error, torch.from_numpy(second), torch.from_numpy(cross))


def leading_draws(augmentation: Augmentation, n: int, rng: np.random.Generator) -> LeadingDraws:
    drawn = replace(augmentation, label="nominal").draw(n, rng)  # its label weight is the ratio
    ratio, masks = drawn.label.unsqueeze(-1), drawn.masks.flatten(1)
    share = torch.where(ratio >= LEADS_FROM, 1 - masks, masks)
    nominal = augmentation.label == "nominal"
    return LeadingDraws(share, torch.minimum(ratio, 1 - ratio) if nominal else share.mean(1, keepdim=True))


@dataclass(frozen=True)
class _Node:
    """A node of the ratio: its law, its mass, E[N] (d,) and omega there, and whether the second sample leads."""

    law: MaskLaw
    ratio: float
    mass: float
    share: Tensor
    omega: float
    swapped: bool


def _nodes(augmentation: Augmentation, order: int) -> Iterator[_Node]:
    """omega is E[min(lambda, 1-lambda); node], the weight of the node included."""
    for probability, law in law_parts(augmentation.mask):
        rule = _rule(augmentation.ratio, law, order).scaled(probability)
        for ratio, first, second in zip(rule.ratio.tolist(), rule.first, rule.second, strict=True):
            if first + second > 0:
                mean, swapped = law.mean(ratio).flatten(), ratio < LEADS_FROM
                share, omega = (mean, first) if swapped else (1 - mean, second)
                yield _Node(law, ratio, first + second, share, omega, swapped)


def _packed_means(augmentation: Augmentation, order: int) -> Array:
    """E[N_j], then E[omega]."""
    packed = torch.zeros(augmentation.mask.size + 1, dtype=torch.float64)
    for node in _nodes(augmentation, order):
        packed[:-1] += node.mass * node.share
        packed[-1] += node.omega
    return packed.numpy()


def _packed(augmentation: Augmentation, order: int) -> Array:
    """Rows E[N_j] (then 1), E[omega N_j] (then E[omega]) and E[N_j N_k], omega the partner's ratio."""
    size = augmentation.mask.size
    packed = torch.zeros(size + 2, size + 1, dtype=torch.float64)
    for node in _nodes(augmentation, order):
        moment = node.law.second_moment(node.ratio).to_dense()
        if node.swapped:
            moment = moment + node.share + node.share.unsqueeze(-1) - 1
        with_one = torch.cat([node.share, node.share.new_ones(1)])
        packed[0] += node.mass * with_one
        packed[1] += node.omega * with_one
        packed[2:, :-1] += node.mass * moment
    return packed.numpy()


def _rule(ratio: RatioLaw, mask: MaskLaw, order: int) -> RatioRule:
    """`averages.ratio_rule` with one more break, where the leading sample changes."""
    breaks = tuple(np.unique([*mask.breaks, LEADS_FROM]).tolist())
    return ratio.cells(breaks) if mask.constant_between_breaks else ratio.rule(order, breaks)
