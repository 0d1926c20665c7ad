"""rho-retentiveness of data: how far the mean curvature of a loss stays above the size of its argument."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory._validation import require_at_least, require_finite, require_finite_positive, require_kind
from msda_theory.losses import Loss

STEPS = 300


@dataclass(frozen=True)
class Retentive:
    """The largest rho, as far as it is known: certified <= largest rho <= rho.

    `rho` is the least ratio met by the search, at `direction` (p,), which is why no larger one will do; `certified`
    holds for every v, and is often much smaller.
    """

    rho: float
    certified: float
    direction: Tensor


def mean_curvature(x: Tensor, v: Tensor, loss: Loss) -> Tensor:
    """a(v) = E A''(v.x) over the rows of x (m, p), for each row of v (b, p): (b,)."""
    outputs = v @ x.mT
    return loss.h2(outputs.reshape(-1, 1)).reshape(outputs.shape).mean(-1)


def curvature_floor(reach: Tensor, loss: Loss) -> float:
    """A lower bound on E A''(t): the mean of the least A'' on |t_i| <= reach_i, reach (m,).

    The least is at an end of the interval, as A'' has one peak, is constant or is monotone (each loss of one output).
    """
    ends = reach.unsqueeze(-1)
    return float(torch.minimum(loss.h2(ends), loss.h2(-ends)).mean())


def retentiveness(
    x: Tensor, loss: Loss, largest_norm: float, *, clipped: bool = True, starts: int = 256, seed: int = 0
) -> Retentive:
    """The largest rho with (E A''(v.x))^2 >= rho min{1, E(v.x)^2} for all ||v|| <= largest_norm, over the rows of x.

    (Zhang et al., sec. 3.3; clipped=False is Park et al., App. D.1, without the min.)  Where A'' is even and falls with
    |t|, as for the logistic loss, the ratio falls along rays and its minimum lies on the sphere: half of the starts
    are there, the others inside.  Without a bound on v there is no rho > 0 for a loss whose A'' tends to 0, unless
    P(x = 0) > 0; and none at all without the min where A'' is bounded.

    Raises ValueError where x is zero throughout.
    """
    require_design(x)
    require_finite_positive("largest_norm", largest_norm)
    require_at_least("starts", starts, 2, "on the sphere and inside")
    if not bool(x.any()):
        raise ValueError("x is zero throughout: needed is some x_i != 0, or every rho will do")
    least, direction = _search(x, loss, largest_norm, clipped, starts, seed)
    size = largest_norm**2 * float(torch.linalg.matrix_norm(x, 2)) ** 2 / len(x)
    floor = curvature_floor(largest_norm * x.norm(dim=-1), loss) ** 2 / (min(1.0, size) if clipped else size)
    return Retentive(least, min(floor, least), direction)


def retentive_level(gamma: float, rho: float, *, as_printed: bool = False) -> float:
    """The bound on s = theta^T Sigma theta that a s <= gamma and a^2 >= rho min{1, s} give.

    max{c, c^(2/3)}, c = gamma / sqrt(rho): from sqrt(rho) s <= gamma where s >= 1, sqrt(rho) s^(3/2) <= gamma where
    s < 1.  Printed: max{(gamma/rho)^(1/2), gamma/rho}, which is larger for rho <= 1.  (Zhang et al., App. A.3.2.)
    """
    require_finite_positive("gamma", gamma)
    require_finite_positive("rho", rho)
    if as_printed:
        return max(math.sqrt(gamma / rho), gamma / rho)
    quotient = gamma / math.sqrt(rho)
    return max(quotient, quotient ** (2 / 3))


def require_design(x: Tensor) -> None:
    require_kind("x", x, Tensor)
    if not x.is_floating_point() or x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"x has shape {tuple(x.shape)}, {x.dtype}: needed is a floating (m, p)")
    require_finite("x", x)


def _ratios(x: Tensor, v: Tensor, loss: Loss, clipped: bool) -> Tensor:
    """a(v)^2 / min{1, E(v.x)^2}, inf where v.x = 0 throughout."""
    size = (v @ x.mT).square().mean(-1)
    return mean_curvature(x, v, loss) ** 2 / (size.clamp_max(1.0) if clipped else size)


def _search(x: Tensor, loss: Loss, largest_norm: float, clipped: bool, starts: int, seed: int) -> tuple[float, Tensor]:
    """Descent by steps along the gradient, projected onto the ball: longer where the ratio falls, halved where not."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(starts, x.shape[1], generator=generator, dtype=torch.float64).to(x)
    radii = torch.rand(starts, 1, generator=generator, dtype=torch.float64).to(x)
    radii[::2] = 1
    at = largest_norm * radii * drawn / drawn.norm(dim=-1, keepdim=True)
    least, step = _ratios(x, at, loss, clipped), torch.full_like(radii, 0.25 * largest_norm)
    for _ in range(STEPS):
        moved = at - step * _unit(_slope(x, at, loss, clipped))
        moved = moved * (largest_norm / moved.norm(dim=-1, keepdim=True)).clamp_max(1.0)
        reached = _ratios(x, moved, loss, clipped)
        better = reached < least
        least, at = torch.where(better, reached, least), torch.where(better.unsqueeze(-1), moved, at)
        step = torch.where(better.unsqueeze(-1), 1.5 * step, step / 2)
    k = int(least.argmin())
    return float(least[k]), at[k]


def _slope(x: Tensor, v: Tensor, loss: Loss, clipped: bool) -> Tensor:
    """NaN or inf where the ratio overflows: a step from there reaches no number, and is not taken."""
    at = v.clone().requires_grad_()
    (slope,) = torch.autograd.grad(_ratios(x, at, loss, clipped).sum(), at)
    return slope


def _unit(v: Tensor) -> Tensor:
    size = v.norm(dim=-1, keepdim=True)
    return v / torch.where(size > 0, size, 1.0)
