"""The adversarial loss: its second-order expansion, as derived and as printed, and its value for linear models.

For l = h(f) - y f, h convex, and an attack |delta|_2 <= eta about a point near which the network is affine,

    l~_adv(eta) = l + eta |h'(f) - y| |grad f| + eta^2/2 |h''(f)| |grad f|^2.

(Zhang et al., Lemma 3.2, (5).)  For networks both papers print eta^2 d / 2 in the last term, eta being eps sqrt(d)
already (Zhang et al., below (6); Park et al., Fact 1).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from msda_theory._validation import require_data, require_eval_mode, require_finite, require_kind
from msda_theory.bounds._ball import dual_norm, per_sample, require_norm
from msda_theory.bounds._samples import binary_labels, one_output, slopes
from msda_theory.derivatives import jacobian
from msda_theory.losses import Logistic, Loss

#: f and grad f . x each round to a few eps of the sizes of their terms; room for the sums inside a wide, deep network
ROUNDING_STEPS = 1e3


def adversarial_taylor(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    loss: Loss | None = None,
    *,
    as_printed: bool = False,
) -> Tensor:
    """l~_adv(radius) of every sample, (m,), in x's dtype, differentiable in the model's parameters.

    x (m, ...), d numbers a sample; y (m,) or (m, 1); radius a length in l2 (the papers' eps sqrt(d)), a number
    > 0 for all or a tensor (m,) of numbers >= 0; the loss is `Logistic()` unless given.  A Hessian of f is left out.
    `as_printed=True` gives the networks' formula with its factor d (Park et al., Fact 1; Zhang et al., below (6)).

    Raises
    ------
    ValueError, TypeError
        as `exact_loss` does; for a model with K > 1 outputs; for a radius that is not positive.
    TransformRefusedError
        where torch cannot differentiate the model a sample at a time.
    """
    loss = _given(loss)
    require_data(x, y, least=1)
    eta = per_sample(radius, x)
    at = slopes(model, x, y, loss)
    f, labels, slope = at.f.unsqueeze(-1), at.y.unsqueeze(-1), at.gradient.norm(dim=1)
    factor = at.x.shape[1] if as_printed else 1
    first = eta * (loss.h1(f) - labels).abs().squeeze(-1) * slope
    second = eta**2 * factor / 2 * loss.h2(f).abs().flatten() * slope**2
    return loss(f, labels) + first + second


def adversarial_loss_linear(
    weight: Tensor,
    x: Tensor,
    y: Tensor,
    radius: float | Tensor,
    loss: Loss | None = None,
    *,
    bias: float = 0.0,
    norm: float = 2,
) -> Tensor:
    """max of l(w . (x + delta) + b, y) over |delta| <= radius in the norm 2 or inf, exact, (m,) in x's dtype.

    The attack moves f over [f - eta |w|_*, f + eta |w|_*], |.|_* the dual norm (l2, or l1 for inf), and l is convex in
    f, so the maximum is at an end.  weight (d,), x (m, ...) with d numbers a sample; y and radius as
    `adversarial_taylor` has them.

    Raises ValueError or TypeError where a shape, a norm or a radius does not fit.
    """
    loss = _given(loss)
    require_data(x, y, least=1)
    require_finite("weight", weight)
    if weight.shape != (x[0].numel(),):
        raise ValueError(f"weight has shape {tuple(weight.shape)}: needed is ({x[0].numel()},), as x has it a sample")
    require_norm(norm)
    reach = per_sample(radius, x) * dual_norm(weight.to(x), norm)
    f = x.flatten(1) @ weight.to(x) + bias
    labels = loss.prepare(y, f.unsqueeze(-1))
    ends = [loss((f + sign * reach).unsqueeze(-1), labels) for sign in (-1, 1)]
    return torch.maximum(*ends)


def in_theta(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """y f + (y-1) f >= 0 of every sample, (m,) of bool; in Theta where all are (Zhang et al., sec. 3.2).

    Raises ValueError for labels other than 0 and 1.
    """
    with torch.no_grad():
        f, labels = binary_labels(model, x, y)
        return labels * f + (labels - 1) * f >= 0


def require_homogeneous(model: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """ValueError where f(x_i) is not grad f(x_i) . x_i, as both papers assume of networks; the message names the model.

    Networks of layers without biases, with ReLU, leaky ReLU or pooling in between, meet it; one with a bias, a smooth
    activation or a normalisation does not.
    """
    require_eval_mode(model)
    with torch.no_grad():
        f, terms = one_output(model, x).squeeze(-1), jacobian(model, x).squeeze(1) * x.flatten(1)
        gap, size = (f - terms.sum(1)).abs(), f.abs() + terms.abs().sum(1)
        allowed = ROUNDING_STEPS * torch.finfo(x.dtype).eps * size
        if bool((gap > allowed).any()):
            at = int((gap - allowed).argmax())
            raise ValueError(
                f"model: {_name(model)} has f = {float(f[at]):.6g} and grad f . x = {float(terms[at].sum()):.6g} at "
                f"sample {at}; needed is a positively homogeneous network, f = grad f . x: linear layers without "
                f"biases, ReLU, leaky ReLU or pooling"
            )


def _name(model: object) -> str:
    return getattr(model, "__name__", type(model).__name__)


def _given(loss: Loss | None) -> Loss:
    if loss is None:
        return Logistic()
    require_kind("loss", loss, Loss)
    return loss
