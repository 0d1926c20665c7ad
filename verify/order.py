"""The order test: with N = 1-M scaled by eps, how fast does the remainder of the expansion vanish?

Theorem 1 of Park et al. (Lemma 3.1 of Zhang et al.) leaves a remainder o(N^2).  With eps N in place of N, the exact
loss is Phi(eps) (`verify.scaled_loss`) and the theory L_m + eps R1 + eps^2 (R2 + R3).  If the loss is three times
differentiable along the segments between samples,

    rho(eps) = Phi(eps) - (L_m + eps R1 + eps^2 (R2 + R3)) = K eps^3 + O(eps^4),

so that the slope of log|rho| against log eps is 3.  A wrong R2 or R3 leaves slope 2, a wrong R1 slope 1, a wrong L_m
slope 0.  A slope above 3 is no failure: K may be zero, or small, by accident.  For a ReLU network the slope tells how
many segments cross a kink, and no order is claimed.

The window.  eps = 2^-16, 2^-15, ..., 1/2 and 1.  The noise floor at eps is

    floor(eps) = (d + log2 n) u S + eps q S,

u = 2^-52; S the mean size |h| + |y . f| of the n summed terms; d the size of a sample, the length of the inner
products in an evaluation (rounding moves an inner product by at most d u times its terms); log2 n the depth of a
pairwise sum; q the error of the moments of N from quadrature over the ratio, which enters R1 and so is proportional to
eps.  An eps is clear if |rho| > `CLEAR` floors: noise then moves a local slope by no more than log2(1 + 1/CLEAR) =
0.015, even where it is as large as its floor.  Fitted, by least squares, are the `WIDTH` smallest clear eps, where
K eps^3 dominates what follows it.
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
from verify.scaled_loss import ScaledLoss, require_affordable, scaled_loss, shares

SMALLEST = 16
WIDTH = 5
CLEAR = 100.0


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

    `window` holds the eps that were fitted, increasing, `local_slopes` the slopes between neighbours there, and
    `points` all that were computed.
    """

    slope: float
    window: tuple[float, ...]
    local_slopes: tuple[float, ...]
    points: tuple[Point, ...]

    def __str__(self) -> str:
        if not self.window:
            worst = max(abs(p.remainder) / p.floor for p in self.points)
            return f"order of the remainder: the expansion is exact, |remainder| <= {worst:.2g} noise floors"
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
        labels, law = loss.prepare(y, f), shares(augmentation)
        require_affordable(x, law)
        return fit_order(lambda eps: scaled_loss(model, loss, x, labels, law, eps), theory, x[0].numel(), law.error)


def fit_order(phi: Callable[[float], ScaledLoss], theory: TaylorLoss, size: int, moment_error: float) -> OrderFit:
    """The order of the remainder of `theory` against Phi; for the noise floor d, `size`, and q, `moment_error`."""
    points = tuple(_points(phi, theory, size, moment_error))
    clear = [p for p in points if p.clear][:WIDTH]
    if not clear:
        return OrderFit(math.inf, (), (), points)
    if len(clear) < WIDTH:
        raise NoWindowError(
            f"no window for the order of the remainder: it exceeds {CLEAR:g} noise floors at {len(clear)} of "
            f"{len(points)} eps, a slope needs {WIDTH}; at eps = 1 it is {points[-1].remainder:.1e}, the floor "
            f"{points[-1].floor:.1e}"
        )
    abscissa, ordinate = (np.log2(np.abs([getattr(p, k) for p in clear])) for k in ("eps", "remainder"))
    slope = float(np.polyfit(abscissa, ordinate, 1)[0])
    local = tuple(float(s) for s in np.diff(ordinate) / np.diff(abscissa))
    return OrderFit(slope, tuple(p.eps for p in clear), local, points)


def _points(phi: Callable[[float], ScaledLoss], theory: TaylorLoss, size: int, moment_error: float) -> Iterator[Point]:
    """From the smallest eps up until `WIDTH` are clear, and eps = 1."""
    needed = WIDTH
    for eps in track([2.0**-k for k in range(SMALLEST, -1, -1)], "order of the remainder"):
        if needed == 0 and eps < 1:
            continue
        exact = phi(eps)
        expansion = theory.standard + eps * theory.r1 + eps**2 * (theory.r2 + theory.r3)
        rounding = (size + math.log2(exact.terms)) * torch.finfo(torch.float64).eps
        point = Point(eps, exact.value - expansion, (rounding + eps * moment_error) * exact.size)
        needed -= point.clear and needed > 0
        yield point
