"""The order test: with N = 1-M scaled by eps, how fast does the remainder of the expansion vanish?

Theorem 1 of Park et al. (Lemma 3.1 of Zhang et al.) leaves a remainder o(N^2).  With eps N in place of N, the exact
loss is Phi(eps) (`verify.scaled_loss`) and the theory L_m + eps R1 + eps^2 (R2 + R3).  If the loss is three times
differentiable along the segments between samples,

    rho(eps) = Phi(eps) - (L_m + eps R1 + eps^2 (R2 + R3)) = K eps^3 + O(eps^4),

so that the slope of log|rho| against log eps is 3.  A wrong R2 or R3 leaves slope 2, a wrong R1 slope 1, a wrong L_m
slope 0.  Slope 4 is no failure: K may vanish, as it does for an odd network on data symmetric about zero.  For a ReLU
network the slope tells how often a segment crosses a kink, and no order is claimed.

The window.  eps = 1, 1/2, 1/4, ..., 2^-20, ending early after `QUIET` successive eps whose |rho| is lost in noise.  The
noise floor at eps is

    floor(eps) = (d + log2 n) u S + eps q S,

u = 2^-52; S the mean size |h| + |y . f| of the n summed terms; d the size of a sample, the length of the inner products
in an evaluation (rounding of an inner product is at most d u times its terms); log2 n the depth of a pairwise sum; q the
error of the moments of N from quadrature over the ratio, which enters the slope R1 and so is proportional to eps.  Kept
are the eps at which |rho| > `CLEAR` floors, so that noise moves a local slope by no more than log2(1 + 1/CLEAR) = 0.015
even if the floor is what the noise is; and of those the `WIDTH` smallest, where K eps^3 dominates what follows it.  The
slope is the least-squares line through these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from msda_theory import Augmentation, TaylorLoss, taylor_loss
from msda_theory._model import outputs
from msda_theory._progress import track
from msda_theory.losses import Loss
from verify.scaled_loss import require_affordable, scaled_loss, shares

SMALLEST = 20
WIDTH = 5
CLEAR = 100.0
QUIET = 3


class NoWindowError(ValueError):
    """The remainder stands clear of its noise floor at too few eps for a slope."""


@dataclass(frozen=True)
class Point:
    """The signed remainder at one eps, and its noise floor."""

    eps: float
    remainder: float
    floor: float

    @property
    def clear(self) -> bool:
        return abs(self.remainder) > CLEAR * self.floor


@dataclass(frozen=True)
class OrderFit:
    """The slope of log|remainder| against log eps; inf where the remainder is zero to rounding at every eps.

    `window` holds the eps that were fitted, increasing; `local_slopes` the slopes between neighbours in it.
    """

    slope: float
    window: tuple[float, ...]
    local_slopes: tuple[float, ...]
    points: tuple[Point, ...]

    def __str__(self) -> str:
        if not self.window:
            worst = max(abs(p.remainder) / p.floor for p in self.points)
            return f"order of the remainder: the expansion is exact, |remainder| <= {worst:.2g} rounding floors"
        local = ", ".join(f"{s:.3f}" for s in self.local_slopes)
        rows = [p for p in self.points if p.eps in self.window or p.eps == 1]
        lines = [f"  2^{math.log2(p.eps):<6.0f}{p.remainder:>+16.3e}{p.floor:>12.1e}" for p in rows]
        head = f"order of the remainder: {self.slope:.3f} (local slopes {local})"
        return "\n".join([head, f"  {'eps':<8}{'remainder':>16}{'floor':>12}", *lines])


def remainder_order(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    augmentation: Augmentation,
    *,
    theory: TaylorLoss | None = None,
) -> OrderFit:
    """The order of the remainder of `theory` (by default `taylor_loss`) as N is scaled to zero.

    Model and x are float64; arguments as for `taylor_loss`.  The rule for the window stands at the top of this module.

    Raises
    ------
    NoWindowError
        where the remainder is neither clear of its floor at `WIDTH` eps nor below it at all.
    NotEnumerableError, ToleranceError, ValueError
        where the masks cannot be enumerated, the average over the ratio does not converge, or the sum is too long.
    """
    theory = theory or taylor_loss(model, loss, x, y, augmentation)
    with torch.no_grad():
        f = outputs(model, x)
        if not x.dtype == f.dtype == torch.float64:
            raise TypeError(f"x has dtype {x.dtype}, the model's outputs {f.dtype}: the order test needs torch.float64")
        points = tuple(_points(model, loss, x, loss.prepare(y, f), augmentation, theory))
    clear = sorted((p for p in points if p.clear), key=lambda p: p.eps)[:WIDTH]
    if not clear:
        return OrderFit(math.inf, (), (), points)
    if len(clear) < WIDTH:
        raise NoWindowError(
            f"no window for the order of the remainder: it exceeds {CLEAR:g} rounding floors at {len(clear)} of "
            f"{len(points)} eps, a slope needs {WIDTH}; at eps = 1 it is {points[0].remainder:.1e}, the floor "
            f"{points[0].floor:.1e}"
        )
    abscissa, ordinate = (np.log2(np.abs([getattr(p, k) for p in clear])) for k in ("eps", "remainder"))
    slope = float(np.polyfit(abscissa, ordinate, 1)[0])
    local = tuple(float(s) for s in np.diff(ordinate) / np.diff(abscissa))
    return OrderFit(slope, tuple(p.eps for p in clear), local, points)


def _points(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    labels: Tensor,
    augmentation: Augmentation,
    theory: TaylorLoss,
) -> Iterator[Point]:
    law = shares(augmentation)
    require_affordable(x, law)
    quiet = 0
    for eps in track([2.0**-k for k in range(SMALLEST + 1)], "order of the remainder"):
        phi = scaled_loss(model, loss, x, labels, law, eps)
        expansion = theory.standard + eps * theory.r1 + eps**2 * (theory.r2 + theory.r3)
        rounding = (x[0].numel() + math.log2(phi.terms)) * torch.finfo(x.dtype).eps
        point = Point(eps, phi.value - expansion, (rounding + eps * law.error) * phi.size)
        yield point
        quiet = 0 if point.clear else quiet + 1
        if quiet == QUIET:
            return
