"""R1, R3 and J of Theorem 3 of Carratino et al.: the square completed in the Jacobian G of the network.

    R1 = 1/2m sum_i tr(l_uu (G - J) Sigma_xx (G - J)^T),    J = -l_uu^-1 l_uy Sigma_yx Sigma_xx^-1,
    R3 = -1/2m sum_i tr(Sigma_xx^-1 Sigma_xy l_yu l_uu^-1 l_uy Sigma_yx).

As printed, the inverses do not exist where m <= d, nor, for the cross-entropy, anywhere.  With Moore-Penrose inverses
R1 and R3 are defined, and R1 + R3 = 1/2 tr(l_uu G Sigma_xx G^T) + tr(Sigma_xy l_yu G) in the mean if the columns of
l_uy Sigma_yx lie in the range of l_uu: so for the cross-entropy where labels sum to one (Corollary 4).  For a confident
network, l_uu near zero, R1 and R3 are large and cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory.expansions.perturbed_erm import PerturbedData
from msda_theory.expansions.perturbed_taylor import at_modified
from msda_theory.general_losses import GeneralLoss


class NoInverseError(ValueError):
    """An inverse or a square root that Theorem 3 prints does not exist; the message says which, and where."""


@dataclass(frozen=True)
class CompletedSquare:
    """R1 and R3 as 0-dim tensors, and J (m, K, d)."""

    r1: Tensor
    r3: Tensor
    target: Tensor


def completed_square(model: Callable[[Tensor], Tensor], loss: GeneralLoss, data: PerturbedData) -> CompletedSquare:
    """R1, R3 and J with Moore-Penrose inverses, from the factor D of Sigma_xx = D^T D.

    R1 = 1/2 |D (G - J)^T|^2 and R3 = -1/2 |D J^T|^2 in the metric l_uu, and D J^T = -Pi E l_yu l_uu^+ with Pi the
    projection on the columns of D.
    """
    at, slopes, (d, e) = at_modified(model, loss, data)
    left, values, right = torch.linalg.svd(d, full_matrices=False)
    kept = values > torch.finfo(d.dtype).eps * max(d.shape[1:]) * values[:, :1]
    fitted = torch.where(kept.unsqueeze(-1), left.mT @ e, 0.0)  # coordinates of Pi E along the columns of `left`
    inverse = loss.inverse_curvature(data.y, outputs(model, data.x))
    pull = -fitted @ at.yu @ inverse
    moved = d @ slopes.mT
    along = left.mT @ moved  # moved lies in the columns of D
    r1, r3 = (torch.einsum("mnk,mkl,mnl->m", v, at.uu, v).mean() / 2 for v in (along - pull, pull))
    scaled = torch.where(kept, 1 / values, 0.0).unsqueeze(-1) * pull
    return CompletedSquare(r1, -r3, scaled.mT @ right)


def printed_square(model: Callable[[Tensor], Tensor], loss: GeneralLoss, data: PerturbedData) -> CompletedSquare:
    """R1, R3 and J of Theorem 3 as printed; raises NoInverseError."""
    at, slopes, _ = at_modified(model, loss, data)
    covariances = data.covariances()
    _require_full_rank("Sigma_xx", covariances.xx, "m <= d, or inputs that lie in a plane")
    _require_full_rank("nabla_uu l", at.uu, "for the cross-entropy it has none: H(u) 1 = 0")
    eigenvalues, vectors = torch.linalg.eigh(at.uu)
    if bool((eigenvalues < 0).any()):
        raise NoInverseError(
            f"nabla_uu l has an eigenvalue {float(eigenvalues.min()):.3g} < 0: its square root does not exist"
        )
    root = vectors @ torch.diag_embed(eigenvalues.sqrt()) @ vectors.mT
    of_inputs, of_outputs = torch.linalg.inv(covariances.xx), torch.linalg.inv(at.uu)
    target = -of_outputs @ at.yu.mT @ covariances.xy.mT @ of_inputs
    first = (slopes - target).mT @ root
    third = covariances.xy @ at.yu @ torch.linalg.inv(root)
    return CompletedSquare(_norm(first, covariances.xx) / 2, -_norm(third, of_inputs) / 2, target)


def _norm(matrix: Tensor, metric: Tensor) -> Tensor:
    """The mean of ||A||_Z^2 = tr(A^T Z A)."""
    return torch.einsum("mak,mab,mbk->m", matrix, metric, matrix).mean()


def _require_full_rank(name: str, matrices: Tensor, when: str) -> None:
    ranks, size = torch.linalg.matrix_rank(matrices, hermitian=True), matrices.shape[-1]
    if bool((ranks < size).any()):
        i = int(ranks.argmin())
        raise NoInverseError(
            f"as_printed=True: {name} of sample {i} is {size} x {size} of rank {int(ranks[i])}, and has no inverse "
            f"({when}); as_printed=False gives the same total without inverses"
        )
