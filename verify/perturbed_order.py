"""The Mixup loss of a general loss by enumeration, and the order of the remainder of Carratino et al.'s Theorem 3.

With the perturbations of Theorem 1 shortened to s, about the modified samples (x~_i, y~_i),

    Phi(s) = 1/m^2 sum_ij E_theta l(y~_i + s eps_ij, f(x~_i + s delta_ij)),       Phi(1) = the Mixup loss,

and E_Q with its second-order terms times s^2 leaves K s^3 + O(s^4) for a three times differentiable loss.  It is made
of values of the loss alone: the nodes are those of the ratio law itself, theta the larger of lambda and 1 - lambda.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory import ApproximateRisk, RatioLaw, TaylorLoss
from msda_theory._model import outputs
from msda_theory.general_losses import GeneralLoss
from verify.order import OrderFit, fit_order
from verify.scaled_loss import ScaledLoss

#: nodes on each side of 1/2: moments of lambda are exact to degree 31
ORDER = 16


@dataclass(frozen=True)
class Pairs:
    """The mixed points of all pairs at every node, as the modified sample and what is added to it; weights (n,)."""

    x: Tensor
    y: Tensor
    delta: Tensor
    eps: Tensor
    weights: Tensor


def mixed_pairs(x: Tensor, labels: Tensor, law: RatioLaw) -> Pairs:
    """For inputs x (m, ...) and labels (m, c), float64."""
    rule, m = law.rule(ORDER, (0.5,)), len(x)
    ratio, mass = torch.from_numpy(rule.ratio), torch.from_numpy(rule.mass)
    theta = torch.maximum(ratio, 1 - ratio)
    mean = float(mass @ theta)
    k, i, j = torch.cartesian_prod(torch.arange(len(theta)), torch.arange(m), torch.arange(m)).unbind(1)

    def parts(rows: Tensor) -> tuple[Tensor, Tensor]:
        share = theta[k].reshape(-1, *[1] * (rows.ndim - 1))
        modified = mean * rows[i] + (1 - mean) * rows.mean(0)
        return modified, share * rows[i] + (1 - share) * rows[j] - modified

    (at_x, delta), (at_y, eps) = parts(x), parts(labels)
    return Pairs(at_x, at_y, delta, eps, mass[k] / m**2)


def perturbed_at(model: Callable[[Tensor], Tensor], loss: GeneralLoss, pairs: Pairs, s: float) -> ScaledLoss:
    """Phi(s)."""
    values = loss(pairs.y + s * pairs.eps, outputs(model, pairs.x + s * pairs.delta)).detach()
    return ScaledLoss(float(pairs.weights @ values), float(pairs.weights @ values.abs()), len(values))


def perturbed_order(
    model: Callable[[Tensor], Tensor],
    loss: GeneralLoss,
    x: Tensor,
    labels: Tensor,
    law: RatioLaw,
    risk: ApproximateRisk,
) -> OrderFit:
    """The order of the remainder of `risk` in s; raises NoWindowError."""
    with torch.no_grad():
        pairs = mixed_pairs(x, labels, law)
        theory = TaylorLoss(risk.standard, 0.0, risk.total - risk.standard, 0.0, risk.form)
        return fit_order(lambda s: perturbed_at(model, loss, pairs, s), theory, x[0].numel(), 0.0)
