"""Intersections of ellipsoids, by convex duality, and unions of bodies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from msda_theory._validation import require_kind
from msda_theory.bounds._pencils import pencil_maximum, several_maximum
from msda_theory.bounds.ellipsoids import Body, Ellipsoid, Maximum, unbounded


@dataclass(frozen=True, eq=False)
class Intersection(Body):
    """The intersection of ellipsoids {theta^T A_k theta <= gamma_k}, by its convex dual.

    sup u . theta = min_{w >= 0} sqrt(u^T (sum_k w_k A_k)^+ u . sum_k w_k gamma_k), and the gap is that of the feasible
    point recovered from w.  Two ellipsoids are diagonalised together, which leaves one convex function of one number
    for each row; more are left to scipy, row by row.
    """

    ellipsoids: Sequence[Ellipsoid]

    def __post_init__(self) -> None:
        _require_bodies("ellipsoids", self.ellipsoids, Ellipsoid)

    @property
    def dimension(self) -> int:
        return self.ellipsoids[0].dimension

    @cached_property
    def _sum(self) -> Ellipsoid:
        """{sum_k theta^T A_k theta / gamma_k <= 1}: unbounded where all are."""
        return Ellipsoid(sum(self._scaled[1:], start=self._scaled[0]), 1.0)

    @cached_property
    def _scaled(self) -> list[Tensor]:
        return [e.matrix.to(self.ellipsoids[0].matrix) / e.gamma for e in self.ellipsoids]

    def _maximum(self, u: Tensor) -> Maximum:
        if len(self.ellipsoids) == 1:
            return self.ellipsoids[0]._maximum(u)
        factor = self._sum.factor
        forms = torch.stack([factor.mT @ matrix @ factor for matrix in self._scaled])
        solve = pencil_maximum if len(forms) == 2 else several_maximum
        factor = factor.to(u)
        value, at, gap = solve(forms.to(u), u @ factor)
        return unbounded(Maximum(value, at @ factor.mT, gap), self._sum.outside(u))


@dataclass(frozen=True, eq=False)
class Union(Body):
    """The union of bodies: the largest of their support functions."""

    bodies: Sequence[Body]

    def __post_init__(self) -> None:
        _require_bodies("bodies", self.bodies, Body)

    @property
    def dimension(self) -> int:
        return self.bodies[0].dimension

    def _maximum(self, u: Tensor) -> Maximum:
        """value: the largest of the values; `at`: the best of the points, whichever body it lies in."""
        found = [body._maximum(u) for body in self.bodies]
        value = torch.stack([f.value for f in found]).amax(0)
        reached = torch.stack([f.value - f.gap for f in found])
        points = torch.stack([f.at for f in found])
        best = reached.argmax(0)
        at = points[best, torch.arange(len(u), device=u.device)]
        gap = torch.where(torch.isinf(value), 0.0, value - reached.amax(0))
        return Maximum(value, at, gap)


def _require_bodies(name: str, given: Sequence[Body], kind: type) -> None:
    if not given:
        raise ValueError(f"{name} is empty: needed is at least one")
    for k, body in enumerate(given):
        require_kind(f"{name}[{k}]", body, kind)
        p, first = body.dimension, given[0].dimension
        if p != first:
            raise ValueError(f"{name}[{k}] has dimension {p} and {name}[0] {first}: needed is one dimension")
