"""Batches of small problems for a search: data, a network with zero Hessian, and both sides of the bounds there.

A batch has b cases of m samples in d coordinates.  The formulas are written out over pairs of samples, apart from the
library's, with which the tests compare them.  Labels are 0 and 1, the loss is logistic.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus

from verify.tolerances import rounding

#: what rounding may do to a margin, a difference of two averages of products of a few dozen terms, over their sum
SLACK = rounding(torch.float64, 1.0, 100)


@dataclass(frozen=True)
class Cases:
    """Samples x (b, m, d) with labels y (b, m), and f (b, m), its gradients (b, m, d) of a network there."""

    x: Tensor
    y: Tensor
    f: Tensor
    slope: Tensor

    @property
    def side(self) -> Tensor:
        """2y - 1."""
        return 2 * self.y - 1

    @property
    def residual(self) -> Tensor:
        """|h'(f) - y|."""
        return torch.sigmoid(-self.side * self.f)

    @property
    def curvature(self) -> Tensor:
        """h''(f)."""
        return torch.sigmoid(self.f) * torch.sigmoid(-self.f)

    @property
    def norms(self) -> Tensor:
        """|x_i|."""
        return self.x.norm(dim=2)

    def labelled(self, y: Tensor) -> Cases:
        return Cases(self.x, y.to(self.x), self.f, self.slope)


def split(rows: Tensor, *shapes: tuple[int, ...]) -> list[Tensor]:
    """Rows of free parameters (b, p) as tensors (b, *shape), p the sum of the sizes."""
    parts = rows.split([int(torch.Size(shape).numel()) for shape in shapes], dim=1)
    return [part.reshape(len(rows), *shape) for part, shape in zip(parts, shapes, strict=True)]


def centred(x: Tensor) -> Tensor:
    return x - x.mean(1, keepdim=True)


def linear(x: Tensor, weight: Tensor, bias: Tensor | float = 0.0) -> Cases:
    """f = weight . x + bias, in Theta: y = 1 where f > 0.  weight (b, d), bias (b, 1)."""
    f = torch.einsum("bmd,bd->bm", x, weight) + bias
    return Cases(x, (f > 0).to(x), f, weight.unsqueeze(1).expand_as(x))


def relu(
    x: Tensor,
    inner: Tensor,
    outer: Tensor,
    bias: Tensor | float = 0.0,
    offset: Tensor | float = 0.0,
    *,
    leak: float = 0.0,
) -> Cases:
    """f = outer . relu(inner x + bias) + offset, in Theta; `leak` is the slope of relu below 0.

    inner (b, h, d), bias (b, 1, h), outer (b, h), offset (b, 1).
    """
    before = torch.einsum("bmd,bhd->bmh", x, inner) + bias
    steps = torch.where(before > 0, torch.ones_like(before), leak)
    f = torch.einsum("bmh,bh->bm", steps * before, outer) + offset
    return Cases(x, (f > 0).to(x), f, torch.einsum("bmh,bh,bhd->bmd", steps, outer, inner))


def drift(cases: Cases, first: Tensor) -> Tensor:
    """grad f . (n * (xbar - x_i)), (b, m); first (b, d) or (b, 1) is n = E[N]."""
    return (cases.slope * first.unsqueeze(1) * (cases.x.mean(1, keepdim=True) - cases.x)).sum(2)


def slope_regulariser(cases: Cases, first: Tensor) -> Tensor:
    """R1, (b,); first (b, d) or (b, 1)."""
    return (-cases.side * cases.residual * drift(cases, first)).mean(1)


def gradient_regulariser(cases: Cases, second: Tensor) -> Tensor:
    """R2, (b,), all pairs one by one; second (b, d, d), or (1, d, d) for all, is E[N_j N_k]."""
    pairs = cases.slope.unsqueeze(2) * (cases.x.unsqueeze(1) - cases.x.unsqueeze(2))
    squares = torch.einsum("bird,bde,bire->bir", pairs, second.expand(len(pairs), -1, -1), pairs)
    return (cases.curvature * squares.mean(2)).mean(1) / 2


def regularisers(cases: Cases, first: Tensor, second: Tensor) -> Tensor:
    """R1 + R2, (b,)."""
    return slope_regulariser(cases, first) + gradient_regulariser(cases, second)


def printed_reach(cases: Cases, share: Tensor, norm: Tensor) -> Tensor:
    """eps_i sqrt(d) |grad f| = R_i `share` `norm` |grad f|, (b, m), where norm (b, 1) is c_x sqrt(d)."""
    return (cases.slope * cases.x).sum(2).abs() / cases.norms * norm * share


def added_to_second_order(cases: Cases, reach: Tensor, factor: float = 1.0) -> Tensor:
    """The mean of l~_adv(eta) - l, (b,), reach (b, m) being eta |grad f|, with `factor` in the last term."""
    return (reach * cases.residual + factor * reach**2 * cases.curvature / 2).mean(1)


def added_by_attack(cases: Cases, reach: Tensor) -> Tensor:
    """The mean of max l - l, (b,), where the attack moves f by at most reach (b, m)."""
    margin = cases.side * cases.f
    return (softplus(reach - margin) - softplus(-margin)).mean(1)
