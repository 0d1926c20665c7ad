"""MixupE: what Mixup does to first order, sample by sample, and the loss that strengthens it  (Zou et al., 2023).

    q_i  = (h'(f_i) - y_i) . J_i (rbar - x_i)                             (1)   first_order_terms
    q'_i = (y_i - h'(f_i)) . f_i                                          (2)   approximate_first_order_terms
    q_i  = sum_k alpha_ik |grad f_k(x_i)| |rbar - x_i|                    (3)   slope_parts
    R    = E_D~[1-lambda]/m sum_i |q_i|                                   (4)   mixupe_penalty
    loss = kappa (L + eta R),  kappa = |L| / |L + eta R| held constant    (5)   MixupEObjective

with f_i = f(x_i), J_i its Jacobian and rbar the mean input.  q' = q where rbar = 0 and J_i x_i = f_i, as for ReLU
networks without biases; with biases J_i x_i is f_i less a local constant, and q costs one directional derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import jvp

from msda_theory._model import outputs
from msda_theory._validation import require_data, require_eval_mode, require_finite_positive, require_kind
from msda_theory.derivatives import explained, jacobian
from msda_theory.losses import Loss
from msda_theory.ratios import RatioLaw

Model = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SlopeParts:
    """Eq. (3): q_i = sum_k alpha_ik slopes_ik distances_i.

    alpha : (m, K), (h'(f_i) - y_i)_k times the cosine between grad f_k(x_i) and rbar - x_i, 0 where one of them is 0
    slopes : (m, K), |grad f_k(x_i)|        distances : (m,), |rbar - x_i|

    Where alpha_ik < 0, Mixup to first order gains by a larger slope of output k at sample i.
    """

    alpha: Tensor
    slopes: Tensor
    distances: Tensor


def first_order_terms(model: Model, loss: Loss, x: Tensor, y: Tensor) -> Tensor:
    """q_i of eq. (1), (m,): the derivative of the loss of sample i towards the mean input; R1 = E_D~[1-lambda] mean q.

    Differentiable in the model's parameters.  Raises what `taylor_loss` raises.
    """
    _require(model, loss, x, y)
    return _first_order(model, loss, x, y)


def approximate_first_order_terms(model: Model, loss: Loss, x: Tensor, y: Tensor) -> Tensor:
    """(y_i - h'(f_i)) . f_i of eq. (2), (m,): no derivative of the network; differentiable in its parameters."""
    _require(model, loss, x, y)
    return _approximate(model, loss, x, y)


def slope_parts(model: Model, loss: Loss, x: Tensor, y: Tensor) -> SlopeParts:
    """alpha, slopes and distances of eq. (3), with g of the whole output, as in (1)."""
    _require(model, loss, x, y)
    with torch.no_grad():
        f = outputs(model, x)
        residual = loss.h1(f) - loss.prepare(y, f)
        gradients, away = jacobian(model, x), _away(x).flatten(1)
        slopes, distances = gradients.norm(dim=-1), away.norm(dim=-1)
        along = torch.einsum("mkd,md->mk", gradients, away)
        lengths = slopes * distances.unsqueeze(-1)
        cosines = torch.where(lengths > 0, along / lengths, torch.zeros_like(along))
        return SlopeParts(residual * cosines, slopes, distances)


def mixupe_penalty(
    model: Model, loss: Loss, x: Tensor, y: Tensor, ratio: RatioLaw, *, approximate: bool = False
) -> Tensor:
    """R of eq. (4), a 0-dim tensor; `approximate=True` takes eq. (2) for q.  Differentiable in the parameters."""
    _require(model, loss, x, y)
    require_kind("ratio", ratio, RatioLaw)
    return _penalty(model, loss, x, y, ratio, approximate)


class MixupEObjective:
    """kappa (L + eta R) of eq. (5) for a loss L that is itself an objective: `ExactObjective`, or a drawn batch's loss.

    Called with a model it returns a 0-dim tensor of size |L|: kappa does not depend on the parameters, so that the
    gradient is kappa times that of L + eta R.  R is that of (x, y); rbar is the mean of x.
    """

    def __init__(
        self,
        objective: Callable[[Model], Tensor],
        loss: Loss,
        x: Tensor,
        y: Tensor,
        ratio: RatioLaw,
        *,
        eta: float,
        approximate: bool = False,
    ) -> None:
        if not callable(objective):
            raise TypeError(f"objective is a {type(objective).__name__}: needed is a function of the model, the loss L")
        require_finite_positive("eta", eta)
        require_kind("loss", loss, Loss)
        require_kind("ratio", ratio, RatioLaw)
        require_data(x, y)
        self.objective, self.loss, self.x, self.y = objective, loss, x, y
        self.ratio, self.eta, self.approximate = ratio, eta, approximate

    def __call__(self, model: Model) -> Tensor:
        penalty = _penalty(model, self.loss, self.x, self.y, self.ratio, self.approximate)
        return rescaled(self.objective(model), self.eta * penalty)


def rescaled(original: Tensor, added: Tensor) -> Tensor:
    """(original + added) times |original| / |original + added|, the factor held constant; 0 where the sum is 0."""
    total = original + added
    size = total.detach().abs()
    factor = torch.where(size > 0, original.detach().abs() / size, torch.ones_like(size))
    return factor * total


def _require(model: Model, loss: Loss, x: Tensor, y: Tensor) -> None:
    require_kind("loss", loss, Loss)
    require_data(x, y)
    require_eval_mode(model)


def _penalty(model: Model, loss: Loss, x: Tensor, y: Tensor, ratio: RatioLaw, approximate: bool) -> Tensor:
    terms = (_approximate if approximate else _first_order)(model, loss, x, y)
    return 2 * ratio.moment(1, 1) * terms.abs().mean()  # E_D~[1-lambda] = E_D[2 lambda (1-lambda)]


def _first_order(model: Model, loss: Loss, x: Tensor, y: Tensor) -> Tensor:
    with explained():
        f, along = jvp(lambda z: outputs(model, z), (x,), (_away(x),))[:2]
    return ((loss.h1(f) - loss.prepare(y, f.detach())) * along).sum(-1)


def _approximate(model: Model, loss: Loss, x: Tensor, y: Tensor) -> Tensor:
    f = outputs(model, x)
    return ((loss.prepare(y, f.detach()) - loss.h1(f)) * f).sum(-1)


def _away(x: Tensor) -> Tensor:
    """rbar - x_i."""
    return x.mean(0) - x
