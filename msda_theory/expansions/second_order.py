"""The second-order expansion of the MSDA loss about the data: Theorem 1 of Park et al., Lemma 3.1 of Zhang et al.

    L  =  L_m + R1 + R2 + R3 + remainder,

    R1 = 1/m  sum_i (h'(f_i) - y_i) . J_i (n * (rbar - x_i))
    R2 = 1/2m sum_i tr( h''(f_i) J_i (A * C_i) J_i^T )
    R3 = 1/2m sum_i tr( (A * C_i) nabla^2 [(h'(f_i) - y_i) . f](x_i) )

with f_i = f(x_i), J_i its Jacobian, rbar the mean input, C_i = E_r[(r-x_i)(r-x_i)^T] over the data, n_j = E[N_j] and
A_jk = E[N_j N_k] the moments of the share N of the partner that a sample sees, and * entrywise.

The paper takes N = 1-M under the tilted law D~, and data with mean zero.  The first is right only where M(lambda) and
1-M(1-lambda) have the same law (Mixup, independent Bernoulli, the released GMix), not for boxes.  The default
takes N over both roles of a sample in its pair (`Augmentation.seen`), and keeps the mean of the data; the printed form
is there on request.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory._validation import require_at_least, require_data, require_eval_mode, require_kind
from msda_theory.augmentation import MOMENT_RTOL, Augmentation, SeenMoments, require_dense
from msda_theory.expansions.along import slope_along, sums_along
from msda_theory.expansions.moves import LEAST_GROUPS, Moves, drawn_moves, exact_moves
from msda_theory.expansions.routes import Route, route_for
from msda_theory.losses import Loss
from msda_theory.quadrature import Array

ZERO_HESSIAN = "the Hessian is zero at every sample (a ReLU network?): R3 is 0, and the expansion misses the kinks"


class ZeroHessianNotice(UserWarning):
    """The network is piecewise linear: its Hessian term R3 is zero almost everywhere."""


@dataclass(frozen=True)
class Terms:
    """The four terms as 0-dim tensors, differentiable in the model's parameters.

    error : one standard error of their sum where the moves were drawn, else 0
    """

    standard: Tensor
    r1: Tensor
    r2: Tensor
    r3: Tensor
    hessian_is_zero: bool
    error: float = 0.0

    @property
    def total(self) -> Tensor:
        return self.standard + self.r1 + self.r2 + self.r3


@dataclass(frozen=True)
class TaylorLoss:
    """L_m and the three regularisers; `total` is the approximate MSDA loss.  `form` is "default" or "printed".

    error : one standard error of the total where directions were drawn, else 0
    """

    standard: float
    r1: float
    r2: float
    r3: float
    form: str
    error: float = 0.0

    @property
    def total(self) -> float:
        return self.standard + self.r1 + self.r2 + self.r3

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {getattr(self, name):.6g}" for name in ("standard", "r1", "r2", "r3"))
        spread = f" +- {self.error:.1g}" if self.error else ""
        return f"{self.total:.10g}{spread} ({parts}; {self.form} form)"


def taylor_loss(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    augmentation: Augmentation,
    *,
    as_printed: bool = False,
    directions: int | None = None,
    seed: int | np.random.Generator | None = None,
) -> TaylorLoss:
    """L_m + R1 + R2 + R3 for any callable or `nn.Module`, any mask law, data with any mean, vector outputs.

    The cost is about one forward pass of the data a direction, of which the complete second moment of the moves
    v = N * (r - x_i) has up to 2d (Mixup: m + 1).

    Parameters
    ----------
    as_printed : eqs. (7)-(8) of Park et al. as they stand: moments of 1-M under D~, and E[r] taken as zero
    directions : draw so many moves instead, at least 16; `error` is the standard error.  For images of any size.
    seed : randomness of the draws

    Raises
    ------
    ValueError, TypeError
        as `exact_loss` does; also for as_printed with label="realised", which the paper does not have.
    TransformRefusedError
        where torch cannot differentiate the model a sample at a time; the message says what to do.

    Warns
    -----
    ZeroHessianNotice
        if the Hessian vanishes at every sample of a network that is not affine (ReLU).

    For f(x) = x and the squared loss there is no third order; R2 = E_D~[(1-lambda)^2]/2 times E_r (r - x_i)^2 = 2:

    >>> from msda_theory import Beta, losses, masks
    >>> x = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    >>> mixup = Augmentation(Beta(1.0, 1.0), masks.Mixup((1,)))
    >>> print(taylor_loss(lambda x: x, losses.Squared(), x, x, mixup))
    -0.3333333333 (standard -0.5, r1 0, r2 0.166667, r3 0; default form)
    """
    require_kind("loss", loss, Loss)
    require_kind("augmentation", augmentation, Augmentation)
    require_data(x, y, augmentation.mask.shape)
    require_eval_mode(model)
    if directions is not None:
        require_at_least("directions", directions, 2 * LEAST_GROUPS, "for a standard error")
        if as_printed:
            raise ValueError(f"directions={directions} with as_printed=True: drawn moves have the default form alone")
    with torch.no_grad():
        labels = loss.prepare(y, outputs(model, x))
        if directions is None:
            moves = exact_moves(
                printed_moments(augmentation) if as_printed else augmentation.seen(), x, centred=as_printed
            )
        else:
            moves = drawn_moves(augmentation, x, directions, seed)
        terms = terms_of_moves(model, loss, x, labels, moves)
        return as_numbers(terms, model, x, "printed" if as_printed else "default")


def as_numbers(terms: Terms, model: Callable[[Tensor], Tensor], x: Tensor, form: str) -> TaylorLoss:
    """The terms as floats, with the notice, for the caller of the caller, where a network's Hessian is missed."""
    if terms.hessian_is_zero and not is_affine(model, x):
        warnings.warn(ZERO_HESSIAN, ZeroHessianNotice, stacklevel=3)
    return TaylorLoss(float(terms.standard), float(terms.r1), float(terms.r2), float(terms.r3), form, terms.error)


def taylor_terms(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    labels: Tensor,
    moments: SeenMoments,
    *,
    centred: bool = False,
) -> Terms:
    """The terms for given moments of N; `centred=True` takes the mean of the data as zero, as the paper does."""
    return terms_of_moves(model, loss, x, labels, exact_moves(moments, x, centred=centred))


def terms_of_moves(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    labels: Tensor,
    moves: Moves,
    route: Route | None = None,
) -> Terms:
    """The terms where sample x_i, its label kept, moves by v; `route` is by default what `route_for` chooses."""
    f = outputs(model, x)
    residual = loss.h1(f) - labels
    curvature = loss.h2(f)
    route = route or route_for(model, x, moves, residual, curvature)
    r1 = slope_along(model, x, moves.drifts, residual, route)
    along = sums_along(model, x, moves, residual, curvature, route)
    r2, r3 = along.gauss / 2, along.curved / 2
    error = standard_error(r1.detach(), (r2 + r3).detach(), moves) if moves.drawn else 0.0
    return Terms(loss(f, labels).mean(), r1.mean(), r2.sum(), r3.sum(), not along.curves, error)


def standard_error(first: Tensor, second: Tensor, moves: Moves) -> float:
    """Over the groups of drawn moves, each of which estimates the sum of the terms."""
    estimates = first + second / moves.shares().to(second)
    return float(estimates.std() / len(estimates) ** 0.5)


def printed_moments(augmentation: Augmentation) -> SeenMoments:
    """E_{D~}[1-lambda] in every coordinate, and E_{D~} a_jk(lambda)  (Park et al., Theorem 1)."""
    if augmentation.label != "nominal":
        raise ValueError("label='realised' with as_printed=True: the paper weighs labels by lambda, label='nominal'")
    require_dense(augmentation.mask)
    tilted, mask = replace(augmentation, ratio=augmentation.ratio.tilted()), augmentation.mask

    def second(order: int) -> tuple[Array, float]:
        total = torch.zeros(mask.size, mask.size, dtype=torch.float64)
        for law, ratio, w_first, w_second in tilted.nodes(order):
            total += (w_first + w_second) * law.second_moment(ratio).to_dense()
        return total.numpy(), 1.0

    values, error = tilted.converged(second, MOMENT_RTOL, f"the printed moments of {mask!r}")
    first = torch.full((mask.size,), tilted.ratio.moment(0, 1), dtype=torch.float64)
    return SeenMoments(first, torch.from_numpy(values), error)


def is_affine(model: Callable[[Tensor], Tensor], x: Tensor) -> bool:
    """Whether f at the midpoint of neighbours in the batch is the mean of f there, to rounding."""
    f = outputs(model, x)
    partner, image = x.roll(1, 0), f.roll(1, 0)
    gap = (outputs(model, (x + partner) / 2) - (f + image) / 2).abs().max()
    return bool(gap <= 1e3 * torch.finfo(x.dtype).eps * (1 + f.abs().max()))
