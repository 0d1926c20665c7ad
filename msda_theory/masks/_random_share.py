"""HMix with a random r: Mixup and CutMix, blended to a degree that is drawn for each mask  (Park et al., sec. 4)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from msda_theory._validation import require_choice, require_kind, require_shape
from msda_theory.masks._base import MaskLaw
from msda_theory.masks._boxes import (
    averaged_boxes,
    box_mean,
    box_sides,
    drawn_boxes,
    drawn_from,
    placed_at,
    side_breaks,
    value_outside,
)
from msda_theory.masks._intervals import SAMPLERS
from msda_theory.masks._moments import SecondMoment
from msda_theory.quadrature import Array, ToleranceError, refine
from msda_theory.ratios import Discrete, Mixture, RatioLaw

MOMENT_RTOL = 1e-13
#: cells that shrink towards an end at which the moments are continuous and not smooth, as lambda log(lambda) is
GRADES = 12


class RandomHMix(MaskLaw):
    """HMix whose r is drawn from a law on [0, 1], such as Beta(g, g), independently of the ratio.

    Its moments are the averages of HMix's over r: finite sums over the box's sides, with weights E[o; side] and
    E[o^2; side] of the value o = lambda/(1-(1-lambda)r) outside.  As g -> 0, r becomes 0 or 1 and the law that of
    Stochastic with q = 1/2.

    Raises ToleranceError where an average over r does not converge.
    """

    uniforms = 3

    def __init__(self, shape: Sequence[int], *, r: RatioLaw, sampler: str) -> None:
        super().__init__(require_shape(shape, dimensions=2))
        require_kind("r", r, RatioLaw)
        require_choice("sampler", sampler, SAMPLERS)
        self.r, self.sampler = r, sampler
        masses = _masses(r)
        breaks = [side_breaks(self.shape, value) for value in (1.0, *masses)]
        graded = () if isinstance(r, Discrete) else (8.0**-k for k in range(1, GRADES + 1))
        self.breaks = tuple(sorted(set(graded).union(*breaks)))

    def _rule(self, ratio: float) -> tuple[Array, Array]:
        """Nodes and weights of r, enough for E[o; side] and E[o^2; side] at this ratio."""
        edges = self._edges(ratio)
        finest: list[tuple[Array, Array]] = []

        def evaluate(order: int) -> tuple[Array, float]:
            rule = self.r.rule(order, edges)
            finest[:] = [(rule.ratio, rule.mass)]
            outside = value_outside(ratio, rule.ratio)
            cell, powers = np.searchsorted(edges, rule.ratio), (outside**0, outside, outside**2)
            return np.stack([np.bincount(cell, rule.mass * p, len(edges) + 1) for p in powers]), 1.0

        sums, _ = refine(evaluate, MOMENT_RTOL, what := f"the average of {self!r} over r at ratio {ratio}")
        if abs(sums[0].sum() - 1) > 100 * MOMENT_RTOL:
            raise ToleranceError(f"{what}: the nodes miss where r lies, their weights add up to {sums[0].sum():.3g}")
        return finest[0]

    def _edges(self, ratio: float) -> list[float]:
        """Where a side grows; and, as o has a pole at r = 1 + lambda/(1-lambda), cells that shrink towards r = 1."""
        if ratio == 1:
            return []
        grown = {(k / n) ** 2 / (1 - ratio) for n in self.shape for k in range(1, n + 1)}
        pole = ratio / (1 - ratio)
        graded = {1 - pole * 8.0**k for k in range(1, GRADES + 1)} if pole > np.finfo(float).eps else set()
        return sorted(edge for edge in grown | graded if 0 < edge < 1)

    def _mean(self, ratio: float) -> Tensor:
        r, mass = self._rule(ratio)
        sides, which = np.unique(box_sides(self.shape, ratio, r), axis=0, return_inverse=True)
        outside = np.bincount(which, mass * value_outside(ratio, r), len(sides))
        means = [o * (1 - box_mean(self.shape, side, self.sampler)) for side, o in zip(sides, outside, strict=True)]
        return torch.stack(means).sum(0)

    def _second_moment(self, ratio: float) -> SecondMoment:
        return self._averaged(np.array([ratio]), np.ones(1))

    def _averaged(self, ratio: Array, mass: Array) -> SecondMoment:
        rules = [self._rule(float(value)) for value in ratio]
        ratios = np.repeat(ratio, [len(r) for r, _ in rules])
        shares = np.concatenate([share * weights for share, (_, weights) in zip(mass, rules, strict=True)])
        return averaged_boxes(self.shape, self.sampler, ratios, np.concatenate([r for r, _ in rules]), shares)

    def _sample(self, ratio: Tensor, rng: np.random.Generator) -> Tensor:
        return drawn_boxes(self.shape, self.sampler, ratio, self.r.sample(len(ratio), rng), drawn_from(rng))

    def _placed(self, ratio: Tensor, uniform: Tensor, rng: np.random.Generator) -> Tensor:
        """The last uniform number gives r."""
        r = self.r.placed(uniform[:, -1].numpy(), rng)
        return drawn_boxes(self.shape, self.sampler, ratio, r, placed_at(uniform))

    def __repr__(self) -> str:
        return f"RandomHMix({self.shape}, r={self.r!r}, sampler={self.sampler!r})"


def _masses(law: RatioLaw) -> tuple[float, ...]:
    """The values that have a probability of their own."""
    if isinstance(law, Mixture):
        return tuple(value for component in law.components for value in _masses(component))
    return law.values if isinstance(law, Discrete) else ()
