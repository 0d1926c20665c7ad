"""sup u . t over several ellipsoids t^T B_k t <= 1 with sum_k B_k = 1: the duals that `Intersection` solves.

With w on the simplex, u . t <= sqrt(u^T B(w)^-1 u) for B(w) = sum_k w_k B_k, and the minimum over w is the supremum.
Its t is B(w)^-1 u, scaled into the ellipsoids.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

Solved = tuple[Tensor, Tensor, Tensor]  # value (b,), point (b, r), gap (b,)


def pencil_maximum(forms: Tensor, u: Tensor) -> Solved:
    """Two ellipsoids, forms (2, r, r), u (b, r): B_1 = diag(c) and B_2 = 1 - diag(c) in the eigenvectors of B_1.

    u^T B(w)^-1 u = sum_j u_j^2 / (w c_j + (1-w)(1-c_j)) is convex in w; its slope is bisected on
    [eps, 1 - eps], where B(w) is regular.
    """
    c, basis = torch.linalg.eigh(forms[0])
    c = c.clamp(0.0, 1.0)
    turned = u @ basis
    squares = turned**2
    eps = torch.finfo(u.dtype).eps
    low, high = torch.full_like(u[:, :1], eps), torch.full_like(u[:, :1], 1 - eps)
    for _ in range(8 - math.ceil(math.log2(eps))):
        middle = (low + high) / 2
        falling = (squares * (2 * c - 1) / _shares(middle, c) ** 2).sum(-1, keepdim=True) > 0
        low, high = torch.where(falling, middle, low), torch.where(falling, high, middle)
    point = turned / _shares((low + high) / 2, c)
    forms_at = torch.stack([(c * point**2).sum(-1), ((1 - c) * point**2).sum(-1)])
    value, scaled, gap = _scaled(turned, point, forms_at)
    return value, scaled @ basis.mT, gap


def _shares(w: Tensor, c: Tensor) -> Tensor:
    return w * c + (1 - w) * (1 - c)


def several_maximum(forms: Tensor, u: Tensor) -> Solved:
    """Any number of ellipsoids, forms (k, r, r), u (b, r): scipy's SLSQP on the simplex, row by row."""
    matrices = forms.double().cpu().numpy()
    points = np.stack([_dual_point(matrices, row) for row in u.double().cpu().numpy()])
    point = torch.as_tensor(points).to(u)
    return _scaled(u, point, torch.einsum("bi,kij,bj->kb", point, forms, point))


def _dual_point(forms: np.ndarray, u: np.ndarray) -> np.ndarray:
    count, size = len(forms), float(np.linalg.norm(u))
    if size == 0:
        return u
    unit = u / size

    def dual(w: np.ndarray) -> tuple[float, np.ndarray]:
        point = np.linalg.solve(np.tensordot(w, forms, 1), unit)
        return float(unit @ point), -np.einsum("i,kij,j->k", point, forms, point)

    least = math.sqrt(np.finfo(float).eps) / count  # keeps B(w) regular; costs a gap of that relative size
    found = minimize(
        dual,
        np.full(count, 1 / count),
        jac=True,
        method="SLSQP",
        bounds=[(least, 1.0)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(count)},
        options={"ftol": 1e-15, "maxiter": 200},
    )
    weights = np.clip(found.x, least, 1.0)
    return np.asarray(np.linalg.solve(np.tensordot(weights / weights.sum(), forms, 1), u))


def _scaled(u: Tensor, point: Tensor, forms_at: Tensor) -> Solved:
    """The dual value sqrt(u . t) at t = B(w)^-1 u, t scaled until its largest form (k, b) is 1, and the gap."""
    value = (u * point).sum(-1).clamp_min(0).sqrt()
    largest = forms_at.amax(0).sqrt()
    scaled = point / torch.where(largest > 0, largest, 1.0).unsqueeze(-1)
    return value, scaled, (value - (u * scaled).sum(-1)).clamp_min(0)
