"""Suprema of linear functions over ellipsoids.

A class of linear functions x -> theta . x is a set of theta; its Rademacher complexity is a mean of suprema
sup_theta u . theta, the set's support function.  Zhang et al. (2021), sec. 3.3, and Park et al. (2022), App. D, bound
their classes by such sets.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from msda_theory._validation import require_at_least, require_finite, require_finite_positive, require_kind

#: roundings that an entry of a matrix may carry, e.g. one that is an average over a thousand samples
ROUNDINGS = 1024


@dataclass(frozen=True)
class Maximum:
    """sup_theta u . theta for each row u (..., p): `value` (...), a feasible point `at` (..., p), `gap` (...).

    value >= sup >= u . at = value - gap, up to rounding.  Where the set is unbounded along u, value is inf, `at` is
    NaN and the gap is 0.
    """

    value: Tensor
    at: Tensor
    gap: Tensor


class Body(ABC):
    """A closed set of theta in R^p that holds -theta with theta."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """p."""

    def support(self, u: Tensor) -> Tensor:
        """sup_theta u . theta for each row of u (..., p), shape (...), in u's dtype and device; inf where unbounded."""
        return self.maximum(u).value

    def maximum(self, u: Tensor) -> Maximum:
        """The supremum with a point and a gap; ValueError where u is not floating or its last axis is not p."""
        require_kind("u", u, Tensor)
        if not u.is_floating_point() or u.shape[-1:] != (self.dimension,):
            raise ValueError(f"u has shape {tuple(u.shape)}, {u.dtype}: needed is a floating (..., {self.dimension})")
        require_finite("u", u)
        found = self._maximum(u.reshape(-1, self.dimension))
        rows = u.shape[:-1]
        return Maximum(found.value.reshape(rows), found.at.reshape(u.shape), found.gap.reshape(rows))

    @abstractmethod
    def _maximum(self, u: Tensor) -> Maximum:
        """`maximum` for rows (b, p)."""


@dataclass(frozen=True, eq=False)
class Ellipsoid(Body):
    """{theta : theta^T A theta <= gamma}, A (p, p) symmetric and positive semidefinite, gamma > 0.

    Its support function is sqrt(gamma u^T A^+ u) for u in the range of A, else inf.  The range is spanned by the
    eigenvectors whose eigenvalues exceed 1024 p eps times the largest: the rounding that entries of A may carry.  A
    component of u outside it counts where it exceeds that rounding over the smallest eigenvalue kept, relative to u:
    by so much the computed range may be turned (Davis and Kahan, 1970).
    """

    matrix: Tensor
    gamma: float

    def __post_init__(self) -> None:
        require_kind("matrix", self.matrix, Tensor)
        shape = tuple(self.matrix.shape)
        if not self.matrix.is_floating_point() or len(shape) != 2 or shape[0] != shape[1] or shape[0] < 1:
            raise ValueError(f"matrix has shape {shape}, {self.matrix.dtype}: needed is a floating (p, p)")
        require_finite("matrix", self.matrix)
        require_finite_positive("gamma", self.gamma)
        skew = float((self.matrix - self.matrix.mT).abs().max())
        if skew > self._rounding:
            raise ValueError(f"matrix differs from its transpose by {skew:.3g}: needed is a symmetric matrix")
        least = float(self._spectrum[0].min())
        if least < -self._rounding:
            raise ValueError(f"matrix has the eigenvalue {least:.3g}: needed is a positive semidefinite matrix")

    @property
    def dimension(self) -> int:
        return len(self.matrix)

    @property
    def rank(self) -> int:
        """The rank of A, as its range is told from its kernel."""
        return self.factor.shape[-1]

    @cached_property
    def factor(self) -> Tensor:
        """T (p, rank) with T^T A T = 1 and T T^T = A^+."""
        values, vectors = self._spectrum
        kept = values > self._rounding
        return vectors[:, kept] / values[kept].sqrt()

    def expected_square(self, second_moment: Tensor) -> float:
        """E support(u)^2 = gamma tr(A^+ C) for any u with E[u u^T] = C (p, p); inf where u leaves the range of A."""
        other = Ellipsoid(second_moment, 1.0)
        values, vectors = other._spectrum
        kept = values > other._rounding
        if bool(self.outside(vectors[:, kept].mT).any()):
            return torch.inf
        return self.gamma * float((self.factor.mT @ second_moment.to(self.factor) @ self.factor).trace())

    def outside(self, u: Tensor) -> Tensor:
        """Which rows of u (b, p) leave the range of A, so that the ellipsoid is unbounded along them."""
        values, vectors = self._spectrum
        kernel = vectors[:, values <= self._rounding].to(u)
        kept = values[values > self._rounding]
        least = float(kept.min()) if len(kept) else torch.inf
        eps = max(torch.finfo(u.dtype).eps, torch.finfo(self.matrix.dtype).eps)
        turned = ROUNDINGS * self.dimension * eps * max(1.0, float(values.max()) / least)
        return (u @ kernel).norm(dim=-1) > turned * u.norm(dim=-1)

    @cached_property
    def _spectrum(self) -> tuple[Tensor, Tensor]:
        values, vectors = torch.linalg.eigh((self.matrix + self.matrix.mT) / 2)
        return values, vectors

    @property
    def _rounding(self) -> float:
        return ROUNDINGS * self.dimension * torch.finfo(self.matrix.dtype).eps * float(self.matrix.abs().max())

    def _maximum(self, u: Tensor) -> Maximum:
        factor = self.factor.to(u)
        whitened = u @ factor
        length = whitened.norm(dim=-1)
        unit = whitened / torch.where(length > 0, length, 1.0).unsqueeze(-1)
        root = self.gamma**0.5
        return unbounded(Maximum(root * length, root * unit @ factor.mT, torch.zeros_like(length)), self.outside(u))


class Ball(Ellipsoid):
    """{theta in R^p : ||theta||^2 <= gamma}, the ridge class."""

    def __init__(self, gamma: float, dimension: int) -> None:
        require_at_least("dimension", dimension, 1, "theta's length")
        super().__init__(torch.eye(dimension, dtype=torch.float64), gamma)


def unbounded(found: Maximum, where: Tensor) -> Maximum:
    """The same, with value inf, no point and no gap for the rows `where` (b,)."""
    return Maximum(
        found.value.masked_fill(where, torch.inf),
        found.at.masked_fill(where.unsqueeze(-1), torch.nan),
        found.gap.masked_fill(where, 0.0),
    )
