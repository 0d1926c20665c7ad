"""Problems on which the loss is quadratic in the mask, so that a second-order expansion of it must be exact.

Linear f with the squared loss (h quadratic), and quadratic f with a linear h; two outputs, data not centred unless
asked for.  What is left between theory and oracle there is rounding, or a finding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory import Augmentation, exact_loss, taylor_loss
from msda_theory.losses import ElementwiseLoss, Loss, Squared
from verify import tolerances

OUTPUTS = 2
QUADRATURE_RTOL = 1e-12


class LinearH(ElementwiseLoss):
    """h(f) = 1.75 f: a loss without curvature of its own."""

    def scalar(self, f: Tensor, order: int) -> Tensor:
        return (1.75 * f, torch.full_like(f, 1.75), torch.zeros_like(f))[order]


@dataclass(frozen=True)
class ExactProblem:
    name: str
    model: Callable[[Tensor], Tensor]
    loss: Loss
    x: Tensor
    y: Tensor


def exact_problems(shape: tuple[int, ...], *, samples: int = 6, centred: bool, seed: int) -> Iterator[ExactProblem]:
    """Both kinds, float64, with random coefficients of order one over the number of pixels."""
    draw = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=draw, dtype=torch.float64)

    x, y = normal(samples, *shape) + 0.7, normal(samples, OUTPUTS)
    if centred:
        x = x - x.mean(0)
    d = x[0].numel()
    w, quadratic = normal(d, OUTPUTS) / d**0.5, normal(OUTPUTS, d, d) / d

    def linear(z: Tensor) -> Tensor:
        return z.flatten(1) @ w

    def bent(z: Tensor) -> Tensor:
        flat = z.flatten(1)
        return linear(z) + torch.einsum("nj,kjl,nl->nk", flat, quadratic, flat)

    yield ExactProblem("linear f, squared loss", linear, Squared(), x, y)
    yield ExactProblem("quadratic f, linear h", bent, LinearH(), x, y)


@dataclass(frozen=True)
class Residual:
    """|exact - theory| and the size below which it is rounding."""

    name: str
    value: float
    tolerance: float

    @property
    def within(self) -> bool:
        return self.value <= self.tolerance


def residual(problem: ExactProblem, augmentation: Augmentation, *, as_printed: bool = False) -> Residual:
    """The library's expansion against its oracle; the tolerance adds quadrature error and derived rounding."""
    p = problem
    exact = exact_loss(p.model, p.loss, p.x, p.y, augmentation, rtol=QUADRATURE_RTOL)
    theory = taylor_loss(p.model, p.loss, p.x, p.y, augmentation, as_printed=as_printed)
    terms = [exact.value, *(getattr(theory, k) for k in ("standard", "r1", "r2", "r3"))]
    scale = max(abs(t) for t in terms)
    rounding = tolerances.rounding(torch.float64, scale, p.x[0].numel() ** 2)
    return Residual(f"{p.name}, {augmentation.mask!r}", abs(exact.value - theory.total), exact.error + rounding)
