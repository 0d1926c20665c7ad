"""Sums of second derivatives of a network along the moves of its samples.

    gauss_i  = sum_s (df[v_is])^T h'' (df[v_is])          curved_i = sum_s (h' - y) . d^2 f[v_is, v_is]

Jets carry them through the network in about S + 2 forward passes of the batch for S directions.  Where the network
has an operation that jets do not pass, or that torch differentiates wrongly, they are taken by reverse mode instead, at
two backward passes a direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import grad, jacrev, vmap

from msda_theory._progress import track
from msda_theory.derivatives import explained, single
from msda_theory.expansions.moves import Directions, Moves
from msda_theory.jets import JetRefusedError, propagate

#: numbers in the moves of a chunk of samples: what keeps a network's layers in a processor's cache, and a device busy
CHUNK = {"cpu": 2**17, "cuda": 2**25}
Model = Callable[[Tensor], Tensor]
Sums = tuple[Tensor, Tensor]
Method = Callable[[Model, Tensor, Tensor, Tensor, Tensor], Sums]


@dataclass(frozen=True)
class Along:
    """Means over the samples of gauss and curved, a row each group of directions: (groups,); `curves`: any is not 0."""

    gauss: Tensor
    curved: Tensor
    curves: bool


def sums_along(
    model: Model, x: Tensor, moves: Moves, residual: Tensor, curvature: Tensor, method: Method | None = None
) -> Along:
    """residual (m, K) is h' - y, curvature (m, K, K) is h''.  Differentiable in the model's parameters.

    `method` is `by_jets` or `by_reverse_mode`; left out, `method_for` chooses.

    Raises TransformRefusedError where torch cannot differentiate the model twice.
    """
    method = method or method_for(model, x, moves, residual, curvature)
    found = []
    for directions, some in track(moves.groups(), "second derivatives"):
        parts = [
            method(model, x[rows], _images(directions, rows, some, x), residual[rows], curvature[rows])
            for rows in _chunks(x, some.stop - some.start)
        ]
        found.append([torch.cat(values) for values in zip(*parts, strict=True)])
    gauss, curved = (torch.stack([group[k].mean() for group in found]) for k in (0, 1))
    return Along(gauss, curved, any(bool(group[1].detach().any()) for group in found))


def slope_along(model: Model, x: Tensor, drifts: Tensor, residual: Tensor) -> Tensor:
    """The mean over the samples of residual . df[drift] for each of some drifts (g, m, d): (g,)."""
    with explained():
        parts = [
            vmap(lambda sample, weights: _pull(model, weights)(sample))(x[rows], residual[rows])
            for rows in _chunks(x, residual.shape[1])
        ]
    return torch.einsum("md,gmd->g", torch.cat(parts).flatten(1), drifts) / len(x)


def by_jets(model: Model, x: Tensor, directions: Tensor, residual: Tensor, curvature: Tensor) -> Sums:
    """gauss and curved of each sample, for directions (S, m or 1, ...)."""
    with explained():
        f = propagate(model, x, directions)
        return _gauss(f.slopes, curvature), (f.bend * residual).sum(-1)


def by_reverse_mode(model: Model, x: Tensor, directions: Tensor, residual: Tensor, curvature: Tensor) -> Sums:
    """The same by differentiating backwards twice: slower, and for every network that torch can differentiate so."""

    def one(sample: Tensor, moves: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        def curved(v: Tensor) -> Tensor:
            return (grad(lambda s: (_pull(model, weights)(s) * v).sum())(sample) * v).sum()

        slopes = jacrev(lambda s: single(model, s))(sample)
        return torch.tensordot(moves.flatten(1), slopes.flatten(1).T, 1), vmap(curved)(moves).sum()

    with explained():
        slopes, curved = vmap(one, (0, 1, 0), (1, 0))(x, directions.expand(len(directions), *x.shape), residual)
    return _gauss(slopes, curvature), curved


def _pull(model: Model, weights: Tensor) -> Callable[[Tensor], Tensor]:
    return grad(lambda sample: (weights * single(model, sample)).sum())


def method_for(model: Model, x: Tensor, moves: Moves, residual: Tensor, curvature: Tensor) -> Method:
    return by_jets if jets_agree(model, x, moves, residual, curvature) else by_reverse_mode


def jets_agree(model: Model, x: Tensor, moves: Moves, residual: Tensor, curvature: Tensor) -> bool:
    """Whether jets pass the network, and along a few directions at two samples give what reverse mode gives for each
    alone: not where a sample's output depends on its batch, or torch's forward mode is wrong.
    """
    two = slice(0, 2)
    few = [_images(directions, two, slice(0, 2), x) for directions in moves.directions if len(directions)]
    directions = torch.cat([v.expand(-1, *x[two].shape) for v in few])
    problem = model, x[two], directions, residual[two].detach(), curvature[two].detach()
    with torch.no_grad():
        try:
            ours = by_jets(*problem)
        except (JetRefusedError, RuntimeError, TypeError, AttributeError, NotImplementedError):
            return False
        theirs = [values.detach() for values in by_reverse_mode(*problem)]
    allowed = torch.finfo(x.dtype).eps ** 0.5
    return all(bool((a - b).abs().max() <= allowed * (1e-6 + b.abs().max())) for a, b in zip(ours, theirs, strict=True))


def _gauss(slopes: Tensor, curvature: Tensor) -> Tensor:
    return torch.einsum("smk,mkl,sml->m", slopes, curvature, slopes)


def _images(directions: Directions, rows: slice, some: slice, x: Tensor) -> Tensor:
    return directions.of(rows, some).unflatten(-1, x.shape[1:])


def _chunks(x: Tensor, directions: int) -> list[slice]:
    size = max(1, CHUNK.get(x.device.type, CHUNK["cpu"]) // ((directions + 1) * x[0].numel()))
    return [slice(start, start + size) for start in range(0, len(x), size)]
