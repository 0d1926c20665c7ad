"""The order of the remainder of a second-order expansion of the logistic loss, where the inputs are moved at random."""

from __future__ import annotations

import torch
from torch import Tensor

from msda_theory import TaylorLoss
from msda_theory.losses import Logistic
from verify.order import fit_order
from verify.problems import digits
from verify.scaled_loss import ScaledLoss


def logistic_digits(samples: int = 8, seed: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """theta (d,), the middle 4 x 3 pixels x (m, d), centred, and y (m,), whether the digit is odd.

    The third order is a product of the means of A''' and of the cubed outputs: neither is small at this seed.
    """
    x, y = digits(samples)
    x = x[:, 2:6, 3:6].flatten(1)
    theta = torch.randn(x.shape[1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return theta, x - x.mean(0), (y % 2).double()


def order_of_moves(f: Tensor, y: Tensor, moves: Tensor, weights: Tensor, r1: float, r2: float, size: int) -> float:
    """The slope of E (1/m) sum_i l(f_i + eps moves_i, y_i) - (L_m + eps r1 + eps^2 r2) against eps, on log scales.

    f, y (m,); moves of the output (m, S) with weights (S,) or (m, S); size is the length of the inner products.
    """
    loss, m = Logistic(), len(f)
    standard = float(loss(f.unsqueeze(1), y.unsqueeze(1)).mean())

    def phi(eps: float) -> ScaledLoss:
        u = (f.unsqueeze(1) + eps * moves).unsqueeze(-1)
        smooth, linear = loss.h(u.flatten(0, 1)).reshape(moves.shape), y.unsqueeze(1) * u.squeeze(-1)
        value, scale = ((weights * part).sum() / m for part in (smooth - linear, smooth.abs() + linear.abs()))
        return ScaledLoss(float(value), float(scale), moves.numel())

    return fit_order(phi, TaylorLoss(standard, r1, r2, 0.0, "default"), size, 0.0).slope
