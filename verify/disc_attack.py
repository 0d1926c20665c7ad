"""The exact l2 attack in the plane, on an affine network or one with a single layer of ReLU units.

Such an f is linear between the lines on which a unit has a kink.  On a disc it is therefore largest, and smallest, at a
point inside where two lines cross, or on one of the arcs into which they cut the circle; there, at the angle nearest to
that of the gradient, or to its opposite.  All of these points are tried: no search, no local optimum.  A loss that is
convex in f is largest at one of the two.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from msda_theory.losses import Loss

TURN = 2 * math.pi


def worst_points(model: nn.Sequential, loss: Loss, x: Tensor, y: Tensor, radius: float) -> Tensor:
    """argmax of l(f(x + delta), y) over |delta|_2 <= radius, (m, 2), to rounding: for x (m, 2), y (m, 1).

    Raises ValueError for another network or dimension.
    """
    with torch.no_grad():
        weight, bias = _lines(model)
        vertices = _vertices(weight, bias)
        at_vertices = loss(model(vertices), y.unsqueeze(1)).where(torch.cdist(x, vertices) <= radius, -torch.inf)
        rim, f = _rim(model, _arcs(weight, bias, x, radius), x, radius)
        at_rim = loss(f.unsqueeze(-1), y.unsqueeze(1))
        points = torch.cat([vertices.expand(len(x), -1, -1), rim], 1)
        return points[torch.arange(len(x)), torch.cat([at_vertices, at_rim], 1).argmax(1)]


class WorstCase:
    """The exact adversarial loss of a data set, as an objective: its gradient is that at the worst points (Danskin)."""

    def __init__(self, loss: Loss, x: Tensor, y: Tensor, radius: float) -> None:
        self.loss, self.x, self.y, self.radius = loss, x, y.reshape(-1, 1), radius

    def __call__(self, model: nn.Module) -> Tensor:
        assert isinstance(model, nn.Sequential)
        points = worst_points(model, self.loss, self.x, self.y, self.radius)
        return self.loss(model(points), self.y).mean()


def _lines(model: nn.Sequential) -> tuple[Tensor, Tensor]:
    """The kinks weight . x + bias = 0: (p, 2) and (p,), p = 0 for an affine network."""
    layers = [layer for layer in model if not isinstance(layer, nn.Flatten)]
    first, kinds = layers[0], [type(layer) for layer in layers]
    known = kinds in ([nn.Linear], [nn.Linear, nn.ReLU, nn.Linear])
    if not (known and isinstance(first, nn.Linear) and first.in_features == 2):
        raise ValueError(f"model: {model!r}: needed is Linear, or Linear, ReLU, Linear, on inputs in the plane")
    units = first.out_features if len(layers) > 1 else 0
    return first.weight[:units], first.bias[:units]


def _vertices(weight: Tensor, bias: Tensor) -> Tensor:
    """Where two lines cross, (v, 2)."""
    i, j = torch.triu_indices(len(weight), len(weight), 1)
    points = torch.stack([_cross(bias, weight[:, 1], j, i), _cross(bias, weight[:, 0], i, j)], 1)
    points = points / _cross(weight[:, 0], weight[:, 1], i, j).unsqueeze(1)
    return points[torch.isfinite(points).all(1)]


def _cross(a: Tensor, b: Tensor, i: Tensor, j: Tensor) -> Tensor:
    return a[i] * b[j] - a[j] * b[i]


def _arcs(weight: Tensor, bias: Tensor, x: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """The arcs of each circle between the lines, (m, arcs): the angles of their middles, and half their widths."""
    normal = torch.atan2(weight[:, 1], weight[:, 0])
    cosine = -(x @ weight.T + bias) / (radius * weight.norm(dim=1))
    half = torch.acos(cosine.nan_to_num().clamp(-1, 1))
    ends = torch.cat([torch.zeros_like(x[:, :1]), normal - half, normal + half], 1).remainder(TURN).sort(1).values
    width = torch.cat([ends[:, 1:], ends[:, :1] + TURN], 1) - ends
    return ends + width / 2, width / 2


def _rim(model: nn.Sequential, arcs: tuple[Tensor, Tensor], x: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """The points of every arc at which f is largest and smallest, (m, 2 arcs, 2), and f there, (m, 2 arcs)."""
    middle, half = arcs
    points = _circle(x, radius, middle)
    with torch.enable_grad():
        at = points.flatten(0, 1).requires_grad_()
        f = model(at)
        (slope,) = torch.autograd.grad(f.sum(), at)
    slope, f = slope.reshape(points.shape), f.detach().reshape(middle.shape)
    uphill = torch.atan2(slope[..., 1], slope[..., 0]) - middle
    found = []
    for turn in (uphill, uphill + math.pi):
        nearest = ((turn + math.pi).remainder(TURN) - math.pi).clamp(-half, half)
        point = _circle(x, radius, middle + nearest)
        found.append((point, f + (slope * (point - points)).sum(-1)))
    return torch.cat([p for p, _ in found], 1), torch.cat([v for _, v in found], 1)


def _circle(x: Tensor, radius: float, angle: Tensor) -> Tensor:
    return x.unsqueeze(1) + radius * torch.stack([angle.cos(), angle.sin()], -1)
