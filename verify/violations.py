"""A search for parameters at which an inequality lower <= upper is violated: random draws, then gradient ascent.

The hypotheses hold by construction: `sides` maps every row of free parameters to a case that meets them, and gives
both sides there.  A search that finds nothing proves nothing; its figures say how hard it tried and how close it came.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Sides = Callable[[Tensor], tuple[Tensor, Tensor]]  # (cases, p) -> lower (cases,), upper (cases,)


@dataclass(frozen=True)
class Search:
    """What a search found.  Margins are (lower - upper) / (|lower| + |upper|): above 0 the inequality is violated."""

    trials: int
    ascents: int
    worst: float
    tightness: float
    at: Tensor

    def figures(self, name: str) -> dict[str, float | int]:
        """For a claim's evidence."""
        return {
            f"{name}: cases drawn": self.trials,
            f"{name}: ascents from the worst of them": self.ascents,
            f"{name}: worst margin": self.worst,
            f"{name}: largest ratio of the sides": self.tightness,
        }


def search(
    sides: Sides,
    parameters: int,
    *,
    trials: int = 2000,
    ascents: int = 32,
    steps: int = 200,
    scale: float = 2.0,
    seed: int = 0,
) -> Search:
    """Draws rows of `parameters` normal numbers of standard deviation e^u, u uniform on [-log scale, log scale], then
    climbs from the worst ones by Adam on the margin.  Cases with a side that is not finite are left out.
    """
    generator = torch.Generator().manual_seed(seed)
    spread = scale ** (2 * torch.rand(trials, 1, generator=generator, dtype=torch.float64) - 1)
    drawn = spread * torch.randn(trials, parameters, generator=generator, dtype=torch.float64)
    starts = drawn[margins(sides, drawn).argsort(descending=True)[:ascents]]
    tried = torch.cat([drawn, climb(sides, starts, steps)])
    found = margins(sides, tried)
    with torch.no_grad():
        lower, upper = sides(tried)
    ratios = torch.where(torch.isfinite(found) & (upper > 0), lower / upper, -torch.inf)
    worst = int(found.argmax())
    return Search(trials, len(starts), float(found[worst]), float(ratios.max()), tried[worst])


def margins(sides: Sides, at: Tensor) -> Tensor:
    """The margin of each row, -inf where a side is not finite."""
    with torch.no_grad():
        return torch.nan_to_num(_margin(sides, at), nan=-torch.inf, posinf=-torch.inf)


def climb(sides: Sides, starts: Tensor, steps: int, rate: float = 0.05) -> Tensor:
    """The best row met on each ascent of the margin."""
    at = starts.clone().requires_grad_()
    best, height = starts.clone(), margins(sides, starts)
    optimiser = torch.optim.Adam([at], lr=rate, maximize=True)
    for _ in range(steps):
        (slope,) = torch.autograd.grad(_height(sides, at).nansum(), at)
        at.grad = torch.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0)
        optimiser.step()
        reached = margins(sides, at)
        better = reached > height
        best[better], height[better] = at.detach()[better], reached[better]
    return best


def _margin(sides: Sides, at: Tensor) -> Tensor:
    lower, upper = sides(at)
    size = lower.abs() + upper.abs()
    return torch.where(size == 0, 0.0, (lower - upper) / size.clamp_min(torch.finfo(size.dtype).tiny))


def _height(sides: Sides, at: Tensor) -> Tensor:
    """What is climbed: the margin, or, where it is -1 or 1 whatever the sides, as their signs differ, lower - upper."""
    lower, upper = sides(at)
    size = (lower.abs() + upper.abs()).clamp_min(torch.finfo(lower.dtype).tiny)
    return (lower - upper) / torch.where(lower * upper > 0, size, size.detach())
