"""GMix: a Gaussian bump about a uniformly drawn pixel  (Park et al., sec. 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from msda_theory._validation import require_choice, require_shape
from msda_theory.masks._base import Atoms, MaskLaw
from msda_theory.masks._separable import SeparableMoment

KERNELS = ("printed", "released")


class GMix(MaskLaw):
    """A Gaussian bump g_c(i, p) = exp(-c ||i-p||^2) about a pixel p drawn uniformly from the H W pixels.

    - kernel="printed": 1-M = g_c, c = pi / (2 (1-lambda) H W): the printed mask, N^2 read as H W;
    - kernel="released": c = pi / (s H W) with s = min(lambda, 1-lambda); M = g_c for lambda < 1/2 and 1-M = g_c
      above, so that M(lambda) and 1-M(1-lambda) have the same law, as the authors' released code does.  (That code
      takes H for both sides; for H = W the two agree.)

    The kernel factorises over the axes, so E[g_j g_k] is a Kronecker product, of low numerical rank.
    """

    uniforms = 2

    def __init__(self, shape: Sequence[int], *, kernel: str) -> None:
        super().__init__(require_shape(shape, dimensions=2))
        require_choice("kernel", kernel, KERNELS)
        self.kernel = kernel
        self.breaks = self._graded_breaks()

    def _graded_breaks(self) -> tuple[float, ...]:
        """The jump at 1/2 of the released kernel, and for quadrature 4^-k from where the bump shrinks to a point.

        exp(-c ||i-p||^2) with c ~ 1/(1-lambda) is smooth but not analytic at lambda = 1 (released: and at 0).  Cells
        graded down to 1-lambda ~ 1/(4 H W), where the neighbours of p get nothing, need 16 nodes, one cell needs 256.
        """
        depth = math.ceil(math.log(4 * self.size, 4))
        steps = [4.0**-k for k in range(1, depth)]
        ends = [1 - step for step in steps]
        return tuple(sorted(ends if self.kernel == "printed" else [*steps, 0.5, *ends]))

    def _bump_is_first(self, ratio: float) -> bool:
        """True where M itself is the bump, False where 1-M is."""
        return self.kernel == "released" and ratio < 0.5

    def _axes(self, ratio: float) -> list[Tensor]:
        """exp(-c (i-p)^2) an axis, rows p, columns i."""
        share = 2 * (1 - ratio) if self.kernel == "printed" else min(ratio, 1 - ratio)
        c = math.pi / (max(share, np.finfo(float).tiny) * self.size)
        pixels = [torch.arange(n, dtype=torch.float64) for n in self.shape]
        return [torch.exp(-c * (i - i.unsqueeze(-1)) ** 2) for i in pixels]

    def _bump_mean(self, ratio: float) -> Tensor:
        rows, columns = (axis.mean(0) for axis in self._axes(ratio))
        return torch.outer(rows, columns).reshape(-1)

    def _mean(self, ratio: float) -> Tensor:
        bump = self._bump_mean(ratio)
        return bump if self._bump_is_first(ratio) else 1 - bump

    def _second_moment(self, ratio: float) -> SeparableMoment:
        """1-M is the bump, or 1 less the bump."""
        rows, columns = self._axes(ratio)
        first = self._bump_is_first(ratio)
        return SeparableMoment(rows, columns, offset=1.0 if first else 0.0, scale=-1.0 if first else 1.0)

    def _masks(self, ratio: float) -> Tensor:
        bumps = torch.einsum("ah,bw->abhw", *self._axes(ratio)).reshape(-1, *self.shape)
        return bumps if self._bump_is_first(ratio) else 1 - bumps

    def _count(self, ratio: float) -> int:
        return self.size

    def _atoms(self, ratio: float) -> Atoms:
        masks = self._masks(ratio)
        return Atoms(masks, torch.full((len(masks),), 1 / len(masks), dtype=torch.float64))

    def _sample(self, ratio: Tensor, rng: np.random.Generator) -> Tensor:
        pixels = [[int(rng.integers(n)) for n in self.shape] for _ in range(len(ratio))]
        return self._about(ratio, torch.tensor(pixels).reshape(-1, 2))

    def _placed(self, ratio: Tensor, uniform: Tensor, rng: np.random.Generator) -> Tensor:
        sides = torch.tensor(self.shape)
        return self._about(ratio, (uniform * sides).long().minimum(sides - 1))

    def _about(self, ratio: Tensor, pixels: Tensor) -> Tensor:
        """Masks about pixels (n, 2), one a ratio."""
        released = self.kernel == "released"
        share = torch.minimum(ratio, 1 - ratio) if released else 2 * (1 - ratio)
        c = torch.pi / (share.clamp(min=np.finfo(float).tiny) * self.size)
        rows, columns = (
            torch.exp(-c[:, None] * (torch.arange(n) - pixels[:, axis, None]) ** 2) for axis, n in enumerate(self.shape)
        )
        bumps = rows.unsqueeze(-1) * columns.unsqueeze(-2)
        first = (ratio < 0.5)[:, None, None] & released
        return torch.where(first, bumps, 1 - bumps)

    def __repr__(self) -> str:
        return f"GMix({self.shape}, kernel={self.kernel!r})"
