"""Chebyshev polynomials: values, sums over points, and how many a function of one variable needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from msda_theory.quadrature import ToleranceError

FEWEST, MOST = 128, 1024
#: numbers T_k(t_i) that are cosines rather than sums of products, which are more steps and fewer operations
COSINES = 2**14


@cache
def chebyshev_nodes(n: int) -> Tensor:
    """The zeros of T_n, float64.  Kept, as what follows, and not to be changed."""
    return torch.cos(torch.pi * (torch.arange(n, dtype=torch.float64) + 0.5) / n)


@cache
def chebyshev_matrix(n: int) -> Tensor:
    """T_k at the nodes, (n, n), rows k; the angles are reduced in integers, so that no digit is lost at large k."""
    turns = torch.outer(torch.arange(n), 2 * torch.arange(n) + 1) % (4 * n)
    return torch.cos(torch.pi * turns.double() / (2 * n))


def chebyshev(t: Tensor, n: int) -> Tensor:
    """T_0 .. T_{n-1} at t (..., m), shape (..., n, m)."""
    values = t.new_ones(*t.shape[:-1], n, t.shape[-1])
    if n > 1:
        values[..., 1, :] = t
    twice = 2 * t
    for k in range(2, n):
        torch.mul(twice, values[..., k - 1, :], out=values[..., k, :]).sub_(values[..., k - 2, :])
    return values


def chebyshev_moments(t: Tensor, n: int) -> Tensor:
    """sum_i T_k(t_i) for k < n and points t (..., m) in [-1, 1]: (..., n).

    From the products of T_a, a < s, and T_{s b}, s about sqrt(n), by T_a T_b = (T_{a+b} + T_{|a-b|}) / 2: 2 sqrt(n)
    polynomials a point in place of n, and a matrix product; few are had from cos(k arccos t).
    """
    if t.numel() * n <= COSINES:
        angles = t.clamp(-1, 1).acos().unsqueeze(-2)
        return torch.cos(torch.arange(n, device=t.device).unsqueeze(-1) * angles).sum(-1)
    step = max(1, round(n**0.5))
    low = chebyshev(t, step + 1)
    high = chebyshev(low[..., step, :], -(-n // step))
    sums = (high @ low[..., :step, :].mT).flatten(-2)  # of T_a T_{s b} at b s + a
    for k in range(step, sums.shape[-1], step):
        sums[..., k + 1 : k + step] *= 2
        sums[..., k + 1 : k + step] -= sums[..., k - step + 1 : k].flip(-1)
    return sums[..., :n]


@cache
def interpolation_weights(n: int, nodes: int) -> Tensor:
    """What takes moments of T_k, k < n, to weights on the zeros of T_nodes, nodes <= n: (n, nodes)."""
    weights = torch.zeros(n, nodes, dtype=torch.float64)
    weights[:nodes] = (2 / nodes) * chebyshev_matrix(nodes)
    weights[0] /= 2
    return weights


def nodes_for(h: Callable[[Tensor], Tensor], low: float, high: float, rtol: float, like: Tensor) -> tuple[int, float]:
    """The number of Chebyshev nodes on [low, high] that leaves coefficients below `rtol` of max |h|, and their sum.

    Raises ToleranceError where `MOST` nodes do not: h is not analytic on the interval, or the interval is too long.
    """
    n = FEWEST
    while n <= MOST:
        nodes = (low + high) / 2 + (high - low) / 2 * chebyshev_nodes(n)
        values = h(nodes.to(like)).cpu().double()
        coefficients = (2 / n) * (chebyshev_matrix(n) @ values)
        tails = coefficients.abs().flip(0).cumsum(0).flip(0)
        enough = tails <= rtol * values.abs().max()
        if bool(enough[n // 2]):
            first = max(2, int(enough.nonzero()[0]))
            return first, float(tails[first])
        n *= 2
    raise ToleranceError(
        f"the loss is not a polynomial to {rtol:g} on [{low:g}, {high:g}], where the outputs lie, with {MOST} nodes; "
        f"use method='enumerate'"
    )
