"""The class that Mixup's regulariser prescribes, {theta : E A''(theta.x) theta^T Sigma theta <= gamma}, enclosed.

It is not convex, and for a loss whose A'' falls to zero it is unbounded unless theta is bounded: a long theta has
little curvature.  Its suprema are therefore enclosed: from below by points of the class, from above by an ellipsoid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from msda_theory._validation import require_at_least, require_finite_positive
from msda_theory.bounds.ellipsoids import Ball, Ellipsoid
from msda_theory.bounds.intersections import Intersection
from msda_theory.bounds.retentive import curvature_floor, mean_curvature, require_design
from msda_theory.losses import Loss

RADII, BISECTIONS, ASCENTS = 64, 40, 60


@dataclass(frozen=True, eq=False)
class MixupClass:
    """W_gamma = {theta : E A''(theta.x) theta^T Sigma theta <= gamma, ||theta|| <= largest_norm}, Sigma = E[x x^T].

    The expectations are over the rows of x (m, p), equally likely.  (Zhang et al., sec. 3.3, with Theta a ball.)
    """

    x: Tensor
    gamma: float
    largest_norm: float
    loss: Loss

    def __post_init__(self) -> None:
        require_design(self.x)
        require_finite_positive("gamma", self.gamma)
        require_finite_positive("largest_norm", self.largest_norm)

    def level(self, theta: Tensor) -> Tensor:
        """E A''(theta.x) theta^T Sigma theta for each row of theta (b, p)."""
        return mean_curvature(self.x, theta, self.loss) * (theta @ self.x.mT).square().mean(-1)

    @cached_property
    def enclosure(self) -> Intersection:
        """Contains W_gamma: the ball, and theta^T Sigma theta <= gamma / c where E A''(theta.x) >= c on W_gamma.

        A bound on |theta.x_i| gives such a c, and c a tighter bound: repeated until it moves by less than 1e-6.
        """
        ball = Ball(self.largest_norm**2, self.x.shape[1])
        sigma = self.x.mT @ self.x / len(self.x)
        found, level = Intersection([ball]), math.inf
        while floor := curvature_floor(found.support(self.x), self.loss):
            if self.gamma / floor > (1 - 1e-6) * level:
                break
            level = self.gamma / floor
            found = Intersection([Ellipsoid(sigma, level), ball])
        return found

    def radius(self, direction: Tensor) -> Tensor:
        """A t with t d in W_gamma for each unit row d of (b, p), as large as a grid and bisection find it: (b,).

        Where the level rises with t, the largest one.
        """
        grid = self.largest_norm * torch.arange(RADII + 1, dtype=self.x.dtype, device=self.x.device) / RADII
        points = (grid.unsqueeze(-1) * direction.unsqueeze(1)).flatten(0, 1)
        inside = self.level(points).reshape(len(direction), -1) <= self.gamma
        last = (inside * torch.arange(1, RADII + 2, device=self.x.device)).argmax(-1)
        low, high = grid[last], grid[(last + 1).clamp_max(RADII)]
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            within = self.level(middle.unsqueeze(-1) * direction) <= self.gamma
            low, high = torch.where(within, middle, low), torch.where(within, high, middle)
        return low

    def support_below(self, u: Tensor, *, starts: int = 64, seed: int = 0) -> tuple[Tensor, Tensor]:
        """max u . theta over points of W_gamma that a search finds, u (p,): a lower bound on the supremum, and where.

        Random directions, 64 for each start, and u itself are drawn out to the border; from the best, ascent along
        it: a step in the part of u that is tangent to it, drawn out again, longer where it gains, halved where not.
        """
        require_at_least("starts", starts, 1, "the directions to begin from")
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randn(64 * starts, len(u), generator=generator, dtype=torch.float64).to(u)
        tried = self._out(torch.cat([u.unsqueeze(0), drawn * (drawn @ u).sign().unsqueeze(-1)]))
        theta = tried[(tried @ u).topk(starts).indices]
        step = torch.full_like(theta[:, :1], 0.5)
        for _ in range(ASCENTS):
            moved = self._out(theta + step * theta.norm(dim=-1, keepdim=True) * self._tangent(theta, u))
            gains = ((moved - theta) @ u > 0).unsqueeze(-1)
            theta, step = torch.where(gains, moved, theta), torch.where(gains, 1.5 * step, step / 2)
        best = theta[(theta @ u).argmax()]
        return best @ u, best

    def _out(self, toward: Tensor) -> Tensor:
        size = toward.norm(dim=-1, keepdim=True)
        direction = toward / torch.where(size > 0, size, 1.0)
        return self.radius(direction).unsqueeze(-1) * direction

    def _tangent(self, theta: Tensor, u: Tensor) -> Tensor:
        """The part of u/||u|| that is tangent to the border: to the ball where theta is on it, else to the level."""
        at = theta.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(self.level(at).sum(), at)
        on_ball = theta.norm(dim=-1, keepdim=True) >= self.largest_norm * (1 - 2.0**-BISECTIONS)
        normal = torch.where(on_ball, theta, slope)
        square = normal.square().sum(-1, keepdim=True)
        share = (normal @ u).unsqueeze(-1) / torch.where(square > 0, square, 1.0)
        return (u - share * normal) / u.norm()
