"""Attacks: points of a ball about each sample at which the loss is large; lower bounds of the adversarial loss

    max_{|delta|_p <= eta} l(f(x + delta), y),    p = 2 or inf.

The fast gradient method of Goodfellow et al. (2015), one step to the sphere; and projected gradient ascent with
restarts (Madry et al., 2018).  Neither leaves a sample worse than it was: the loss is never below the clean one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory._validation import require_at_least, require_data, require_eval_mode, require_kind
from msda_theory.bounds._ball import per_sample, require_norm
from msda_theory.losses import Logistic, Loss

REACH = 2.5  # all steps together, in radii, as Madry et al. have it: any start reaches any point of the ball


@dataclass(frozen=True)
class Attack:
    """The attacked samples x (m, ...) and their losses (m,)."""

    x: Tensor
    loss: Tensor

    def better(self, other: Attack) -> Attack:
        """The larger loss of the two, sample by sample."""
        gain = other.loss > self.loss
        return Attack(torch.where(_over(gain, self.x), other.x, self.x), torch.where(gain, other.loss, self.loss))


def projected_gradient(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    loss: Loss | None = None,
    *,
    norm: float = 2,
    steps: int = 40,
    restarts: int = 4,
    seed: int | None = None,
) -> Attack:
    """The largest loss met by projected gradient ascent from x and from `restarts` random points of the ball.

    Steps of 2.5 radius / steps along the normalised gradient (p = 2) or its sign (p = inf).  x (m, ...), y (m,) or
    (m, K), radius a float or (m,), loss Logistic() unless given.

    Raises ValueError for a radius <= 0, a norm other than 2 and inf, and a model in train mode that depends on the
    batch or on chance.
    """
    problem = _Problem(model, x, y, radius, loss, norm)
    require_at_least("steps", steps, 1, "steps of ascent")
    require_at_least("restarts", restarts, 0, "random starts beside x itself")
    generator = torch.Generator()
    generator.seed() if seed is None else generator.manual_seed(seed)
    centre = torch.zeros_like(problem.x)
    best = problem.at(centre)
    for start in (centre, *(problem.random(generator) for _ in range(restarts))):
        moved = start
        for _ in range(steps):
            moved = problem.projected(moved + REACH / steps * problem.steepest(moved))
            best = best.better(problem.at(moved))
    return best


def fast_gradient(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    loss: Loss | None = None,
    *,
    norm: float = math.inf,
) -> Attack:
    """One step from x to the sphere along the gradient's sign (p = inf) or the gradient (p = 2), or x itself where
    that is no better.  Arguments and errors as in `projected_gradient`.
    """
    problem = _Problem(model, x, y, radius, loss, norm)
    centre = torch.zeros_like(problem.x)
    return problem.at(centre).better(problem.at(problem.steepest(centre)))


class _Problem:
    """The checked arguments of an attack; points of the balls are given by their displacement (m, ...) from x."""

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        x: Tensor,
        y: Tensor,
        radius: float | Tensor,
        loss: Loss | None,
        norm: float,
    ) -> None:
        self.loss = Logistic() if loss is None else loss
        require_kind("loss", self.loss, Loss)
        require_data(x, y, least=1)
        require_norm(norm)
        require_eval_mode(model)
        self.model, self.x, self.norm = model, x.detach(), norm
        self.radius = _over(per_sample(radius, x).detach(), x)
        with torch.no_grad():
            self.labels = self.loss.prepare(y, outputs(model, self.x))

    def at(self, moved: Tensor) -> Attack:
        x = self.x + moved
        with torch.no_grad():
            return Attack(x, self.loss(outputs(self.model, x), self.labels))

    def steepest(self, moved: Tensor) -> Tensor:
        """Where in the ball the loss, linearised at x + moved, is largest."""
        with torch.enable_grad():
            at = (self.x + moved).requires_grad_()
            (slope,) = torch.autograd.grad(self.loss(outputs(self.model, at), self.labels).sum(), at)
        return self.radius * (slope.sign() if self.norm == math.inf else slope / _positive(_length(slope)))

    def projected(self, moved: Tensor) -> Tensor:
        if self.norm == math.inf:
            return moved.clamp(-self.radius, self.radius)
        return moved * (self.radius / _positive(_length(moved))).clamp(max=1)

    def random(self, generator: torch.Generator) -> Tensor:
        """A uniform draw of each ball; on the CPU, so that it is the same on every device."""
        draw = partial(torch.rand, generator=generator, dtype=self.x.dtype)
        if self.norm == math.inf:
            return self.radius * (2 * draw(self.x.shape) - 1).to(self.x)
        normal = torch.randn(self.x.shape, generator=generator, dtype=self.x.dtype)
        share = _over(draw(len(normal)), normal) ** (1 / normal[0].numel())
        return self.radius * (share * normal / _positive(_length(normal))).to(self.x)


def _length(moved: Tensor) -> Tensor:
    """The l2 norm of each row of (m, ...), as (m, 1, ...)."""
    return _over(moved.flatten(1).norm(dim=1), moved)


def _positive(length: Tensor) -> Tensor:
    """Lengths to divide by: a zero vector stays zero."""
    return length.clamp_min(torch.finfo(length.dtype).tiny)


def _over(values: Tensor, x: Tensor) -> Tensor:
    """Values (m,) as (m, 1, ...), to be spread over x (m, ...)."""
    return values.reshape(-1, *[1] * (x.ndim - 1))
