"""The second-order expansion of the MSDA loss about mean mixed points: Carratino et al. for any mask law.

A pair is read from its leading sample, the first where lambda >= 1/2 and the second where lambda < 1/2.  The loss is
then, relabelled and without approximation,

    L = 1/m sum_i E[ l(x_i + N * (r - x_i), y_i + omega (y_r - y_i)) ],     r, y_r over the data,

with N the share of the partner, 1-M where the first leads and M where the second does, and omega its label weight:
min(lambda, 1-lambda) for label="nominal", the mean of N for "realised".  About its mean

    m_i = x_i + n * (rbar - x_i),     ybar_i = y_i + E[omega] (ybar - y_i),     n_j = E[N_j]

the first-order term vanishes, and, l(f, y) = h(f) - y . f being affine in y,

    L  =  1/m sum_i l(m_i, ybar_i) + label + R2 + R3 + remainder,

    label = -1/m  sum_i tr( J_i S_i )
    R2    =  1/2m sum_i tr( h''(f_i) J_i V_i J_i^T )
    R3    =  1/2m sum_i tr( V_i nabla^2 [(h'(f_i) - ybar_i) . f](m_i) )
    V_i   = A * C_i - (n * (rbar-x_i)) (n * (rbar-x_i))^T,   C_i = E_r[(r-x_i)(r-x_i)^T]
    S_i   = b * E_r[(r-x_i)(y_r-y_i)^T] - E[omega] (n * (rbar-x_i)) (ybar-y_i)^T

with f_i and J_i at m_i, A_jk = E[N_j N_k], b_j = E[omega N_j].  For Mixup with Beta(alpha, alpha), m_i, ybar_i and the
moments are those of Carratino, Cisse, Jenatton and Vert, On Mixup regularization (JMLR 2022), Theorem 1 and Lemma 2.

Why from the leading sample.  As l is affine in y, sample i could keep its label and appear in both roles, as in
`second_order`; expanded about its mean point over both, or about one a role.  But a sample in a minor role stands far
from the mixed point, so the spread that the remainder grows with is larger: for Mixup, lambda uniform, E[N^2] = 1/6
over both roles and 1/12 from the leading sample, Var(N) = 1/18 and 1/48.  Where alpha = beta and M(lambda) and
1-M(1-lambda) have the same law, the two roles have the same mean point, so that one point a role gains nothing.  On
trained networks the remainder is the smallest in 112 settings of 120 (docs/results/mean_point_study.md); but not where
CutMix cuts its box at the border (sampler="clip"), so that the sample of the larger ratio may have the smaller share:
there the mean point of both roles is as close or a little closer, in 20 settings of 24.
The price: where f is quadratic and h linear, -E[eps . nabla^2 f(delta, delta)]/2 is left, eps and delta the
deviations of label and point; the expansion is exact where f is affine and h quadratic, as the other one is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory._validation import require_at_least, require_data, require_eval_mode, require_kind
from msda_theory.augmentation import Augmentation
from msda_theory.derivatives import jacobian
from msda_theory.expansions.along import sums_along
from msda_theory.expansions.leading import LeadingMeans, LeadingMoments, leading_draws, leading_means, leading_moments
from msda_theory.expansions.moves import LEAST_GROUPS, Moves, moves_about_means, moves_with_labels
from msda_theory.expansions.second_order import (
    ZERO_HESSIAN,
    Terms,
    ZeroHessianNotice,
    is_affine,
    standard_error,
    terms_of_moves,
)
from msda_theory.losses import Loss


@dataclass(frozen=True)
class MeanPointLoss:
    """The loss at the mean mixed points and the terms of second order about them; `total` approximates the MSDA loss.

    r2 carries the curvature of the loss, r3 that of the network, `label` what point and label do together.

    error : one standard error of the total where directions were drawn, else 0
    """

    standard: float
    label: float
    r2: float
    r3: float
    error: float = 0.0

    @property
    def second(self) -> float:
        """All terms of second order."""
        return self.label + self.r2 + self.r3

    @property
    def total(self) -> float:
        return self.standard + self.second

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {getattr(self, name):.6g}" for name in ("standard", "label", "r2", "r3"))
        spread = f" +- {self.error:.1g}" if self.error else ""
        return f"{self.total:.10g}{spread} ({parts}; about the mean mixed points)"


def mean_point_loss(
    model: Callable[[Tensor], Tensor],
    loss: Loss,
    x: Tensor,
    y: Tensor,
    augmentation: Augmentation,
    *,
    directions: int | None = None,
    seed: int | np.random.Generator | None = None,
) -> MeanPointLoss:
    """The expansion about the mean mixed points for any callable or `nn.Module`, any mask law, both label rules.

    Parameters
    ----------
    directions : draw so many moves instead of a complete factor, at least 16; `error` is the standard error.  For
        images of any size: of the masks only means are averaged.
    seed : randomness of the draws

    Raises
    ------
    ValueError, TypeError
        as `taylor_loss` does.
    TransformRefusedError
        where torch cannot differentiate the model a sample at a time; the message says what to do.

    Warns
    -----
    ZeroHessianNotice
        if the Hessian vanishes at every mean point of a network that is not affine (ReLU).
    """
    require_kind("loss", loss, Loss)
    require_kind("augmentation", augmentation, Augmentation)
    require_data(x, y, augmentation.mask.shape)
    require_eval_mode(model)
    if directions is not None:
        require_at_least("directions", directions, 2 * LEAST_GROUPS, "for a standard error")
    moments = leading_moments(augmentation) if directions is None else leading_means(augmentation)
    with torch.no_grad():
        labels = loss.prepare(y, outputs(model, x))
        if isinstance(moments, LeadingMoments):
            terms, label = mean_point_terms(model, loss, x, labels, moments)
        else:
            moves = _drawn_moves(augmentation, x, labels, moments, directions or 0, np.random.default_rng(seed))
            terms, label = _drawn_terms(model, loss, *mean_points(x, labels, moments), moves)
        if terms.hessian_is_zero and not is_affine(model, x):
            warnings.warn(ZERO_HESSIAN, ZeroHessianNotice, stacklevel=2)
    return MeanPointLoss(float(terms.standard), float(label), float(terms.r2), float(terms.r3), terms.error)


def mean_points(x: Tensor, labels: Tensor, moments: LeadingMeans) -> tuple[Tensor, Tensor]:
    """m_i (m, ...) of inputs x (m, ...), and ybar_i (m, K) of labels (m, K)."""
    flat = x.flatten(1)
    first = _over_channels(moments.first, x)
    points = flat + first * (flat.mean(0) - flat)
    return points.reshape(x.shape), labels + moments.label * (labels.mean(0) - labels)


def mean_point_terms(
    model: Callable[[Tensor], Tensor], loss: Loss, x: Tensor, labels: Tensor, moments: LeadingMoments
) -> tuple[Terms, Tensor]:
    """The terms (r1 is zero) and the label term for given moments, differentiable in the model's parameters."""
    points, mean_labels = mean_points(x, labels, moments)
    flat = x.flatten(1)
    drift, shift = points.flatten(1) - flat, mean_labels - labels
    moves = moves_about_means(moments.first, moments.second, x)
    centred, of_labels = flat - flat.mean(0), labels - labels.mean(0)
    together = centred.T @ of_labels / len(x) + centred.unsqueeze(-1) * of_labels.unsqueeze(-2)
    coupling = _over_channels(moments.cross, x).unsqueeze(-1) * together - drift.unsqueeze(-1) * shift.unsqueeze(-2)
    terms = terms_of_moves(model, loss, points, mean_labels, moves)
    return terms, -torch.einsum("mdk,mkd->m", coupling, jacobian(model, points)).mean()


def _drawn_moves(
    augmentation: Augmentation, x: Tensor, labels: Tensor, means: LeadingMeans, count: int, rng: np.random.Generator
) -> Moves:
    """`count` draws of (partner, mask), the same for every sample, less their known means."""
    draws = leading_draws(augmentation, count, rng)
    partners = torch.from_numpy(rng.integers(len(x), size=count)).to(x.device)
    copies = x[0].numel() // len(means.first)
    points = draws.share.to(x).repeat(1, copies), _over_channels(means.first, x)
    weights = draws.omega.to(labels), labels.new_full((1,), means.label)
    return moves_with_labels(x.flatten(1), points, labels, weights, partners)


def _drawn_terms(
    model: Callable[[Tensor], Tensor], loss: Loss, points: Tensor, labels: Tensor, moves: Moves
) -> tuple[Terms, Tensor]:
    f = outputs(model, points)
    residual = loss.h1(f) - labels
    along = sums_along(model, points, moves, residual, loss.h2(f))
    r2, r3, label = along.gauss / 2, along.curved / 2, -along.coupled
    error = standard_error(torch.zeros_like(r2), r2 + r3 + label, moves)
    standard = loss(f, labels).mean()
    return Terms(standard, torch.zeros_like(standard), r2.sum(), r3.sum(), not along.curves, error), label.sum()


def _over_channels(moment: Tensor, x: Tensor) -> Tensor:
    """A moment (d,) of the mask, repeated over the leading axes of a sample."""
    return moment.to(x).repeat(x[0].numel() // len(moment))
