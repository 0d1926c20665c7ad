"""The approximate Mixup risk E_Q of Carratino et al. in numbers: its terms, R1..R4, and how far they cancel."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory.expansions.perturbed_erm import prepared
from msda_theory.expansions.perturbed_square import completed_square, printed_square
from msda_theory.expansions.perturbed_taylor import perturbed_terms
from msda_theory.expansions.second_order import ZeroHessianNotice, is_affine
from msda_theory.general_losses import GeneralLoss
from msda_theory.losses import Loss
from msda_theory.ratios import RatioLaw


class CancellingTermsWarning(UserWarning):
    """R1 and R3 cancel, or do not add up to the terms whose square they complete; the total does not use them."""


@dataclass(frozen=True)
class ApproximateRisk:
    """The approximate Mixup risk E_Q and its terms; `form` is "default" or "printed".

    `total` is standard + jacobian + cross + r2 + r4, in the printed form standard + r1 + r2 + r3 + r4.
    `cancellation` is (|r1| + |r3|) / |jacobian + cross|: its logarithm to base ten is the number of digits that r1 + r3
    loses.
    """

    standard: float
    r1: float
    r2: float
    r3: float
    r4: float
    jacobian: float
    cross: float
    form: str

    @property
    def total(self) -> float:
        merged = self.r1 + self.r3 if self.form == "printed" else self.jacobian + self.cross
        return self.standard + merged + self.r2 + self.r4

    @property
    def cancellation(self) -> float:
        parts, merged = abs(self.r1) + abs(self.r3), abs(self.jacobian + self.cross)
        if parts == 0:
            return 1.0
        return parts / merged if merged > 0 else math.inf

    def __str__(self) -> str:
        names = ("standard", "r1", "r2", "r3", "r4", "jacobian", "cross")
        parts = ", ".join(f"{name} {getattr(self, name):.6g}" for name in names)
        return f"{self.total:.10g} ({parts}; {self.form} form)"


def approximate_mixup_risk(
    model: Callable[[Tensor], Tensor],
    loss: GeneralLoss | Loss,
    x: Tensor,
    y: Tensor,
    law: RatioLaw,
    *,
    as_printed: bool = False,
) -> ApproximateRisk:
    """E_Q for any callable or `nn.Module`, any twice differentiable loss, any ratio law, data with any mean.

    `as_printed=True` gives Theorem 3 with its inverses and square roots as they stand.

    Parameters
    ----------
    loss : a `GeneralLoss`, or a `Loss` h(u) - y . u; `SoftmaxCrossEntropy` gives Corollary 4
    x, y : inputs (m, ...), labels as `loss` takes them; the cross-entropy's must sum to one
    law : of the mixing ratio; it is folded

    Raises
    ------
    ValueError, TypeError
        for data, labels, a loss or a law that do not fit, before any work is done.
    NoInverseError
        with as_printed, where l_uu or Sigma_xx has no inverse (always for the cross-entropy, and for m <= d), or l_uu
        no square root.
    TransformRefusedError
        where torch cannot differentiate the model a sample at a time.

    Warns
    -----
    CancellingTermsWarning
        if r1 + r3 has fewer than half of its digits right.
    ZeroHessianNotice
        if the Hessian vanishes at every sample of a network that is not affine (ReLU).
    """
    loss, data = prepared(model, loss, x, y, law)
    with torch.no_grad():
        terms = perturbed_terms(model, loss, data)
        square = printed_square(model, loss, data) if as_printed else completed_square(model, loss, data)
        if terms.hessian_is_zero and not is_affine(model, data.x):
            message = "the Hessian is zero at every sample (a ReLU network?): R2 is 0, and the expansion misses kinks"
            warnings.warn(message, ZeroHessianNotice, stacklevel=2)
        risk = ApproximateRisk(
            **{name: float(getattr(terms, name)) for name in ("standard", "jacobian", "cross", "r2", "r4")},
            r1=float(square.r1),
            r3=float(square.r3),
            form="printed" if as_printed else "default",
        )
    _warn_of_cancellation(risk, torch.finfo(x.dtype).eps)
    return risk


def _warn_of_cancellation(risk: ApproximateRisk, eps: float) -> None:
    gap, parts = risk.r1 + risk.r3 - (risk.jacobian + risk.cross), abs(risk.r1) + abs(risk.r3)
    if not risk.cancellation * eps <= eps**0.5:
        message = (
            f"r1 = {risk.r1:.3g} and r3 = {risk.r3:.3g} cancel: {risk.cancellation:.1g} times the sum that they stand "
            f"for, {risk.jacobian + risk.cross:.3g}, so that r1 + r3 has lost half of its digits or more"
        )
    elif abs(gap) > eps**0.5 * parts:
        message = (
            f"r1 + r3 is off the sum that it stands for, {risk.jacobian + risk.cross:.3g}, by {gap:.2g}: nabla_uy l "
            f"Sigma_yx does not lie in the range of nabla_uu l, where the square cannot be completed"
        )
    else:
        return
    warnings.warn(f"{message}; use total, jacobian and cross", CancellingTermsWarning, stacklevel=3)
