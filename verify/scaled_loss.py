"""The MSDA loss with every move of a sample shortened to a share eps: Phi(eps), by enumeration.

A sample meets its partner r in two roles and is moved by N = 1-M in the first, N = M in the second
(`msda_theory.augmentation`).  With eps N in place of N,

    Phi(eps) = 1/m^2 sum_i sum_r sum_k [ first_k  l(x_i + eps (1-M_k) * (r - x_i), y_i)
                                       + second_k l(x_i + eps M_k     * (r - x_i), y_i) ],

where first_k = E[w; M = M_k] and second_k = E[1-w; M = M_k] come from `Augmentation.table`.  Phi(0) = L_m, and Phi(1)
is the exact loss: eq. (4) of Park et al. with the sum over pairs split by role.  It is made of values of the loss
alone, a channel of its own: no derivative, no expansion, no code of `msda_theory.exact`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory._sharding import in_parts, total
from msda_theory.augmentation import Augmentation, MixTable
from msda_theory.losses import Loss
from msda_theory.quadrature import LAST_ORDER, ToleranceError

FIRST_ORDER = 8
MOMENT_TOLERANCE = 1e-10
LARGEST_EVALUATION = 2**27
CHUNK_ELEMENTS = 2**21


@dataclass(frozen=True)
class Shares:
    """The law of N that a sample sees, both roles together: N (S, *shape) and weights (S,).

    `error` is what the first two moments of N may be off by, from the quadrature over the ratio.
    """

    values: Tensor
    weights: Tensor
    error: float


@dataclass(frozen=True)
class ScaledLoss:
    """Phi(eps), the mean size of its terms |h| + |y . f|, and their number."""

    value: float
    size: float
    terms: int


def shares(augmentation: Augmentation) -> Shares:
    """The law of N from a table whose order is doubled until the moments of N move by <= MOMENT_TOLERANCE.

    Between breaks the moments are smooth in the ratio, so the last move bounds the error of the last table.  Where the
    average over the ratio is a finite sum, the table is exact and there is nothing to double.
    """
    if augmentation.exact_in_ratio:
        return Shares(*_both_roles(augmentation.table(1)), error=0.0)
    order, before, error = FIRST_ORDER, torch.tensor(torch.nan), math.inf
    while not error <= MOMENT_TOLERANCE:
        if order > LAST_ORDER:
            raise ToleranceError(
                f"the order test: the moments of {augmentation.mask!r} still move by {error:.1e} with "
                f"{order // 2} nodes between breaks, allowed are {MOMENT_TOLERANCE:g}"
            )
        values, weights = _both_roles(augmentation.table(order))
        moments = _moments(values.flatten(1), weights)
        error, before, order = float((moments - before).abs().max()), moments, 2 * order
    return Shares(values, weights, error)


def _moments(given: Tensor, weights: Tensor) -> Tensor:
    """E[N_j] in the first row, E[N_j N_k] below."""
    return torch.cat([(weights @ given).unsqueeze(0), given.T @ (weights.unsqueeze(-1) * given)])


def _both_roles(table: MixTable) -> tuple[Tensor, Tensor]:
    values, weights = torch.cat([1 - table.masks, table.masks]), torch.cat([table.first, table.second])
    return values[weights > 0], weights[weights > 0]


def scaled_loss(
    model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, labels: Tensor, law: Shares, eps: float
) -> ScaledLoss:
    """Phi(eps) for x (m, ..., *shape) in float64 and labels (m, K), as `Loss.prepare` makes them."""
    m, lead = len(x), [1] * (x.ndim - law.values.ndim)
    moves = law.values.to(x).reshape(len(law.values), 1, *lead, *law.values.shape[1:])
    weights = law.weights.to(x)
    block = max(1, CHUNK_ELEMENTS // x.numel())

    def sums(part: tuple[int, Tensor]) -> Tensor:
        i, now = part
        towards = (x - x[i]).unsqueeze(0)
        f = outputs(model, (x[i] + eps * moves[now] * towards).flatten(0, 1)).unflatten(0, (len(now), m))
        smooth, linear = loss.h(f), (labels[i] * f).sum(-1)
        return torch.stack(
            [weights[now] @ (smooth - linear).sum(1), weights[now] @ (smooth.abs() + linear.abs()).sum(1)]
        )

    parts = [(i, now) for i in range(m) for now in torch.arange(len(moves)).split(block)]
    value, size = map(total, in_parts("loss of shortened moves", sums, parts).T.tolist())
    return ScaledLoss(value / m**2, size / m**2, m**2 * len(moves))


def require_affordable(x: Tensor, law: Shares) -> None:
    evaluations = len(x) ** 2 * len(law.values)
    if evaluations > LARGEST_EVALUATION:
        raise ValueError(
            f"the order test of x of shape {tuple(x.shape)} needs {evaluations:.1e} evaluations of the model at each "
            f"eps, allowed are {LARGEST_EVALUATION:.1e}; use fewer samples"
        )
