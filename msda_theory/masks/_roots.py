"""Roots F of a covariance K = A - c^2 1 1^T, F F^T = K, that are applied to noise without being formed.

F z has covariance K for standard normal z, whichever root F is; the symmetric K^{1/2} is one of them.  Ways to it:

    stationary A      by FFT: K is a convolution, c^2 d less at frequency zero
    Kronecker parts   A = U S U^T + low rank, U from the eigenvectors of the two axes.  K = U (S + Y D Y^T) U^T, and
                      with S^{-1/2} Y = V R (QR) and R D R^T = P diag(t) P^T,
                          F = U S^{1/2} (1 + V P diag(sqrt(1+t) - 1) P^T V^T);
                      for the downdate by c^2 1 1^T alone this is S^{1/2} (1 - gamma w w^T), w = S^{-1/2} U^T 1
    otherwise         the eigenvectors of the d x d matrix, up to d = 4096
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from linear_operator.operators import LinearOperator
from scipy.optimize import brentq
from torch import Tensor

from msda_theory.masks._moments import StationaryMoment
from msda_theory.masks._structure import Parts, parts_of

#: rows of noise (n, d) to rows F z (n, d)
Root = Callable[[Tensor], Tensor]

LARGEST_DENSE = 4096


class IndefiniteError(ValueError):
    """A - c^2 1 1^T has a negative eigenvalue, so that nothing has it as its covariance."""

    def __init__(self, eigenvalue: float, allowed: float) -> None:
        self.eigenvalue, self.allowed = eigenvalue, allowed
        super().__init__(f"the eigenvalue {eigenvalue:.6g} (rounding allows {-allowed:.1g})")


def covariance_root(moment: LinearOperator, share: float) -> Root:
    """F with F F^T = K = A - share^2 1 1^T, for a symmetric A; eigenvalues below `rounding` are taken for 0.

    Raises IndefiniteError with the smallest eigenvalue of K where it is negative, and ValueError for d > 4096 where A
    has no structure that helps.
    """
    if isinstance(moment, StationaryMoment):
        return _stationary_root(moment.kernel, share)
    parts = parts_of(moment)
    root = None if parts is None else _root_of_parts(parts, share, moment)
    return root or _dense_root(moment, share)


def rounding(norm: float, size: int, dtype: torch.dtype = torch.float64) -> float:
    """How far computed eigenvalues of a d x d matrix of that norm may lie from the true ones: 8 eps d ||A||.

    The backward error of a symmetric eigensolver is a modest multiple of eps ||A||, at most of order d; eps is that of
    the dtype in which A is given.  Positive for A = 0 too.
    """
    return max(8 * torch.finfo(dtype).eps * size * norm, torch.finfo(torch.float64).tiny)


def _stationary_root(kernel: Tensor, share: float) -> Root:
    shape = (kernel.shape[0], kernel.shape[1])
    spectrum = torch.fft.rfft2(kernel.double()).real
    allowed = rounding(float(spectrum.abs().max()), kernel.numel(), kernel.dtype)
    spectrum[0, 0] -= share**2 * kernel.numel()
    scale = _checked(spectrum, allowed).sqrt()

    def apply(noise: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(noise.reshape(-1, *shape)) * scale, s=shape).reshape(noise.shape)

    return apply


def _dense_root(moment: LinearOperator, share: float) -> Root:
    size = moment.shape[-1]
    if size > LARGEST_DENSE:
        raise ValueError(
            f"second_moment has d = {size} pixels and no structure that is known here ({type(moment).__name__}): "
            f"needed is a StationaryMoment, a SeparableMoment, a Kronecker product of two axes (plus low rank), or "
            f"d <= {LARGEST_DENSE}"
        )
    values, vectors = torch.linalg.eigh(moment.to_dense().double() - share**2)
    allowed = rounding(float(values.abs().max()) + share**2 * size, size, moment.dtype)
    factor = vectors * _checked(values, allowed).sqrt()
    return lambda noise: noise @ factor.T


def _checked(values: Tensor, allowed: float) -> Tensor:
    """The eigenvalues, those of rounding's size set to 0."""
    if float(values.min()) < -allowed:
        raise IndefiniteError(float(values.min()), allowed)
    return torch.where(values > allowed, values, 0.0)


def _root_of_parts(parts: Parts, share: float, moment: LinearOperator) -> Root | None:
    """None where the part that is not of low rank is not nonnegative, or its null space is filled by the low rank."""
    size = moment.shape[-1]
    values, basis = _diagonalised(parts, size)
    allowed = rounding(_norm(values, parts) + share**2 * size, size, moment.dtype)
    if float(values.min()) < -allowed:
        return None
    values, parts = values.clamp(min=0.0), _downdated(parts, share)
    columns = basis(parts.columns.T, True).T
    _require_nonnegative(values, columns, parts.inner, allowed)
    kept = values > allowed
    filled = (columns @ parts.inner @ _triangle(columns[~kept]).T).norm()
    if float(filled) > allowed:
        return None
    scale = torch.where(kept, values, 0.0).sqrt()
    thin, triangle = torch.linalg.qr(torch.where(kept, 1 / scale, 0.0).unsqueeze(-1) * columns)
    shift, vectors = _eigenvalues(triangle, parts.inner)
    grown = torch.where(1 + shift > rounding(1.0, size, moment.dtype), 1 + shift, 0.0).sqrt() - 1
    thin = thin @ vectors

    def apply(noise: Tensor) -> Tensor:
        return basis(scale * (noise + (noise @ thin * grown) @ thin.T), False)

    return apply


def _downdated(parts: Parts, share: float) -> Parts:
    """Less share^2 1 1^T."""
    columns = torch.cat([parts.columns, torch.ones(len(parts.columns), 1, dtype=torch.float64)], -1)
    less = torch.tensor([[-(share**2)]], dtype=torch.float64)
    return replace(parts, columns=columns, inner=torch.block_diag(parts.inner, less))


def _norm(values: Tensor, parts: Parts) -> float:
    """A bound of ||A||."""
    low = torch.cat([_eigenvalues(_triangle(parts.columns), parts.inner)[0], torch.zeros(1, dtype=torch.float64)])
    return float(values.abs().max() + low.abs().max())


def _diagonalised(parts: Parts, size: int) -> tuple[Tensor, Callable[[Tensor, bool], Tensor]]:
    """Eigenvalues (d,) of the Kronecker product plus ridge, and the change of rows (n, d) into or from their basis."""
    if parts.axes is None:
        return torch.full((size,), parts.ridge, dtype=torch.float64), lambda rows, into: rows
    (first, u), (second, v) = (torch.linalg.eigh(axis) for axis in parts.axes)

    def basis(rows: Tensor, into: bool) -> Tensor:
        images = rows.reshape(-1, len(u), len(v))
        return (u.T @ images @ v if into else u @ images @ v.T).reshape(rows.shape)

    return torch.outer(first, second).reshape(-1) + parts.ridge, basis


def _triangle(columns: Tensor) -> Tensor:
    """R of the QR factorisation: R D R^T has the nonzero eigenvalues of Y D Y^T."""
    return torch.linalg.qr(columns, mode="r")[1]


def _eigenvalues(triangle: Tensor, inner: Tensor) -> tuple[Tensor, Tensor]:
    product = triangle @ inner @ triangle.T
    values, vectors = torch.linalg.eigh((product + product.T) / 2)
    return values, vectors


def _require_nonnegative(values: Tensor, columns: Tensor, inner: Tensor, allowed: float) -> None:
    """S + Y D Y^T has no eigenvalue below -allowed: at x < 0, S + Y D Y^T > x where (S-x)^{-1/2} Y D Y^T (S-x)^{-1/2}
    has no eigenvalue below -1; where it has, the smallest eigenvalue is the x at which that one is -1."""

    def excess(x: float) -> float:
        triangle = _triangle(columns / (values - x).sqrt().unsqueeze(-1))
        return 1 + float(_eigenvalues(triangle, inner)[0][0])

    if excess(-allowed) >= 0:
        return
    lowest = float(_eigenvalues(_triangle(columns), inner)[0][0])
    raise IndefiniteError(brentq(excess, 2 * lowest - allowed, -allowed, xtol=allowed), allowed)
