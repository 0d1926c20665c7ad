"""Moments of the partner's share under the mask laws of the library, both label rules, and under mixtures of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import prod

import torch
from torch import Tensor

from msda_theory import Augmentation, Beta, Discrete
from msda_theory.masks import SAMPLERS, Bernoulli, CutMix, FMix, Gaussian, GMix, HMix, Mixup, RandomHMix, Stochastic

SHAPE = (3, 4)
#: parameters of the Beta law: unequal, so that the two roles of a sample differ
RATIO = (0.6, 1.4)
#: logits of a mixture are this many times the free parameters, so that a search comes near each law alone
SPREAD = 4.0


def fading(size: int) -> Callable[[float], Tensor]:
    """A second moment whose covariance falls off with the distance of two pixels in the list of them."""
    order = torch.arange(size, dtype=torch.float64)
    alike = torch.exp(-(order - order.unsqueeze(1)).abs() / 2)

    def prescribed(ratio: float) -> Tensor:
        return (1 - ratio) ** 2 + ratio * (1 - ratio) * alike

    return prescribed


@cache
def augmentations() -> tuple[Augmentation, ...]:
    """Every mask law that the library has; both label rules where the masks can be listed."""
    boxes = [CutMix(SHAPE, sampler=sampler) for sampler in SAMPLERS]
    listed = [
        Mixup(SHAPE),
        Bernoulli(SHAPE),
        *boxes,
        HMix(SHAPE, r=0.5, sampler="inside"),
        *(GMix(SHAPE, kernel=kernel) for kernel in ("printed", "released")),
        Stochastic(SHAPE, q=0.5, sampler="clip"),
    ]
    shares = Discrete((0.25, 1.0), (0.5, 0.5))
    others = [RandomHMix(SHAPE, r=shares, sampler="torus"), Gaussian(SHAPE, fading(prod(SHAPE))), FMix(SHAPE)]
    ratio = Beta(*RATIO)
    nominal = (Augmentation(ratio, law) for law in (*listed, *others))
    return *nominal, *(Augmentation(ratio, law, "realised") for law in listed)


@cache
def seen_moments() -> tuple[Tensor, Tensor]:
    """First (k, d) and second (k, d, d) moments of the k augmentations."""
    seen = [augmentation.seen() for augmentation in augmentations()]
    return torch.stack([s.first for s in seen]), torch.stack([s.second for s in seen])


def mixed_moments(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Of mixtures of the augmentations, one a row of logits (b, k): (b, d) and (b, d, d)."""
    weights = torch.softmax(SPREAD * logits, 1)
    first, second = seen_moments()
    return weights @ first, torch.einsum("bk,kde->bde", weights, second)
