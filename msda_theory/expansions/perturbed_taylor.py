"""The second-order Mixup risk of Carratino et al. (Theorem 3), for any twice differentiable loss l(y, u).

With x~, y~, delta and eps of Theorem 1 (`perturbed_erm`), G = nabla f(x~_i), and the derivatives of l taken at
(y~_i, f(x~_i)), the Taylor polynomial of degree two in (delta, eps), averaged, is

    E_Q  =  1/m sum_i [ l  +  1/2 tr(l_uu G Sigma_xx G^T)  +  tr(Sigma_xy l_yu G)  +  R2_i  +  R4_i ],
    R2_i = 1/2 <Sigma_xx, sum_k l_u,k nabla^2 f_k>,    R4_i = 1/2 <Sigma_yy, l_yy>.

In this form it asks for no inverse.  R1 and R3, which stand for the second and third term, are in `perturbed_square`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory.derivatives import contracted_hessian, jacobian
from msda_theory.expansions.perturbed_erm import PerturbedData
from msda_theory.general_losses import GeneralLoss, LossDerivatives


@dataclass(frozen=True)
class PerturbedTerms:
    """The terms of E_Q as 0-dim tensors, differentiable in the model's parameters.

    jacobian : the mean of 1/2 tr(l_uu G Sigma_xx G^T)     cross : the mean of tr(Sigma_xy l_yu G)
    """

    standard: Tensor
    jacobian: Tensor
    cross: Tensor
    r2: Tensor
    r4: Tensor
    hessian_is_zero: bool

    @property
    def total(self) -> Tensor:
        return self.standard + self.jacobian + self.cross + self.r2 + self.r4


def perturbed_terms(model: Callable[[Tensor], Tensor], loss: GeneralLoss, data: PerturbedData) -> PerturbedTerms:
    """The terms of E_Q without an inverse; the samples as `perturbed_erm.PerturbedData` holds them."""
    at, slopes, (d, e) = at_modified(model, loss, data)
    hessians = contracted_hessian(model, data.x, at.u)
    moved = torch.einsum("mnd,mkd->mnk", d, slopes)
    jacobian_term = torch.einsum("mnk,mkl,mnl->m", moved, at.uu, moved).mean() / 2
    cross = torch.einsum("mnc,mck,mnk->m", e, at.yu, moved).mean()
    r2 = torch.einsum("mnd,mde,mne->m", d, hessians, d).mean() / 2
    r4 = torch.einsum("mnb,mbc,mnc->m", e, at.yy, e).mean() / 2
    return PerturbedTerms(at.value.mean(), jacobian_term, cross, r2, r4, not bool(hessians.detach().any()))


def at_modified(
    model: Callable[[Tensor], Tensor], loss: GeneralLoss, data: PerturbedData
) -> tuple[LossDerivatives, Tensor, tuple[Tensor, Tensor]]:
    """The loss's derivatives at (y~, f(x~)), the Jacobian there, and the factors D and E of the covariances."""
    return loss.derivatives(data.y, outputs(model, data.x)), jacobian(model, data.x), data.design()
