"""Sums of second derivatives of a network along the moves of its samples.

    gauss_i   = sum_s (df[v_is])^T h'' (df[v_is])         curved_i = sum_s (h' - y) . d^2 f[v_is, v_is]
    coupled_i = sum_s u_is . df[v_is],                    u_is what the label moves by, where it does

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

from msda_theory._sharding import in_parts
from msda_theory.derivatives import explained, single
from msda_theory.expansions.moves import Directions, Moves
from msda_theory.jets import JetRefusedError, Slopes, propagate, watched

#: bytes of the widest slopes of a chunk of samples: what keeps them in a processor's cache, and a device busy
CHUNK = {"cpu": 3 * 2**17, "cuda": 2**28}
#: samples that go together though their slopes are wider, and the bytes up to which they do
LEAST, LARGEST = 4, 2**24
#: directions that go together where their slopes are never spread over the samples
UNSPREAD = 4096
Model = Callable[[Tensor], Tensor]
#: of the model at x (m, ...), along directions (S, m or 1, ...), with the residual: what gives df[v_is] (S, m, K), and
#: curved (m,)
Method = Callable[[Model, Tensor, Slopes, Tensor], tuple[Callable[[], Tensor], Tensor]]


@dataclass(frozen=True)
class Route:
    """How a network is differentiated, and, for each of the moves' directions, how many numbers its widest slopes have
    for a sample and a direction: 0 where they are the same for all samples as far as they are needed.
    """

    method: Method
    widths: tuple[int, ...]


@dataclass(frozen=True)
class Along:
    """Means over the samples of gauss, curved and coupled, a row each group of directions: (groups,).

    curves : whether any curved is not 0
    """

    gauss: Tensor
    curved: Tensor
    coupled: Tensor
    curves: bool


def sums_along(
    model: Model, x: Tensor, moves: Moves, residual: Tensor, curvature: Tensor | None, route: Route | None = None
) -> Along:
    """residual (m, K) is h' - y, curvature (m, K, K) is h'', None for zero.  Differentiable in the model's parameters.

    `route` is what `route_for` chooses where it is left out.

    Raises TransformRefusedError where torch cannot differentiate the model twice.
    """
    route = route or route_for(model, x, moves, residual, curvature)
    groups, widths = _groups(moves, route)
    images = [_images(directions, some, x) for directions, some in groups]
    parts = [(k, rows) for k, (_, some) in enumerate(groups) for rows in _chunks(x, some.stop - some.start, widths[k])]

    def sums(part: tuple[int, slice]) -> Tensor:
        group, rows = part
        slopes, curved = route.method(model, x[rows], images[group](rows), residual[rows])
        gauss = coupled = curved.new_zeros(())
        if curvature is not None:
            gauss = _gauss(slopes(), curvature[rows]).sum()
        if moves.labels is not None:
            coupled = (moves.labels.of(rows, groups[group][1]) * slopes()).sum()
        return torch.stack([gauss, curved.sum(), coupled, curved.detach().count_nonzero()])

    if not parts:  # nothing moves
        none = x.new_zeros(1)
        return Along(none, none, none, curves=False)
    found = in_parts("second derivatives", sums, parts).to(x.device)
    of_group = torch.tensor([group for group, _ in parts], device=x.device)
    totals = found.new_zeros(len(groups), 4).index_add(0, of_group, found)
    gauss, curved, coupled, _ = (totals / len(x)).to(x.dtype).unbind(1)
    return Along(gauss, curved, coupled, bool(found[:, 3].detach().any()))


def slope_along(model: Model, x: Tensor, drifts: Tensor, residual: Tensor) -> Tensor:
    """The mean over the samples of residual . df[drift] for each of some drifts (g, m, d): (g,)."""

    def slopes(rows: slice) -> Tensor:
        with explained():
            gradient = vmap(lambda sample, weights: _pull(model, weights)(sample))(x[rows], residual[rows])
        return torch.einsum("md,gmd->g", gradient.flatten(1), drifts[:, rows])

    found = in_parts("first derivatives", slopes, _chunks(x, residual.shape[1], x[0].numel()))
    return (found.sum(0) / len(x)).to(x)


def by_jets(model: Model, x: Tensor, directions: Slopes, residual: Tensor) -> tuple[Callable[[], Tensor], Tensor]:
    """df[v_is] (S, m, K), on request, and curved_i (m,), for directions (S, m or 1, ...)."""
    with explained():
        f = propagate(model, x, directions)
        return lambda: f.slopes, (f.bend * residual).sum(-1)


def by_reverse_mode(
    model: Model, x: Tensor, directions: Slopes, residual: Tensor
) -> tuple[Callable[[], Tensor], Tensor]:
    """The same by differentiating backwards twice: slower, and for every network that torch can differentiate so."""

    def one(sample: Tensor, moves: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        def curved(v: Tensor) -> Tensor:
            return (grad(lambda s: (_pull(model, weights)(s) * v).sum())(sample) * v).sum()

        slopes = jacrev(lambda s: single(model, s))(sample)
        return torch.tensordot(moves.flatten(1), slopes.flatten(1).T, 1), vmap(curved)(moves).sum()

    with explained():
        slopes, curved = vmap(one, (0, 1, 0), (1, 0))(x, directions.expanded(x.shape), residual)
    return lambda: slopes, curved


def _pull(model: Model, weights: Tensor) -> Callable[[Tensor], Tensor]:
    return grad(lambda sample: (weights * single(model, sample)).sum())


def route_for(model: Model, x: Tensor, moves: Moves, residual: Tensor, curvature: Tensor | None) -> Route:
    """By jets where they pass the network, and along a few directions at two samples give what reverse mode gives for
    each alone: not where a sample's output depends on its batch, or torch's forward mode is wrong.
    """
    two = slice(0, 2)
    needed = curvature is not None or moves.labels is not None
    few = [_images(directions, two, x)(two) for directions in moves.directions]
    widths = [_width_of_jets(model, x[two], some, residual[two].detach(), needed) for some in few]
    found = [width for width in widths if width is not None]
    if len(found) < len(widths):
        return Route(by_reverse_mode, (x[0].numel(),) * len(widths))
    return Route(by_jets, tuple(found))


def _width_of_jets(model: Model, x: Tensor, directions: Slopes, residual: Tensor, needed: bool) -> int | None:
    """The widest slopes of jets, None where they disagree with reverse mode; `needed`: the slopes of the outputs."""
    if not len(directions.get()):
        return 0
    with torch.no_grad(), watched() as widths:
        try:
            slopes, curved = by_jets(model, x, directions, residual)
            ours = (curved, slopes()) if needed else (curved,)
            width = max(widths, default=0)
            slopes, curved = by_reverse_mode(model, x, directions, residual)
        except (JetRefusedError, RuntimeError, TypeError, AttributeError, NotImplementedError):
            return None
    theirs = (curved, slopes()) if needed else (curved,)
    allowed = torch.finfo(x.dtype).eps ** 0.5
    pairs = zip(ours, theirs, strict=True)
    agree = (bool((a - b).abs().max() <= allowed * (1e-6 + b.abs().max())) for a, b in pairs)
    return width if all(agree) else None


def _groups(moves: Moves, route: Route) -> tuple[list[tuple[Directions, slice]], list[int]]:
    """The groups of directions, and the width of each: larger groups where no slopes are spread over the samples."""
    spread = any(route.widths) or moves.drawn
    groups = moves.groups(None if spread else UNSPREAD)
    width_of = {id(directions): width for directions, width in zip(moves.directions, route.widths, strict=True)}
    return groups, [width_of[id(directions)] for directions, _ in groups]


def _gauss(slopes: Tensor, curvature: Tensor) -> Tensor:
    return torch.einsum("smk,mkl,sml->m", slopes, curvature, slopes)


def _images(directions: Directions, some: slice, x: Tensor) -> Callable[[slice], Slopes]:
    """Of some rows of x, some directions in the shape of x; those that are shared are the same object for all rows."""
    if directions.factor is None:
        shared = Slopes.of(directions.of(slice(0, 1), some).unflatten(-1, x.shape[1:]))
        return lambda rows: shared
    return lambda rows: Slopes.of(directions.of(rows, some).unflatten(-1, x.shape[1:]))


def _chunks(x: Tensor, directions: int, width: int) -> list[slice]:
    """The samples in chunks, by the bytes of their slopes."""
    each = max(1, directions * width * x.element_size())
    size = max(CHUNK.get(x.device.type, CHUNK["cpu"]) // each, min(LEAST, LARGEST // each), 1)
    return [slice(start, min(start + size, len(x))) for start in range(0, len(x), size)]
