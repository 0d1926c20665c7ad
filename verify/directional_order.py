"""The order test for the expansion to order J (`msda_theory.expansions.all_orders`): how fast its remainder vanishes.

With eps a in place of a = 1-lambda, the loss is Phi(eps) (`verify.scaled_loss`) and the expansion that of the law of
eps a.  Where the loss is J+1 times differentiable along the segments, the remainder is K eps^(J+1) + O(eps^(J+2)); a
wrong term of order j leaves slope j.  The window and its noise floor are those of `verify.order`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from msda_theory import Augmentation, RatioLaw, TaylorLoss
from msda_theory._model import outputs
from msda_theory.expansions.all_orders import Share, directional_terms
from msda_theory.expansions.directions import output_derivatives
from msda_theory.losses import Loss
from msda_theory.masks import Mixup
from verify.order import OrderFit, fit_order
from verify.scaled_loss import ScaledLoss, scaled_loss, shares

NOTHING = TaylorLoss(0.0, 0.0, 0.0, 0.0, "none")


def directional_remainder_order(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    ratio: RatioLaw,
    order: int,
    *,
    form: str = "plain",
    factor: float = 1.0,
) -> OrderFit:
    """The slope of the remainder of the expansion to the given order, all float64.

    `factor` multiplies the derivatives of the highest order, to plant a wrong one.  Raises as `remainder_order` does.
    """
    with torch.no_grad():
        f = outputs(model, x)
        if not x.dtype == f.dtype == torch.float64:
            raise TypeError(f"x has dtype {x.dtype}, the model's outputs {f.dtype}: the order test needs torch.float64")
        labels, share = loss.prepare(y, f), Share.of(ratio, order)
        law = shares(Augmentation(ratio, Mixup(tuple(x.shape[1:]))))
        towards = output_derivatives(model, x, order, torch.arange(len(x)))
        towards[order] *= factor

        def remainder(eps: float) -> ScaledLoss:
            exact = scaled_loss(model, loss, x, labels, law, eps)
            expansion = float(directional_terms(towards, loss, labels, share.scaled(eps), form).sum())
            return ScaledLoss(exact.value - expansion, exact.size, exact.terms)

        return fit_order(remainder, NOTHING, x[0].numel(), law.error)
