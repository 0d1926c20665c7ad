"""The order test (`verify.order`) for n samples: every move of a sample towards its n-1 partners shortened to eps.

    Phi(eps) = 1/m^n sum_i sum_{r_2..r_n} E[ sum_k lambda_k l(x_i + eps sum_{j>=2} lambda_{k+j-1} (r_j - x_i), y_i) ],

k the role that sample i plays and indices mod n.  Phi(0) = L_m, and Phi(1) is the n-Mixup loss of Park et al., App. B,
with the sum over tuples split by role.  It is made of values of the loss alone, no code of `msda_theory.exact_many`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from msda_theory import Dirichlet, TaylorLoss
from msda_theory._model import outputs
from msda_theory.expansions import n_mixup_terms
from msda_theory.losses import Loss
from verify.order import OrderFit, fit_order
from verify.scaled_loss import CHUNK_ELEMENTS, LARGEST_EVALUATION, ScaledLoss

#: nodes an axis: exact to degree 15 in the ratios, and so up to eps^16; the moments are exact
ORDER = 8
#: of moments of degree three, which are rounded once a node and once a Gamma function
MOMENT_ERROR = 64 * torch.finfo(torch.float64).eps


def n_remainder_order(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    ratios: Dirichlet,
    *,
    theory: TaylorLoss | None = None,
) -> OrderFit:
    """The order of the remainder of `theory` (by default `n_mixup_terms`) as the partners' ratios are scaled to zero.

    Model and x are float64; raises NoWindowError and ValueError as `remainder_order` does.
    """
    theory = theory or n_mixup_terms(model, loss, x, y, ratios)
    evaluations = len(ratios) * len(x) ** len(ratios) * ORDER ** (len(ratios) - 1)
    if evaluations > LARGEST_EVALUATION:
        raise ValueError(
            f"the order test of {len(x)} samples mixed {len(ratios)} at a time needs {evaluations:.1e} evaluations of "
            f"the model at each eps, allowed are {LARGEST_EVALUATION:.1e}; use fewer samples"
        )
    with torch.no_grad():
        f = outputs(model, x)
        if not x.dtype == f.dtype == torch.float64:
            raise TypeError(f"x has dtype {x.dtype}, the model's outputs {f.dtype}: the order test needs torch.float64")
        labels = loss.prepare(y, f)
        return fit_order(
            lambda eps: scaled_n_loss(model, loss, x, labels, ratios, eps), theory, x[0].numel(), MOMENT_ERROR
        )


def scaled_n_loss(
    model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, labels: Tensor, ratios: Dirichlet, eps: float
) -> ScaledLoss:
    """Phi(eps) for x (m, ...) in float64 and labels (m, K), as `Loss.prepare` makes them."""
    m, n, rule = len(x), len(ratios), ratios.rule(ORDER)
    nodes, weights = (torch.from_numpy(values).to(x.device) for values in (rule.ratios, rule.weights))
    partners = torch.cartesian_prod(*[torch.arange(m, device=x.device)] * (n - 1)).reshape(-1, n - 1)
    block = max(1, CHUNK_ELEMENTS // (len(partners) * x[0].numel()))
    value, size = 0.0, 0.0
    for k in range(n):
        turned = nodes.roll(-k, 1)
        for now in torch.arange(len(rule)).split(block):
            own, shares = weights[now] * turned[now, 0], turned[now, 1:]
            towards = torch.einsum("qj,tj...->qt...", shares, x[partners])
            kept = (1 - eps * shares.sum(1)).reshape(-1, *[1] * x.ndim)
            for i in range(m):
                moved = kept * x[i] + eps * towards
                f = outputs(model, moved.flatten(0, 1)).unflatten(0, (len(now), len(partners)))
                smooth, linear = loss.h(f), (labels[i] * f).sum(-1)
                value += float(own @ (smooth - linear).sum(1))
                size += float(own @ (smooth.abs() + linear.abs()).sum(1))
    return ScaledLoss(value / m**n, size / m**n, n * len(rule) * m**n)
