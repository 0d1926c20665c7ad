"""Masks without geometry: Mixup and the Bernoulli variant of Park et al., sec. 3."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from torch import Tensor

from msda_theory.masks._base import Atoms, MaskLaw, NotEnumerableError
from msda_theory.masks._moments import SecondMoment, UniformMoment

LARGEST_BERNOULLI = 16


class Mixup(MaskLaw):
    """M = lambda 1; a_jk = (1-lambda)^2  (Park et al., eq. (2); Zhang et al., eq. (1))."""

    def _sample(self, ratio: Tensor, rng: np.random.Generator) -> Tensor:
        return ratio.reshape(-1, *[1] * len(self.shape)).expand(-1, *self.shape).clone()

    def _mean(self, ratio: float) -> Tensor:
        return torch.full((self.size,), ratio, dtype=torch.float64)

    def _second_moment(self, ratio: float) -> SecondMoment:
        return _uniform((1 - ratio) ** 2, 0.0, self.size)

    def _count(self, ratio: float) -> int:
        return 1

    def _atoms(self, ratio: float) -> Atoms:
        return Atoms(self._mean(ratio).reshape(1, *self.shape), torch.ones(1, dtype=torch.float64))


class Bernoulli(MaskLaw):
    """M_j ~ Bernoulli(lambda), independent over coordinates; a_jk = (1-lambda)^2 + lambda(1-lambda) [j = k].

    (The "variant of CutMix" of Park et al., sec. 3, Fig. 1.)
    """

    def _sample(self, ratio: Tensor, rng: np.random.Generator) -> Tensor:
        uniform = torch.from_numpy(rng.random((len(ratio), *self.shape)))
        return (uniform < ratio.reshape(-1, *[1] * len(self.shape))).double()

    def _mean(self, ratio: float) -> Tensor:
        return torch.full((self.size,), ratio, dtype=torch.float64)

    def _second_moment(self, ratio: float) -> SecondMoment:
        return _uniform((1 - ratio) ** 2, ratio * (1 - ratio), self.size)

    def _count(self, ratio: float) -> int:
        return 2**self.size

    def _atoms(self, ratio: float) -> Atoms:
        if self.size > LARGEST_BERNOULLI:
            raise NotEnumerableError(
                f"{self!r} has 2^{self.size} masks, enumerated are at most 2^{LARGEST_BERNOULLI}; "
                f"use method='monte-carlo'"
            )
        masks = torch.tensor(list(product((0.0, 1.0), repeat=self.size)), dtype=torch.float64)
        ones = masks.sum(-1)
        probabilities = ratio**ones * (1 - ratio) ** (self.size - ones)
        return Atoms(masks.reshape(-1, *self.shape), probabilities)


def _uniform(value: float, variance: float, size: int) -> UniformMoment:
    return UniformMoment(*torch.tensor([value, variance], dtype=torch.float64), size=size)
