"""Distributions on finitely many atoms: means over all samples, without sampling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import torch
from flint import fmpq
from torch import Tensor

from msda_theory.bounds import Body, rademacher_complexity


def mean_complexity(body: Body, atoms: Tensor, probabilities: Sequence[float], n: int) -> float:
    """E_S Rad(W, S) over all samples of n of the atoms (k, p)."""
    total = 0.0
    for drawn in product(range(len(atoms)), repeat=n):
        weight = math.prod(probabilities[k] for k in drawn)
        total += weight * rademacher_complexity(body, atoms[list(drawn)]).value
    return total


def law(example: dict[str, Any]) -> tuple[Tensor, list[float]]:
    """The atoms (k, 1) and probabilities of a counterexample."""
    atoms = [float(fmpq(*_parts(v))) for v in example["data"]["atoms"]]
    return torch.tensor(atoms, dtype=torch.float64).unsqueeze(-1), [float(p) for p in _probabilities(example)]


def repeated(example: dict[str, Any]) -> Tensor:
    """The atoms of a counterexample as equally likely rows (m, 1), each as often as its probability says."""
    probabilities = _probabilities(example)
    count = math.lcm(*(int(p.q) for p in probabilities))
    return law(example)[0].repeat_interleave(torch.tensor([int(p * count) for p in probabilities]), 0)


def value(example: dict[str, Any], name: str) -> float:
    """An entry of a counterexample's data, in float64."""
    return float(fmpq(*_parts(example["data"][name])))


def _probabilities(example: dict[str, Any]) -> list[fmpq]:
    return [fmpq(*_parts(p)) for p in example["data"]["probabilities"]]


def _parts(text: str) -> list[int]:
    return [int(part) for part in text.split("/")]


def pairs(rows: Tensor, size: int = 2, count: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Free parameters (b, count size + count) as a law: atoms (b, count, size), Sigma, and the probabilities."""
    atoms = rows[:, : count * size].reshape(-1, count, size)
    probabilities = torch.softmax(rows[:, count * size : count * (size + 1)], -1)
    return atoms, torch.einsum("bk,bkp,bkq->bpq", probabilities, atoms, atoms), probabilities


def signed_norms(atoms: Tensor, inverse: Tensor) -> Tensor:
    """E_xi ||xi_1 x + xi_2 z|| / 2 in the norm of `inverse` (b, p, p), for all pairs of atoms (b, k, p): (b, k, k)."""
    found = []
    for sign in (1, -1):
        u = (atoms.unsqueeze(2) + sign * atoms.unsqueeze(1)) / 2
        squares = torch.einsum("bijp,bpq,bijq->bij", u, inverse, u)
        found.append(squares.clamp_min(torch.finfo(u.dtype).tiny).sqrt())
    return (found[0] + found[1]) / 2


Reduce = Callable[[Tensor, Tensor], Tensor]


def over_samples(norms: Tensor, probabilities: Tensor) -> Tensor:
    """The mean over samples of two."""
    return torch.einsum("bi,bj,bij->b", probabilities, probabilities, norms)


def worst_sample(norms: Tensor, probabilities: Tensor) -> Tensor:
    """The largest over samples of two, each of which has a positive probability."""
    return norms.flatten(1).amax(-1)


#: free parameters of `logistic_forms`
CASE = 3 * 2 + 5 * 2 + 2


def logistic_forms(rows: Tensor, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """Three points and five theta in the plane: E A''(theta.x) for A = scale log(1 + e^t), theta^T Sigma theta, and
    theta^T Sigma^(M) theta for independent masks with the mean shares of the last two parameters, each (b, 5).
    """
    x, theta, share = rows[:, :6].reshape(-1, 3, 2), rows[:, 6:16].reshape(-1, 5, 2), torch.sigmoid(rows[:, 16:])
    outputs = torch.einsum("btp,bmp->btm", theta, x)
    curvature = scale * (torch.sigmoid(outputs) * torch.sigmoid(-outputs)).mean(-1)
    sigma = torch.einsum("bmp,bmq->bpq", x, x) / 3
    second = share.unsqueeze(-1) * share.unsqueeze(-2) + torch.diag_embed(share * (1 - share))
    forms = [torch.einsum("btp,bpq,btq->bt", theta, matrix, theta) for matrix in (sigma, second * sigma)]
    return curvature, forms[0], forms[1]
