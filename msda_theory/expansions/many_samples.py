"""The second-order expansion of the n-Mixup loss about the data: Theorem 5 of Park et al., App. B.

    L  =  L_m + R1 + R2 + R3 + remainder,

    R1 = first/m sum_i (h'(f_i) - y_i) . J_i (rbar - x_i)
    R2 = 1/2m    sum_i tr( h''(f_i) J_i V_i J_i^T )
    R3 = 1/2m    sum_i tr( V_i nabla^2 [(h'(f_i) - y_i) . f](x_i) )
    V_i = same * C_i + cross * (rbar - x_i)(rbar - x_i)^T

with f_i = f(x_i), J_i its Jacobian, rbar the mean input and C_i = E_r[(r-x_i)(r-x_i)^T].  A sample keeps its label with
the weight lambda_1 of its own ratio and is moved by sum_{j>=2} lambda_j (r_j - x_i), its n-1 partners r_j drawn
independently; so a partner meets itself with sum_j lambda_j^2 and another one with the rest of (1-lambda_1)^2:

    first = E_D~[1-lambda_1],  same = E_D~[sum_{j>=2} lambda_j^2],  cross = E_D~[(1-lambda_1)^2] - same,

D~ the label-weighted mixture `Dirichlet.label_weighted`.  With n = 2, cross = 0 and the terms are those of Mixup.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory._validation import require_data, require_eval_mode, require_kind
from msda_theory.expansions.moves import moves_of
from msda_theory.expansions.second_order import TaylorLoss, Terms, as_numbers, terms_of_moves
from msda_theory.losses import Loss
from msda_theory.simplex_ratios import Dirichlet


@dataclass(frozen=True)
class PartnerMoments:
    """Moments of the shares N_j that a sample sees of its n-1 partners, with the label weight of its own role.

    first : E[sum_j N_j]    same : E[sum_j N_j N_j^T]    cross : E[sum_{j != l} N_j N_l^T]

    Numbers where the shares are ratios, as in n-Mixup; first (d,), same and cross (d, d) where they are masks.
    """

    first: float | Tensor
    same: float | Tensor
    cross: float | Tensor


def n_mixup_terms(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    ratios: Dirichlet,
    *,
    as_printed: bool = False,
) -> TaylorLoss:
    """L_m + R1 + R2 + R3 for any callable or `nn.Module`, any alpha, data with any mean, vector outputs.

    `as_printed=True` ends the sums over the partners' lambda_j^2 at j = m, the number of samples, as Theorem 5 does,
    and takes the index mod n, as the paper does; it is the default where m = n.

    Raises
    ------
    ValueError, TypeError
        as `n_mixup_loss` does.
    TransformRefusedError
        where torch cannot differentiate the model a sample at a time; the message says what to do.

    Warns
    -----
    ZeroHessianNotice
        if the Hessian vanishes at every sample of a network that is not affine (ReLU).
    """
    require_kind("loss", loss, Loss)
    require_kind("ratios", ratios, Dirichlet)
    require_data(x, y)
    require_eval_mode(model)
    moments = partner_moments(ratios, range(1, len(x) if as_printed else len(ratios)))
    with torch.no_grad():
        labels = loss.prepare(y, outputs(model, x))
        terms = partner_terms(model, loss, x, labels, moments)
        return as_numbers(terms, model, x, "printed" if as_printed else "default")


def partner_moments(ratios: Dirichlet, partners: Iterable[int]) -> PartnerMoments:
    """`first`, `same` and `cross` under D~, with lambda_j^2 summed over `partners`, 0-based and mod n."""
    n, law = len(ratios), ratios.label_weighted()

    def mean(*indices: int) -> float:
        """E_D~ of the product of the ratios named."""
        return law.moment([indices.count(k) for k in range(n)])

    others = range(1, n)
    same = math.fsum(mean(j % n, j % n) for j in partners)
    whole = math.fsum(mean(j, k) for j in others for k in others)
    return PartnerMoments(math.fsum(mean(j) for j in others), same, whole - same)


def partner_terms(
    model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, labels: Tensor, moments: PartnerMoments
) -> Terms:
    """The terms for given moments of the partners' shares, differentiable in the model's parameters."""
    values = moments.first, moments.same, moments.same + moments.cross
    first, same, both = (torch.as_tensor(value, dtype=torch.float64) for value in values)
    moves = moves_of(x, torch.atleast_2d(same), torch.atleast_2d(both), torch.atleast_1d(first))
    return terms_of_moves(model, loss, x, labels, moves)
