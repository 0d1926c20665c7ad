"""Second moments of masks that are a product over the two axes: boxes and Gaussian bumps."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from msda_theory.masks._intervals import interval_cover, sliding_sums
from msda_theory.masks._moments import SecondMoment


class SeparableMoment(SecondMoment):
    """1-M = offset + scale b c^T, b and c drawn independently and uniformly from rows (K, H) and columns (L, W).

    With m = E[b] E[c]^T, and C = E[b b^T] x E[c c^T] (Kronecker),

        a = offset^2 + offset scale (m 1^T + 1 m^T) + scale^2 C.
    """

    def __init__(
        self, rows: Tensor, columns: Tensor, *, offset: float = 0.0, scale: float = 1.0, **placement: object
    ) -> None:
        super().__init__(rows, columns, offset=offset, scale=scale, **placement)
        self.rows, self.columns, self.offset, self.scale = rows, columns, offset, scale
        self._kept_roots: dict[torch.dtype, tuple[Tensor, Tensor]] = {}

    @property
    def shape_(self) -> tuple[int, int]:
        return self.rows.shape[1], self.columns.shape[1]

    @property
    def pixels(self) -> int:
        return math.prod(self.shape_)

    @property
    def axes(self) -> tuple[Tensor, Tensor]:
        """E[b b^T] (H, H) and E[c c^T] (W, W)."""
        return self.rows.T @ self.rows / len(self.rows), self.columns.T @ self.columns / len(self.columns)

    def to_dense(self) -> Tensor:
        """(d, d), without the products with the identity."""
        dense = self.scale**2 * torch.kron(*self.axes)
        if self.offset != 0:
            mean = torch.outer(self.rows.mean(0), self.columns.mean(0)).flatten()
            dense += self.offset * (self.offset + self.scale * (mean + mean.unsqueeze(-1)))
        return dense

    def _images(self, v: Tensor) -> Tensor:
        return v.reshape(math.prod(v.shape[:-1]), *self.shape_)

    def _mean_of(self, images: Tensor) -> Tensor:
        """E[b^T V c] for each image V."""
        return images @ self.columns.mean(0).to(images) @ self.rows.mean(0).to(images)

    def _apply(self, v: Tensor) -> Tensor:
        images = self._images(v)
        rows, columns = (axis.to(v) for axis in self.axes)
        applied = self.scale**2 * (rows @ images @ columns)
        if self.offset != 0:
            mean = torch.outer(self.rows.mean(0), self.columns.mean(0)).to(v)
            total, cross = images.sum((-1, -2)), self.offset * self.scale
            same = self.offset**2 * total + cross * self._mean_of(images)
            applied = applied + same[:, None, None] + cross * total[:, None, None] * mean
        return applied.reshape(v.shape)

    def _quadratic_form(self, v: Tensor) -> Tensor:
        """offset^2 T^2 + 2 offset scale T E[X] + scale^2 E[X^2], T = 1.v, X = b^T V c."""
        images = self._images(v)
        total = images.sum((-1, -2)) if self.offset != 0 else None
        return self._form_of(images, total).reshape(v.shape[:-1])

    def _form_of(self, images: Tensor, total: Tensor | None) -> Tensor:
        """E[X^2] = ||R V C^T||^2 with R^T R = E[b b^T] and C^T C = E[c c^T]."""
        rows, columns = (root.to(images) for root in self._roots(images.dtype))
        square = (thin_product(rows, images) @ columns.T).square().sum((-1, -2))
        return self._with_constant(square, None if total is None else self._mean_of(images), total)

    def _with_constant(self, square: Tensor, mean: Tensor | None, total: Tensor | None) -> Tensor:
        """E[(offset T + scale X)^2] from E[X^2], E[X] and T; the latter two not where offset = 0."""
        if mean is None or total is None:
            return self.scale**2 * square
        return self.scale**2 * square + self.offset * total * (self.offset * total + 2 * self.scale * mean)

    def _roots(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """R (k, H) and C (l, W), k and l the numerical ranks in this dtype: kept for the next call."""
        if dtype not in self._kept_roots:
            rows, columns = (_thin_root(axis, torch.finfo(dtype).eps) for axis in self.axes)
            self._kept_roots[dtype] = rows, columns
        return self._kept_roots[dtype]


class BoxMoment(SeparableMoment):
    """1-M = offset + scale B, B the indicator of a box of `sides` placed by `sampler` on an H x W image."""

    def __init__(
        self,
        rows: Tensor,
        columns: Tensor,
        *,
        sides: tuple[int, int],
        sampler: str,
        offset: float = 0.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__(rows, columns, offset=offset, scale=scale, sides=sides, sampler=sampler)
        self.sides, self.sampler = sides, sampler

    @classmethod
    def of(cls, shape: Sequence[int], sides: tuple[int, int], sampler: str, offset: float, scale: float) -> BoxMoment:
        rows, columns = (interval_cover(n, side, sampler) for n, side in zip(shape, sides, strict=True))
        return cls(rows, columns, sides=sides, sampler=sampler, offset=offset, scale=scale)

    def _form_of(self, images: Tensor, total: Tensor | None) -> Tensor:
        if images.requires_grad:
            return super()._form_of(images, total)
        sums = box_sums(images, self.sides, self.sampler)
        mean = None if total is None else sums.mean(0).mean(0)
        return self._with_constant(sums.square_().mean(0).mean(0), mean, total)

    def _roots(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """The equally likely intervals themselves: their rank is full."""
        return self.rows / len(self.rows) ** 0.5, self.columns / len(self.columns) ** 0.5


def box_sums(images: Tensor, sides: tuple[int, int], sampler: str) -> Tensor:
    """Sums of images (B, H, W) over each box: (positions across, positions down, B); position first, so that each
    addition of the sliding sums runs over long rows."""
    down = sliding_sums(images.movedim(1, 0), sides[0], sampler)
    across = sliding_sums(down.flatten(0, 1).T, sides[1], sampler)
    return across.reshape(len(across), len(down), len(images))


def thin_product(factor: Tensor, images: Tensor) -> Tensor:
    """factor (k, H) times images (B, H, W), k small; numpy's BLAS is two to three times faster at it than torch's."""
    if images.is_cpu and not images.requires_grad and images.dtype in (torch.float32, torch.float64):
        return torch.from_numpy(np.matmul(factor.contiguous().numpy(), images.numpy()))
    return factor @ images


def _thin_root(moment: Tensor, eps: float) -> Tensor:
    """Rows r_k with sum_k r_k r_k^T = moment, but for eigenvalues below the rounding of their computation."""
    values, vectors = torch.linalg.eigh(moment)
    kept = values > 4 * eps * values[-1]
    return (vectors[:, kept] * values[kept].sqrt()).T.contiguous()
