"""The expansion of the Mixup loss to any order in a = 1-lambda, by derivatives along r - x_i: MixupE, Theorem 1.

    L  =  L_m + terms_1 + .. + terms_J + remainder,     lambda under D~, the partner r over the data,

plain :   terms_j = E[a^j]/j!  mean_{i,r}  d^j/da^j l(f(x_i + a (r - x_i)), y_i)  at a = 0
nested :  terms_j = 1/j! mean_{i,r} E[ d^j h(f_i)[D, .., D] ],  less mean_{i,r} E[y_i . D] where j = 1,
          D = a Delta_i = sum_{k=1}^J a^k/k! d^k f(x_i)[r - x_i, .., r - x_i]
averaged: nested, with the mean over r taken within Delta_i: another expansion, right to first order alone

Plain and nested agree up to a^J.  The nested form keeps powers up to a^(J^2), so that it is exact where f and h are
polynomials of degree J, and where they are not it is by far the larger for a large a.
(Zou et al., MixupE, 2023, Theorem 1 and App. 6.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory._progress import track
from msda_theory._validation import require_at_least, require_choice, require_data, require_eval_mode, require_kind
from msda_theory.derivatives import CHUNK_ELEMENTS, explained
from msda_theory.expansions.directions import Kinks, derivatives_at_zero, output_derivatives, taylor_coefficients
from msda_theory.losses import Loss
from msda_theory.ratios import RatioLaw

FORMS = ("plain", "nested", "averaged")


@dataclass(frozen=True)
class Share:
    """The law of a = 1-lambda under D~: its moments E[a], .., E[a^J], and a rule that is exact to degree J^2.

    moments : (J,)      values, weights : (n,)
    """

    moments: Tensor
    values: Tensor
    weights: Tensor

    @staticmethod
    def of(ratio: RatioLaw, order: int) -> Share:
        """E_D~[a^j] = E_D[lambda (1-lambda)^j + (1-lambda) lambda^j], in closed form."""
        moments = [ratio.moment(1, j) + ratio.moment(j, 1) for j in range(1, order + 1)]
        rule = ratio.tilted().rule(order**2 // 2 + 1)
        values, weights = map(torch.from_numpy, (1 - rule.ratio, rule.mass))
        return Share(torch.tensor(moments, dtype=torch.float64), values, weights)

    def scaled(self, eps: float) -> Share:
        """The law of eps a."""
        powers = torch.arange(1, len(self.moments) + 1)
        return Share(self.moments * eps**powers, eps * self.values, self.weights)

    def to(self, other: Tensor) -> Share:
        return Share(self.moments.to(other), self.values.to(other), self.weights.to(other))


@dataclass(frozen=True)
class DirectionalLoss:
    """L_m and the terms of order 1, .., J; `total` is the expansion."""

    standard: float
    terms: tuple[float, ...]
    form: str

    @property
    def total(self) -> float:
        return self.standard + math.fsum(self.terms)

    def __str__(self) -> str:
        parts = ", ".join(f"order {j} {term:.6g}" for j, term in enumerate(self.terms, 1))
        return f"{self.total:.10g} (standard {self.standard:.6g}, {parts}; {self.form} form)"


def directional_loss(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    ratio: RatioLaw,
    order: int,
    *,
    form: str = "plain",
) -> DirectionalLoss:
    """The expansion of the Mixup loss to the given order, for any callable or `nn.Module` and any loss.

    form : "plain"; "nested" as in Theorem 1, the mean over the partner outermost; "averaged" with that mean within
        Delta_i.  They are stated at the top of this module.

    Raises
    ------
    ValueError, TypeError
        for order < 1 and data that do not fit; where a derivative of the network up to `order` is not finite.
    TransformRefusedError
        where torch cannot differentiate the model `order` times.

    Warns
    -----
    ZeroHessianNotice
        if the derivatives of some order vanish though the network is no polynomial of a lower degree (ReLU).
    """
    require_at_least("order", order, 1, "the order of the expansion")
    require_choice("form", form, FORMS)
    require_kind("loss", loss, Loss)
    require_kind("ratio", ratio, RatioLaw)
    require_data(x, y)
    require_eval_mode(model)
    with torch.no_grad():
        f = outputs(model, x)
        labels, share = loss.prepare(y, f), Share.of(ratio, order)
        total, kinks = torch.zeros(order + 1, dtype=torch.float64), Kinks.none(order)
        block = max(1, CHUNK_ELEMENTS // (f.numel() * len(share.values) * 2**order))
        for rows in track(torch.arange(len(x), device=x.device).split(block), "expansion"):
            towards = output_derivatives(model, x, order, rows)
            kinks = kinks.joined(towards, f)
            terms = directional_terms(towards, loss, labels[rows], share, form)
            total += terms.double().cpu() * len(rows) / len(x)
    kinks.tell(f)
    numbers = total.tolist()
    return DirectionalLoss(numbers[0], tuple(numbers[1:]), form)


def directional_terms(towards: Tensor, loss: Loss, labels: Tensor, share: Share, form: str) -> Tensor:
    """L_m and the terms of order 1, .., J as (J+1,), from `output_derivatives` (J+1, n, m, K) and labels (n, K).

    Differentiable in whatever `towards` is.
    """
    order, share = len(towards) - 1, share.to(towards)
    if form == "averaged":
        towards = towards.mean(2, keepdim=True)
    coefficients = taylor_coefficients(towards)
    start, steps = coefficients[0], coefficients[1:].flip(0)
    y = labels.unsqueeze(1).expand(start.shape)

    def move(a: Tensor) -> Tensor:
        """a Delta_i = sum_{k=1}^J a^k/k! d^k f."""
        total = torch.zeros_like(start)
        for step in steps:
            total = a * (total + step)
        return total

    with explained():
        if form == "plain":
            found = derivatives_at_zero(lambda a: _mean_losses(loss, start + move(a), y), order, towards)
            powers = torch.cat([share.moments.new_ones(1), share.moments])
            return taylor_coefficients(found) * powers
        moves = torch.stack([move(a) for a in share.values])
        many = y.expand(moves.shape)
        found = derivatives_at_zero(lambda t: _mean_losses(loss, start + t * moves, many), order, towards)
        return taylor_coefficients(found) @ share.weights


def _mean_losses(loss: Loss, f: Tensor, y: Tensor) -> Tensor:
    """l(f, y) of (..., n, m, K), its mean over n and m: (...)."""
    return loss(f.flatten(0, -2), y.flatten(0, -2)).unflatten(0, f.shape[:-1]).mean((-2, -1))
