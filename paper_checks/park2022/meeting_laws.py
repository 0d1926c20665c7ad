"""Mask laws with E[M] = lambda 1, as Theorem 3 takes them: the moments of 1-M under D~, and of mixtures of them."""

from __future__ import annotations

from functools import cache

import torch
from flint import acb, fmpq
from torch import Tensor

from msda_theory import Augmentation, Beta
from msda_theory.masks import Gaussian
from paper_checks.seen_laws import SPREAD, fading
from verify.tiny_laws import TinyLaw, bernoulli, blended, exact_area, mixup
from verify.tiny_problems import BetaInt, TinyMoments, tilted_moments

#: pixels of each law
SIDE, SIZE = 2, 4
UNIFORM = BetaInt(1, 1)
#: CutMix that meets E[M] = lambda 1: 2 x 2 pixels, the box wraps around, its side is rounded at random
MEETING = exact_area(SIDE, fmpq(1))
HALF = fmpq(1, 2)


def listed() -> list[TinyLaw]:
    """Mixup, Bernoulli, CutMix, HMix and the stochastic mixture."""
    return [mixup(SIZE), bernoulli(SIZE), MEETING, exact_area(SIDE, HALF), blended(MEETING, HALF)]


def as_tensors(moments: TinyMoments) -> tuple[Tensor, Tensor]:
    """first (d,) and second (d, d); of enclosures the middle."""
    rows = [[float(v.real if isinstance(v, acb) else v) for v in row] for row in (moments.first, *moments.second)]
    table = torch.tensor(rows, dtype=torch.float64)
    return table[0], table[1:]


@cache
def given_moments() -> tuple[Tensor, Tensor]:
    """E_D~[1-M_j], the same number for all, and E_D~[a_jk] of the k laws, (k,) and (k, d, d), ratios uniform."""
    pairs = [as_tensors(tilted_moments(law, UNIFORM.tilted_density)) for law in listed()]
    gaussian = Augmentation(Beta(1.0, 1.0).tilted(), Gaussian((SIDE, SIDE), fading(SIZE))).second_moment().to_dense()
    first = torch.stack([*(first[0] for first, _ in pairs), pairs[0][0][0]])
    return first, torch.stack([*(second for _, second in pairs), gaussian])


def given_of_mixtures(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Of mixtures, one a row of logits (b, k): (b, 1) and (b, d, d)."""
    weights = torch.softmax(SPREAD * logits, 1)
    first, second = given_moments()
    return (weights @ first).unsqueeze(1), torch.einsum("bk,kde->bde", weights, second)
