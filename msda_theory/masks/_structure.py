"""What a second moment is made of: a Kronecker product over the axes, a multiple of the identity, and low rank."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import singledispatch

import torch
from linear_operator.operators import (
    ConstantMulLinearOperator,
    KroneckerProductLinearOperator,
    LinearOperator,
    MatmulLinearOperator,
    RootLinearOperator,
    SumLinearOperator,
)
from torch import Tensor

from msda_theory.masks._moments import MixedMoment, UniformMoment
from msda_theory.masks._separable import SeparableMoment

#: low rank is one that is worth it: at most this share of d
LARGEST_RANK_SHARE = 0.25


@dataclass(frozen=True)
class Parts:
    """axes[0] x axes[1] (Kronecker; none: 0) + ridge I + columns inner columns^T, all symmetric, float64.

    axes (H, H), (W, W); columns (d, r), inner (r, r).
    """

    columns: Tensor
    inner: Tensor
    axes: tuple[Tensor, Tensor] | None = None
    ridge: float = 0.0

    @staticmethod
    def of(columns: Tensor, inner: Tensor) -> Parts:
        return Parts(columns.double(), inner.double())

    @staticmethod
    def without_rank(size: int, axes: tuple[Tensor, Tensor]) -> Parts:
        empty = torch.zeros(size, 0, dtype=torch.float64)
        return Parts(empty, empty[:0], axes)

    def scaled(self, factor: float) -> Parts:
        axes = None if self.axes is None else (factor * self.axes[0], self.axes[1])
        return Parts(self.columns, factor * self.inner, axes, factor * self.ridge)

    def plus(self, other: Parts) -> Parts | None:
        """The sum; None where both have a Kronecker product, for then no common basis is at hand."""
        if self.axes is not None and other.axes is not None:
            return None
        columns = torch.cat([self.columns, other.columns], -1)
        return Parts(
            columns, torch.block_diag(self.inner, other.inner), self.axes or other.axes, self.ridge + other.ridge
        )


@singledispatch
def parts_of(operator: LinearOperator) -> Parts | None:
    """The parts of a symmetric d x d operator, or None where it is not known to have them."""
    return None


@parts_of.register
def _(operator: UniformMoment) -> Parts:
    ones = torch.ones(operator.pixels, 1, dtype=torch.float64)
    return replace(Parts.of(ones, operator.value.reshape(1, 1)), ridge=float(operator.variance))


@parts_of.register
def _(operator: SeparableMoment) -> Parts:
    """offset^2 1 1^T + offset scale (m 1^T + 1 m^T) + scale^2 (E[b b^T] x E[c c^T]), m = E[b] E[c]^T."""
    offset, scale = operator.offset, operator.scale
    mean = torch.outer(operator.rows.mean(0), operator.columns.mean(0)).reshape(-1)
    inner = torch.tensor([[offset**2, offset * scale], [offset * scale, 0.0]], dtype=torch.float64)
    rows, columns = (axis.double() for axis in operator.axes)
    return replace(Parts.of(torch.stack([torch.ones_like(mean), mean], -1), inner), axes=(scale**2 * rows, columns))


@parts_of.register
def _(operator: MixedMoment) -> Parts | None:
    pairs = zip(operator.weights.tolist(), operator.moments, strict=True)
    return _sum([_scaled(moment, weight) for weight, moment in pairs])


@parts_of.register
def _(operator: KroneckerProductLinearOperator) -> Parts | None:
    if len(operator.linear_ops) != 2:
        return None
    first, second = (axis.to_dense().double() for axis in operator.linear_ops)
    return Parts.without_rank(operator.shape[-1], (first, second))


@parts_of.register
def _(operator: ConstantMulLinearOperator) -> Parts | None:
    return _scaled(operator.base_linear_op, float(operator.expanded_constant))


@parts_of.register
def _(operator: SumLinearOperator) -> Parts | None:
    return _sum([parts_of(term) for term in operator.linear_ops])


@parts_of.register
def _(operator: MatmulLinearOperator) -> Parts | None:
    """L R^T, which is (L R^T + R L^T) / 2 where the sum of all terms is symmetric."""
    left = operator.left_linear_op.to_dense()
    right = operator.right_linear_op.to_dense().mT
    rank = left.shape[-1]
    if rank > LARGEST_RANK_SHARE * len(left):
        return None
    half, zero = torch.eye(rank) / 2, torch.zeros(rank, rank)
    return Parts.of(torch.cat([left, right], -1), torch.cat([torch.cat([zero, half], -1), torch.cat([half, zero], -1)]))


@parts_of.register
def _(operator: RootLinearOperator) -> Parts | None:
    root = operator.root.to_dense()
    low = root.shape[-1] <= LARGEST_RANK_SHARE * len(root)
    return Parts.of(root, torch.eye(root.shape[-1])) if low else None


def _scaled(operator: LinearOperator, factor: float) -> Parts | None:
    parts = parts_of(operator)
    return None if parts is None else parts.scaled(factor)


def _sum(terms: list[Parts | None]) -> Parts | None:
    total = terms[0]
    for term in terms[1:]:
        total = None if total is None or term is None else total.plus(term)
    return total
