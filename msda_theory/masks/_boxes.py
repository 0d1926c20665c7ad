"""Masks with a box: CutMix and HMix, for four ways of placing the box.

A box is the product of an interval of rows and one of columns, placed independently, so its 0/1 indicator B has
E[B] = outer products and E[B_j B_k] = Kronecker products of one axis' mean and second moment.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from msda_theory._validation import require_choice, require_ratio, require_shape
from msda_theory.masks._averaged import AveragedBoxes
from msda_theory.masks._base import Atoms, MaskLaw
from msda_theory.masks._intervals import SAMPLERS, covered, interval_count, interval_cover
from msda_theory.masks._moments import MixedMoment, OuterSum, SecondMoment
from msda_theory.masks._separable import BoxMoment

_EPS = float(np.finfo(float).eps)


class _BoxLaw(MaskLaw):
    """M = o outside a random box and 0 inside it; the box covers the share (1-lambda) r of the image."""

    def __init__(self, shape: Sequence[int], *, sampler: str, r: float) -> None:
        super().__init__(require_shape(shape, dimensions=2))
        require_choice("sampler", sampler, SAMPLERS)
        require_ratio("r", r)
        self.sampler, self.r = sampler, float(r)
        steps = {1 - (k / n) ** 2 / r for n in self.shape for k in range(1, n + 1)} if r > 0 else set()
        self.breaks = tuple(sorted(b for b in steps if 4 * _EPS < b < 1))  # 1 - (k/n)^2/r = 0 may come out as eps
        self.constant_between_breaks = r == 1

    def sides(self, ratio: float) -> tuple[int, int]:
        """[sqrt(1-lambda) sqrt(r) n] an axis, rounded down; below n at every ratio > 0, as in exact arithmetic.

        4 eps are added to 1-lambda, twice what the rounding of it, of its product, root and side can take away, so that
        ratios 1 - (k/n)^2/r have side k although neither they nor their root is a float.
        """
        scale = math.sqrt((1 - ratio + 4 * _EPS) * self.r)
        largest = (n - 1 if ratio > 0 else n for n in self.shape)
        rows, columns = (min(math.floor(scale * n), top) for n, top in zip(self.shape, largest, strict=True))
        return rows, columns

    def outside(self, ratio: float) -> float:
        """The mask's value outside the box, lambda / (1 - (1-lambda) r)  (Park et al., sec. 4); 1 for CutMix."""
        return 1.0 if self.r == 1 else ratio / (1 - (1 - ratio) * self.r)

    def _covers(self, ratio: float) -> list[Tensor]:
        return [interval_cover(n, s, self.sampler) for n, s in zip(self.shape, self.sides(ratio), strict=True)]

    def _box_mean(self, ratio: float) -> Tensor:
        rows, columns = (cover.mean(0) for cover in self._covers(ratio))
        return torch.outer(rows, columns).reshape(-1)

    def _mean(self, ratio: float) -> Tensor:
        return self.outside(ratio) * (1 - self._box_mean(ratio))

    def _second_moment(self, ratio: float) -> BoxMoment:
        """1-M = (1-o) + o B, so a_jk = (1-o)^2 + (1-o) o (E[B_j] + E[B_k]) + o^2 E[B_j B_k]."""
        o = self.outside(ratio)
        return BoxMoment.of(self.shape, self.sides(ratio), self.sampler, 1 - o, o)

    def _averaged(self, ratio: np.ndarray, mass: np.ndarray) -> SecondMoment:
        """Boxes of the same sides are summed beforehand; the rest is linear in the mean of the mask."""
        weights: dict[tuple[int, int], float] = defaultdict(float)
        linear = torch.zeros(self.size, dtype=torch.float64)
        for value, share in zip(ratio.tolist(), mass.tolist(), strict=True):
            o = self.outside(value)
            weights[self.sides(value)] += share * o**2
            if o != 1:
                linear += share * (1 - o) * ((1 - o) / 2 + o * self._box_mean(value))
        values, (height, width) = torch.tensor(list(weights.values()), dtype=torch.float64), self.shape
        boxes = AveragedBoxes(values, torch.tensor(list(weights)), shape=(height, width), sampler=self.sampler)
        return MixedMoment.sum([boxes, OuterSum(linear)]) if linear.any() else boxes

    def _count(self, ratio: float) -> int:
        sides = zip(self.shape, self.sides(ratio), strict=True)
        return math.prod(interval_count(n, side, self.sampler) for n, side in sides)

    def _atoms(self, ratio: float) -> Atoms:
        rows, columns = self._covers(ratio)
        boxes = torch.einsum("ah,bw->abhw", rows, columns).reshape(-1, *self.shape)
        probabilities = torch.full((len(boxes),), 1 / len(boxes), dtype=torch.float64)
        return Atoms(self.outside(ratio) * (1 - boxes), probabilities)

    def _sample(self, ratio: Tensor, rng: np.random.Generator) -> Tensor:
        sides = torch.tensor([self.sides(value) for value in ratio.tolist()]).reshape(-1, 2)
        outside = torch.tensor([self.outside(value) for value in ratio.tolist()], dtype=torch.float64)
        rows, columns = (self._drawn(n, side, rng) for n, side in zip(self.shape, sides.unbind(1), strict=True))
        return outside[:, None, None] * (1 - rows.unsqueeze(-1) * columns.unsqueeze(-2))

    def _drawn(self, n: int, sides: Tensor, rng: np.random.Generator) -> Tensor:
        """One interval a side, at a position drawn uniformly: rows (k, n)."""
        counts = [interval_count(n, side, self.sampler) for side in sides.tolist()]
        if 0 in counts:
            interval_cover(n, n, self.sampler)  # says what is wrong
        return covered(n, sides, torch.from_numpy(rng.integers(counts, size=len(counts))), self.sampler)


class CutMix(_BoxLaw):
    """M = 0 in a box of sides [sqrt(1-lambda) H], [sqrt(1-lambda) W] and 1 outside; `sampler` places the box.

    a_jk = E[B_j B_k], the probability that the box covers both pixels (Park et al., eqs. (3), (10)).  lambda
    enters only through the integer sides, so an average over lambda is a finite sum (`breaks`).
    See `interval_cover` for the samplers "printed", "inside", "clip" and "torus".
    """

    def __init__(self, shape: Sequence[int], *, sampler: str) -> None:
        super().__init__(shape, sampler=sampler, r=1.0)

    def __repr__(self) -> str:
        return f"CutMix({self.shape}, sampler={self.sampler!r})"


class HMix(_BoxLaw):
    """M = 0 in a box of sides [sqrt((1-lambda) r) n] and lambda/(1-(1-lambda)r) outside  (Park et al., sec. 4).

    r = 0 is Mixup, r = 1 is CutMix.
    """

    def __init__(self, shape: Sequence[int], *, r: float, sampler: str) -> None:
        super().__init__(shape, sampler=sampler, r=r)

    def __repr__(self) -> str:
        return f"HMix({self.shape}, r={self.r!r}, sampler={self.sampler!r})"
