"""Masks with a box: CutMix and HMix, for four ways of placing the box.

A box is the product of an interval of rows and one of columns, placed independently, so its 0/1 indicator B has
E[B] = outer products and E[B_j B_k] = Kronecker products of one axis' mean and second moment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from msda_theory._validation import require_choice, require_ratio, require_shape
from msda_theory.masks._averaged import AveragedBoxes
from msda_theory.masks._base import Atoms, MaskLaw
from msda_theory.masks._intervals import SAMPLERS, covered, interval_count, interval_cover
from msda_theory.masks._moments import MixedMoment, OuterSum, SecondMoment
from msda_theory.masks._separable import BoxMoment
from msda_theory.quadrature import Array

_EPS = float(np.finfo(float).eps)


def box_sides(shape: Sequence[int], ratio: float | Array, r: float | Array) -> NDArray[np.int64]:
    """[sqrt(1-lambda) sqrt(r) n] an axis, rounded down; below n at every ratio > 0, as in exact arithmetic: (..., 2).

    4 eps are added to 1-lambda, twice what the rounding of it, of its product, root and side can take away, so that
    ratios 1 - (k/n)^2/r have side k although neither they nor their root is a float.
    """
    ratio, r = np.asarray(ratio, dtype=float)[..., None], np.asarray(r, dtype=float)[..., None]
    scale = np.sqrt((1 - ratio + 4 * _EPS) * r)
    return np.minimum(np.floor(scale * np.array(shape)), np.array(shape) - (ratio > 0)).astype(np.int64)


def value_outside(ratio: float | Array, r: float | Array) -> Array:
    """The mask's value outside the box, lambda / (1 - (1-lambda) r)  (Park et al., sec. 4); 1 for CutMix."""
    ratio, r = np.asarray(ratio, dtype=float), np.asarray(r, dtype=float)
    return np.divide(ratio, 1 - (1 - ratio) * r, where=r != 1, out=np.ones(np.broadcast_shapes(ratio.shape, r.shape)))


def side_breaks(shape: Sequence[int], r: float) -> set[float]:
    """The ratios 1 - (k/n)^2/r in (0, 1) at which a side grows."""
    steps = {1 - (k / n) ** 2 / r for n in shape for k in range(1, n + 1)} if r > 0 else set()
    return {b for b in steps if 4 * _EPS < b < 1}  # 1 - (k/n)^2/r = 0 may come out as eps


def box_mean(shape: Sequence[int], sides: Sequence[int] | NDArray[np.int64], sampler: str) -> Tensor:
    """E[B] (d,), the chance that the box covers a pixel."""
    rows, columns = (interval_cover(n, side, sampler).mean(0) for n, side in zip(shape, sides, strict=True))
    return torch.outer(rows, columns).reshape(-1)


def averaged_boxes(
    shape: tuple[int, ...], sampler: str, ratio: np.ndarray, r: np.ndarray, mass: np.ndarray
) -> SecondMoment:
    """sum_k mass[k] a, the boxes at ratio[k] and r[k]: those of the same sides are summed beforehand, and the rest is
    linear in the mean of the mask."""
    o = value_outside(ratio, r)
    sides, which = np.unique(box_sides(shape, ratio, r), axis=0, return_inverse=True)
    weights, crosses = (np.bincount(which, mass * part, len(sides)) for part in (o**2, o * (1 - o)))
    boxes = AveragedBoxes(*map(torch.from_numpy, (weights, sides)), shape=(shape[0], shape[1]), sampler=sampler)
    if (o == 1).all():
        return boxes
    means = [cross * box_mean(shape, side, sampler) for side, cross in zip(sides, crosses, strict=True)]
    linear = torch.stack(means).sum(0) + float(mass @ (1 - o) ** 2) / 2
    return MixedMoment.sum([boxes, OuterSum(linear)])


class _BoxLaw(MaskLaw):
    """M = o outside a random box and 0 inside it; the box covers the share (1-lambda) r of the image."""

    uniforms = 2

    def __init__(self, shape: Sequence[int], *, sampler: str, r: float) -> None:
        super().__init__(require_shape(shape, dimensions=2))
        require_choice("sampler", sampler, SAMPLERS)
        require_ratio("r", r)
        self.sampler, self.r = sampler, float(r)
        self.breaks = tuple(sorted(side_breaks(self.shape, self.r)))
        self.constant_between_breaks = r == 1

    def sides(self, ratio: float) -> tuple[int, int]:
        """The box's sides, in pixels."""
        rows, columns = box_sides(self.shape, ratio, self.r).tolist()
        return rows, columns

    def outside(self, ratio: float) -> float:
        """The mask's value outside the box."""
        return float(value_outside(ratio, self.r))

    def _covers(self, ratio: float) -> list[Tensor]:
        return [interval_cover(n, s, self.sampler) for n, s in zip(self.shape, self.sides(ratio), strict=True)]

    def _mean(self, ratio: float) -> Tensor:
        return self.outside(ratio) * (1 - box_mean(self.shape, self.sides(ratio), self.sampler))

    def _second_moment(self, ratio: float) -> BoxMoment:
        """1-M = (1-o) + o B, so a_jk = (1-o)^2 + (1-o) o (E[B_j] + E[B_k]) + o^2 E[B_j B_k]."""
        o = self.outside(ratio)
        return BoxMoment.of(self.shape, self.sides(ratio), self.sampler, 1 - o, o)

    def _averaged(self, ratio: np.ndarray, mass: np.ndarray) -> SecondMoment:
        return averaged_boxes(self.shape, self.sampler, ratio, np.full(len(ratio), self.r), mass)

    def _count(self, ratio: float) -> int:
        sides = zip(self.shape, self.sides(ratio), strict=True)
        return math.prod(interval_count(n, side, self.sampler) for n, side in sides)

    def _atoms(self, ratio: float) -> Atoms:
        rows, columns = self._covers(ratio)
        boxes = torch.einsum("ah,bw->abhw", rows, columns).reshape(-1, *self.shape)
        probabilities = torch.full((len(boxes),), 1 / len(boxes), dtype=torch.float64)
        return Atoms(self.outside(ratio) * (1 - boxes), probabilities)

    def _sample(self, ratio: Tensor, rng: np.random.Generator) -> Tensor:
        return drawn_boxes(self.shape, self.sampler, ratio, np.full(len(ratio), self.r), drawn_from(rng))

    def _placed(self, ratio: Tensor, uniform: Tensor, rng: np.random.Generator) -> Tensor:
        return drawn_boxes(self.shape, self.sampler, ratio, np.full(len(ratio), self.r), placed_at(uniform))


#: positions (k,) below counts (k,) on an axis, 0 or 1
Positions = Callable[[NDArray[np.int64], int], NDArray[np.int64]]


def drawn_boxes(shape: tuple[int, ...], sampler: str, ratio: Tensor, r: Array, positions: Positions) -> Tensor:
    """One mask a ratio (n,) and r (n,): (n, H, W)."""
    sides = torch.from_numpy(box_sides(shape, ratio.numpy(), r))
    outside = torch.from_numpy(value_outside(ratio.numpy(), r))
    rows, columns = (_drawn(n, sides[:, axis], sampler, positions, axis) for axis, n in enumerate(shape))
    return outside[:, None, None] * (1 - rows.unsqueeze(-1) * columns.unsqueeze(-2))


def drawn_from(rng: np.random.Generator) -> Positions:
    return lambda counts, axis: rng.integers(counts)


def placed_at(uniform: Tensor) -> Positions:
    """Positions where uniform numbers (k, 2) put them."""
    return lambda counts, axis: np.minimum(np.floor(uniform[:, axis].numpy() * counts), counts - 1).astype(np.int64)


def _drawn(n: int, sides: Tensor, sampler: str, positions: Positions, axis: int) -> Tensor:
    """One interval a side, at the position given: rows (k, n)."""
    counts = np.array([interval_count(n, side, sampler) for side in sides.tolist()], dtype=np.int64)
    if (counts == 0).any():
        interval_cover(n, n, sampler)  # says what is wrong
    return covered(n, sides, torch.from_numpy(positions(counts, axis)), sampler)


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
