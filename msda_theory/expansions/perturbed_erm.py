"""Mixup as perturbed empirical risk minimisation: Theorem 1 and Lemma 2 of Carratino et al., for every ratio law.

    E^Mixup(f) = 1/m sum_i E_theta,j l(y~_i + eps_i, f(x~_i + delta_i)),    theta = max(lambda, 1 - lambda), j uniform,

    x~_i = xbar + thetabar (x_i - xbar)       delta_i = (theta - thetabar) x_i + (1-theta) x_j - (1-thetabar) xbar
    y~_i = ybar + thetabar (y_i - ybar)       eps_i   = (theta - thetabar) y_i + (1-theta) y_j - (1-thetabar) ybar

with thetabar = E theta, so that E delta_i = E eps_i = 0.  Lemma 2, in the samples themselves: with sigma^2 = Var theta
and gamma^2 = E (1-theta)^2,

    E delta_i delta_i^T = sigma^2 (x_i - xbar)(x_i - xbar)^T + gamma^2 Sigma_xx      (and likewise xy and yy).

The paper has lambda ~ Beta(alpha, alpha) and theta in its upper half.  Folded, every law will do, whether symmetric,
discrete or with mass at 1/2 (`msda_theory.folded_ratios`), and every loss l(y, u).  The data may have any mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory._validation import require_data, require_eval_mode, require_finite_positive, require_kind
from msda_theory.folded_ratios import Folded
from msda_theory.general_losses import GeneralLoss, as_general
from msda_theory.losses import Loss
from msda_theory.quadrature import Array, refine
from msda_theory.ratios import RatioLaw

CHUNK_ELEMENTS = 2**22


@dataclass(frozen=True)
class Covariances:
    """For each sample xx = E delta delta^T (m, d, d), xy = E delta eps^T (m, d, c) and yy = E eps eps^T (m, c, c)."""

    xx: Tensor
    xy: Tensor
    yy: Tensor


@dataclass(frozen=True)
class PerturbedData:
    """The samples of Theorem 1, all axes of a sample but the first flattened for what is centred.

    x : x~ (m, ...)             centred_x : x_i - xbar (m, d)
    y : y~ (m, c)               centred_y : y_i - ybar (m, c)
    mean, var, square : thetabar, sigma^2 and gamma^2 of the folded law `theta`
    """

    x: Tensor
    y: Tensor
    centred_x: Tensor
    centred_y: Tensor
    theta: Folded
    mean: float
    var: float
    square: float

    @staticmethod
    def of(x: Tensor, labels: Tensor, law: RatioLaw) -> PerturbedData:
        """For inputs x (m, ...), labels (m, c) as `GeneralLoss.prepare` makes them, and lambda ~ `law`."""
        theta = Folded(law)
        mean, var, square = theta.mean, max(theta.var, 0.0), theta.moment(0, 2)
        input_mean, label_mean = x.mean(0), labels.mean(0)
        inputs, targets = x - input_mean, labels - label_mean
        moved = input_mean + mean * inputs, label_mean + mean * targets
        return PerturbedData(*moved, inputs.flatten(1), targets, theta, mean, var, square)

    def perturbation(self, ratio: Tensor, i: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
        """delta (n, d) and eps (n, c) for values (n,) of theta, samples i and partners j."""
        own, other = (ratio - self.mean).unsqueeze(-1), (1 - ratio).unsqueeze(-1)
        delta, eps = (own * v[i] + other * v[j] for v in (self.centred_x, self.centred_y))
        return delta, eps

    def design(self) -> tuple[Tensor, Tensor]:
        """Matrices D (m, m+1, d) and E (m, m+1, c) with E delta delta^T = D^T D, E delta eps^T = D^T E, and so on."""
        own, other = self.var**0.5, (self.square / len(self.x)) ** 0.5
        pairs = ((own * v.unsqueeze(1), other * v.expand(len(v), -1, -1)) for v in (self.centred_x, self.centred_y))
        d, e = (torch.cat(pair, 1) for pair in pairs)
        return d, e

    def covariances(self) -> Covariances:
        """Lemma 2."""
        d, e = self.design()
        return Covariances(d.mT @ d, d.mT @ e, e.mT @ e)


@dataclass(frozen=True)
class PerturbedLoss:
    """A value, and its error from the quadrature over theta."""

    value: float
    error: float


def perturbed_data(x: Tensor, y: Tensor, law: RatioLaw) -> PerturbedData:
    """x~, y~ and the law of the perturbations, for inputs x (m, ...) and labels y, (m,) or (m, c) numbers.

    Class indices are no numbers to be averaged: give one-hot labels.
    """
    require_kind("law", law, RatioLaw)
    require_data(x, y)
    if y.ndim > 2:
        raise ValueError(f"y has shape {tuple(y.shape)}: needed are numbers (m,) or (m, c)")
    return PerturbedData.of(x, (y.unsqueeze(-1) if y.ndim == 1 else y).to(x), law)


def perturbed_loss(
    model: Callable[[Tensor], Tensor],
    loss: GeneralLoss | Loss,
    x: Tensor,
    y: Tensor,
    law: RatioLaw,
    *,
    rtol: float = 1e-6,
) -> PerturbedLoss:
    """The right side of Theorem 1, over all samples, partners and nodes of theta: the Mixup loss, for every f.

    `loss` is any `GeneralLoss`, or a `Loss` h(u) - y . u; the nodes are doubled until `rtol` of the mean size is met.

    Raises ValueError, TypeError for what does not fit, ToleranceError where `rtol` is not reached.
    """
    require_finite_positive("rtol", rtol)
    loss, data = prepared(model, loss, x, y, law)
    pairs = torch.cartesian_prod(torch.arange(len(x)), torch.arange(len(x))).to(x.device)

    def at(order: int) -> tuple[Array, float]:
        rule = data.theta.rule(order)
        sums = [_pair_mean(model, loss, data, float(theta), pairs) for theta in rule.ratio]
        values, sizes = np.array(sums).T
        return np.array(rule.mass @ values), float(rule.mass @ sizes)

    with torch.no_grad():
        value, error = refine(at, rtol, "the perturbed loss")
    return PerturbedLoss(float(value), error)


def prepared(
    model: Callable[[Tensor], Tensor], loss: GeneralLoss | Loss, x: Tensor, y: Tensor, law: RatioLaw
) -> tuple[GeneralLoss, PerturbedData]:
    """The arguments, checked, as a general loss and the modified samples."""
    loss = as_general(loss)
    require_kind("law", law, RatioLaw)
    require_data(x, y)
    require_eval_mode(model)
    with torch.no_grad():
        labels = loss.prepare(y, outputs(model, x))
    return loss, PerturbedData.of(x, labels, law)


def _pair_mean(
    model: Callable[[Tensor], Tensor], loss: GeneralLoss, data: PerturbedData, theta: float, pairs: Tensor
) -> tuple[float, float]:
    """Means over the pairs of l(y~ + eps, f(x~ + delta)) and of its size, at one theta."""
    total, size = 0.0, 0.0
    for now in pairs.split(max(1, CHUNK_ELEMENTS // data.centred_x.shape[1])):
        i, j = now.unbind(1)
        delta, eps = data.perturbation(torch.full_like(data.y[i, 0], theta), i, j)
        values = loss(data.y[i] + eps, outputs(model, data.x[i] + delta.reshape(data.x[i].shape))).double()
        total, size = total + float(values.sum()), size + float(values.abs().sum())
    return total / len(pairs), size / len(pairs)
