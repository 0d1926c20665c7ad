"""Sums of second derivatives of a network along the moves of its samples.

    gauss_i   = sum_s (df[v_is])^T h'' (df[v_is])         curved_i = sum_s (h' - y) . d^2 f[v_is, v_is]
    coupled_i = sum_s u_is . df[v_is],                    u_is what the label moves by, where it does

How the network is differentiated is in `routes`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from msda_theory._sharding import in_parts
from msda_theory.expansions.moves import Moves
from msda_theory.expansions.routes import Model, Route, chunks, images, route_for


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
    groups = route.groups(moves)
    moved = [images(directions, some, x) for directions, some, _ in groups]
    plans = [route.plan(x, some.stop - some.start, width) for _, some, width in groups]
    parts = [(k, rows) for k, plan in enumerate(plans) for rows in plan.chunks]
    needed = curvature is not None or moves.labels is not None

    def sums(part: tuple[int, slice]) -> Tensor:
        group, rows = part
        of_rows = moved[group](rows)
        slopes, curved = route.method(model, x[rows], of_rows, residual[rows], needed, plans[group].at_once)
        gauss = coupled = curved.new_zeros(())
        if curvature is not None:
            gauss = _gauss(slopes, curvature[rows]).sum()
        if moves.labels is not None:
            coupled = (moves.labels.of(rows, groups[group][1]) * slopes).sum()
        return torch.stack([gauss, curved.sum(), coupled, curved.detach().count_nonzero()])

    if not parts:  # nothing moves
        none = x.new_zeros(1)
        return Along(none, none, none, curves=False)
    found = in_parts("second derivatives", sums, parts).to(x.device)
    of_group = torch.tensor([group for group, _ in parts], device=x.device)
    totals = found.new_zeros(len(groups), 4).index_add(0, of_group, found)
    gauss, curved, coupled, _ = (totals / len(x)).to(x.dtype).unbind(1)
    return Along(gauss, curved, coupled, bool(found[:, 3].detach().any()))


def slope_along(model: Model, x: Tensor, drifts: Tensor, residual: Tensor, route: Route) -> Tensor:
    """The mean over the samples of residual . df[drift] for each of some drifts (g, m, d): (g,)."""

    def slopes(rows: slice) -> Tensor:
        gradient = route.gradient(model, x[rows], residual[rows])
        return torch.einsum("md,gmd->g", gradient.flatten(1), drifts[:, rows])

    found = in_parts("first derivatives", slopes, chunks(x, residual.shape[1] * x[0].numel()))
    return (found.sum(0) / len(x)).to(x)


def _gauss(slopes: Tensor, curvature: Tensor) -> Tensor:
    return torch.einsum("smk,mkl,sml->m", slopes, curvature, slopes)
