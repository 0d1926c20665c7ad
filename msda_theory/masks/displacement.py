"""Coefficients by displacement: the mean of a_jk over all pairs of pixels that lie equally far apart."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from linear_operator.operators import LinearOperator
from torch import Tensor

from msda_theory._validation import require_kind, require_shape
from msda_theory.masks._base import MaskLaw
from msda_theory.masks._moments import MixedMoment
from msda_theory.masks._separable import SeparableMoment


def by_displacement(law: MaskLaw, ratio: float) -> Tensor:
    """E_i a_{i,i+(x,y)}, i uniform over the pixels for which i+(x,y) lies in the image  (Park et al., Fig. 4).

    a_jk = E[(1-M_j)(1-M_k) | lambda] is `law.second_moment(ratio)`.  Of an H x W law, (2H-1, 2W-1), float64: entry
    [H-1+x, W-1+y] belongs to x rows and y columns, so displacement 0 is in the middle.  Raises TypeError or ValueError
    for a law that is not one of images (H, W), and for a ratio outside [0, 1].
    """
    require_kind("law", law, MaskLaw)
    if len(law.shape) != 2:
        raise ValueError(f"law={law!r} has masks of shape {law.shape}: needed are images (H, W)")
    return mean_by_displacement(law.second_moment(ratio), law.shape)


def mean_by_displacement(matrix: Tensor | LinearOperator, shape: Sequence[int]) -> Tensor:
    """The same of any d x d matrix over the pixels of an image (H, W), d = H W: E_i a_{i+(x,y),i}, float64.

    Moments that are a product over the axes are averaged an axis at a time.
    """
    height, width = require_shape(shape, dimensions=2)
    if tuple(matrix.shape) != (height * width, height * width):
        raise ValueError(
            f"matrix has shape {tuple(matrix.shape)}: needed is d x d with the d = {height * width} pixels of shape "
            f"{tuple(shape)}"
        )
    if isinstance(matrix, MixedMoment):
        means = torch.stack([mean_by_displacement(part, shape) for part in matrix.moments])
        return torch.einsum("k,kxy->xy", matrix.weights, means)
    if isinstance(matrix, SeparableMoment):
        return _of_axes(matrix)
    return _of_columns(matrix, height, width)


def _of_axes(moment: SeparableMoment) -> Tensor:
    """offset^2 + offset scale (E_i m_i + E_i m_{i+(x,y)}) + scale^2 E_i C_{i,i+(x,y)}; m and C are products."""
    product = torch.outer(*(_on_axis(axis) for axis in moment.axes))
    means = (cover.mean(0) for cover in (moment.rows, moment.columns))
    here = torch.outer(*(_on_axis(mean.expand(len(mean), -1)) for mean in means))
    there = here.flip(0, 1)
    return moment.offset**2 + moment.offset * moment.scale * (here + there) + moment.scale**2 * product


def _on_axis(matrix: Tensor) -> Tensor:
    """Means of the diagonals of an n x n matrix, (2n-1,)."""
    return _of_columns(matrix, 1, len(matrix))[0]


def _of_columns(matrix: Tensor | LinearOperator, height: int, width: int) -> Tensor:
    """W columns of the matrix at a time, those of one image row of pixels i: an operator is never formed."""
    column = torch.arange(width)
    right = (column.unsqueeze(-1) - column + width - 1).flatten()  # where the pair (k, i) of an axis is counted
    sums = torch.zeros(2 * height - 1, 2 * width - 1, dtype=torch.float64)
    for row in range(height):
        pixels = torch.zeros(height, width, width, dtype=torch.float64)
        pixels[row] = torch.eye(width, dtype=torch.float64)
        block = matrix @ pixels.reshape(height * width, width)
        sums[height - 1 - row : 2 * height - 1 - row].index_add_(1, right, block.reshape(height, width * width))
    return sums / torch.outer(_pairs(height), _pairs(width))


def _pairs(n: int) -> Tensor:
    """How many pairs of pixels of an axis are x apart, for x = 1-n, ..., n-1."""
    return n - torch.arange(1 - n, n, dtype=torch.float64).abs()
