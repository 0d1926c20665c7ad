"""Stochastic Mixup & CutMix: one of the two, by chance, each time  (Park et al., sec. 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from msda_theory._validation import require_ratio
from msda_theory.masks._base import Atoms, MaskLaw
from msda_theory.masks._boxes import CutMix
from msda_theory.masks._moments import MixedMoment
from msda_theory.masks._uniform import Mixup


class Stochastic(MaskLaw):
    """Mixup with probability q, CutMix with probability 1-q; its moments are the q-averages of theirs.

    The paper prints M = (1-lambda) 1 for the Mixup part; this is lambda 1, without which E[M] is not lambda.
    """

    uniforms = 3

    def __init__(self, shape: Sequence[int], *, q: float = 0.5, sampler: str) -> None:
        super().__init__(shape)
        require_ratio("q", q)
        self.q = float(q)
        self.mixup, self.cutmix = Mixup(shape), CutMix(shape, sampler=sampler)
        self.breaks = self.cutmix.breaks

    @property
    def parts(self) -> tuple[tuple[float, MaskLaw], ...]:
        both: tuple[tuple[float, MaskLaw], ...] = ((self.q, self.mixup), (1 - self.q, self.cutmix))
        return tuple((p, law) for p, law in both if p > 0)

    def _mean(self, ratio: float) -> Tensor:
        first, *rest = (law._mean(ratio) * p for p, law in self.parts)
        return sum(rest, start=first)

    def _second_moment(self, ratio: float) -> MixedMoment:
        weights = torch.tensor([p for p, _ in self.parts], dtype=torch.float64)
        return MixedMoment(weights, *(law._second_moment(ratio) for _, law in self.parts))

    def _count(self, ratio: float) -> int:
        return sum(law._count(ratio) for _, law in self.parts)

    def _atoms(self, ratio: float) -> Atoms:
        atoms = [(p, law._atoms(ratio)) for p, law in self.parts]
        return Atoms(torch.cat([a.masks for _, a in atoms]), torch.cat([p * a.probabilities for p, a in atoms]))

    def _sample(self, ratio: Tensor, rng: np.random.Generator) -> Tensor:
        is_mixup = torch.from_numpy(rng.random(len(ratio)) < self.q)
        masks = torch.empty(len(ratio), *self.shape, dtype=torch.float64)
        for law, chosen in ((self.mixup, is_mixup), (self.cutmix, ~is_mixup)):
            masks[chosen] = law._sample(ratio[chosen], rng)
        return masks

    def _placed(self, ratio: Tensor, uniform: Tensor, rng: np.random.Generator) -> Tensor:
        """The last uniform number chooses the law."""
        is_mixup = uniform[:, -1] < self.q
        masks = torch.empty(len(ratio), *self.shape, dtype=torch.float64)
        for law, chosen in ((self.mixup, is_mixup), (self.cutmix, ~is_mixup)):
            masks[chosen] = law._placed(ratio[chosen], uniform[chosen, : law.uniforms], rng)
        return masks

    def __repr__(self) -> str:
        return f"Stochastic({self.shape}, q={self.q!r}, sampler={self.cutmix.sampler!r})"
