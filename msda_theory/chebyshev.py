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
#: numbers of one step of a sum over points, for a processor's second cache
CACHED = 2**18
#: intervals that stand for all of one half width
WINDOWS = 16


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
    return _with_signs(t, n).mul_(_signs(n).to(t).unsqueeze(-1))


def _with_signs(t: Tensor, n: int) -> Tensor:
    """S_k = s_k T_k(t), (..., n, m), with the signs for which a step is one operation, S_k = S_{k-2} -+ 2 t S_{k-1}."""
    values = t.new_empty(*t.shape[:-1], n, t.shape[-1])
    rows = values.unbind(-2)
    rows[0].fill_(1)
    if n > 1:
        rows[1].copy_(t)
    for k in range(2, n):
        torch.addcmul(rows[k - 2], t, rows[k - 1], value=k % 2 * 4 - 2, out=rows[k])
    return values


@cache
def _signs(n: int) -> Tensor:
    """Of `_with_signs`: + + - - + + - - .."""
    return 1.0 - torch.arange(n, dtype=torch.float64) // 2 % 2 * 2


def chebyshev_moments(t: Tensor, n: int) -> Tensor:
    """sum_i T_k(t_i) for k < n and points t (..., m) in [-1, 1]: (..., n).

    From the products of T_a, a < s, and T_{s b}, s about sqrt(n), by T_a T_b = (T_{a+b} + T_{|a-b|}) / 2: 2 sqrt(n)
    polynomials a point in place of n, and a matrix product; few are had from cos(k arccos t).
    """
    if t.numel() * n <= COSINES:
        angles = t.clamp(-1, 1).acos().unsqueeze(-2)
        return torch.cos(torch.arange(n, device=t.device).unsqueeze(-1) * angles).sum(-1)
    step = max(1, round(n**0.5))
    count = -(-n // step)
    sums = t.new_zeros(*t.shape[:-1], count, step)
    for some in t.split(max(1, CACHED * t.shape[-1] // (t.numel() * (step + count))), dim=-1):
        low = _with_signs(some, step + 1)
        high = _with_signs(_signs(step + 1)[step].to(t) * low[..., step, :], count)
        sums += high @ low[..., :step, :].mT
    return sums.flatten(-2) @ _from_products(n, step).to(t)


@cache
def _from_products(n: int, step: int) -> Tensor:
    """What takes products of T_{s b} and T_a, `_with_signs`, at b s + a, to T_k, k < n: (.., n)."""
    count = -(-n // step)
    taken = torch.eye(count * step, dtype=torch.float64)
    for k in range(step, count * step):
        if a := k % step:
            taken[k] = 2 * taken[k] - taken[k - 2 * a]
    return (taken * torch.outer(_signs(count), _signs(step)).flatten()).T[:, :n].contiguous()


@cache
def interpolation_weights(n: int, nodes: int) -> Tensor:
    """What takes moments of T_k, k < n, to weights on the zeros of T_nodes, nodes <= n: (n, nodes)."""
    weights = torch.zeros(n, nodes, dtype=torch.float64)
    weights[:nodes] = (2 / nodes) * chebyshev_matrix(nodes)
    weights[0] /= 2
    return weights


def windows(low: float, high: float, half: float) -> tuple[Tensor, float]:
    """Centres and half width of intervals within [low, high], one of which holds any other of half width `half`.

    There are `WINDOWS` of them, or [low, high] alone where it is no longer than that.
    """
    whole = (high - low) / 2
    wide = half + (whole - half) / WINDOWS
    if half >= whole:
        return torch.tensor([(low + high) / 2], dtype=torch.float64), whole
    return torch.linspace(low + wide, high - wide, WINDOWS, dtype=torch.float64), wide


def nodes_for(
    h: Callable[[Tensor], Tensor], low: float, high: float, half: float, rtol: float, like: Tensor
) -> tuple[int, float]:
    """The number of Chebyshev nodes that any interval of that half width within [low, high] takes, and what is left.

    On each the coefficients beyond add up to no more than `rtol` times the largest |h| on [low, high]; so much is left.

    Raises ToleranceError where `MOST` nodes do not do: h is not analytic there, or the interval is too long.
    """
    centres, wide = windows(low, high, half)
    n = FEWEST
    while n <= MOST:
        nodes = centres.unsqueeze(-1) + wide * chebyshev_nodes(n)
        values = h(nodes.to(like)).cpu().double()
        coefficients = (2 / n) * (values @ chebyshev_matrix(n).T).abs().amax(0)
        tails = coefficients.flip(0).cumsum(0).flip(0)
        enough = tails <= rtol * values.abs().max()
        if bool(enough[n // 2]):
            first = max(2, int(enough.nonzero()[0]))
            return first, float(tails[first])
        n *= 2
    raise ToleranceError(
        f"the loss is not a polynomial to {rtol:g} on [{low:g}, {high:g}], where the outputs lie, with {MOST} nodes; "
        f"use method='enumerate'"
    )
