"""E_S Rad(W, S) of small classes over small laws, by complete enumeration in batches: an oracle without the library.

A law is uniform on K points (cases, K, p), not necessarily distinct; samples have n = 2, so that all K^2 samples and
both signs are averaged, and everything is differentiable for a search.
"""

from __future__ import annotations

import torch
from torch import Tensor

SAMPLES = 2


def signed_means(points: Tensor) -> Tensor:
    """(x_k + x_l)/2 and (x_k - x_l)/2 for all k, l: (cases, 2 K^2, p), equally likely."""
    first, second = points.unsqueeze(2), points.unsqueeze(1)
    return torch.cat([(first + second).flatten(1, 2), (first - second).flatten(1, 2)], 1) / SAMPLES


def ellipsoid_complexity(inverse: Tensor, points: Tensor, intercept: float = 0.0) -> Tensor:
    """E sup (1/n) sum xi_i (theta . x_i + c) over theta^T A theta <= 1 and |c| <= intercept, `inverse` = A^+: (cases,).

    The points must lie in the range of A.
    """
    u = signed_means(points)
    square = torch.einsum("cup,cpq,cuq->cu", u, inverse, u)
    size = square.clamp_min(torch.finfo(square.dtype).tiny).sqrt()
    return size.mean(1) + intercept / 2


def list_complexity(values: Tensor, member: Tensor) -> Tensor:
    """E sup over a list of functions: their values (cases, K, functions), which of them count (cases, functions)."""
    sums = signed_means(values)
    return sums.masked_fill(~member.unsqueeze(1), -torch.inf).amax(-1).mean(1)


def moments(points: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (cases, p) and covariance (cases, p, p)."""
    mean = points.mean(1)
    away = points - mean.unsqueeze(1)
    return mean, away.mT @ away / points.shape[1]
