"""The coefficients a_jk in the closed forms of Park et al., as printed and as they should be, for any image H x W.

They are linear operators over the d = H W pixels, like `MaskLaw.second_moment`; `mean_by_displacement` averages them.
(`msda_theory.symbolic.coefficients` derives them.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from linear_operator.operators import KroneckerProductLinearOperator, LinearOperator, to_linear_operator
from torch import Tensor

from msda_theory._validation import require_at_least, require_choice, require_ratio, require_shape
from msda_theory.masks._boxes import CutMix, HMix
from msda_theory.masks._intervals import SAMPLERS
from msda_theory.masks._moments import OuterSum


def interval_overlap(n: int, side: int, sampler: str) -> Tensor:
    """P(an interval of a `side` covers both j and k), (n, n), float64; "printed" is one axis of (10).

    max(min(j+q, k+q, P) - max(j-p, k-p, 0), 0)/P, the pixels counted from 1, with p, q, P = s, 0, n-s ("printed"), s,
    0, n-s+1 ("inside") and [s/2], [s/2], n ("clip"); on the torus (max(s-d, 0) + max(s-(n-d), 0))/n, d = |j-k|.
    Raises ValueError for "printed" with side = n, where (10) divides by zero.
    """
    require_at_least("n", n, 1, "the pixels of an axis")
    require_at_least("side", side, 0, "in pixels")
    require_choice("sampler", sampler, SAMPLERS)
    if side > n or (side == n and sampler == "printed"):
        raise ValueError(f"side={side} on an axis of n={n} pixels, sampler={sampler!r}: n - side positions are needed")
    pixel = torch.arange(1, n + 1)
    low, high = torch.minimum(pixel.unsqueeze(-1), pixel), torch.maximum(pixel.unsqueeze(-1), pixel)
    if sampler == "torus":
        apart = high - low
        return ((side - apart).clamp(min=0) + (side - (n - apart)).clamp(min=0)).double() / n
    half, free = side // 2, n - side
    reach = {"printed": (side, 0, free), "inside": (side, 0, free + 1), "clip": (half, half, n)}
    before, after, positions = reach[sampler]
    common = (low + after).clamp(max=positions) - (high - before).clamp(min=0)
    return common.clamp(min=0).double() / positions


def cutmix_coefficients(shape: Sequence[int], ratio: float, *, sampler: str) -> LinearOperator:
    """E[B_j B_k], B the box of CutMix with sides [sqrt(1-lambda) n]; sampler="printed" is (10), n per axis."""
    law = CutMix(shape, sampler=sampler)
    require_ratio("ratio", ratio)
    return _box(law.shape, law.sides(ratio), sampler)


def hmix_coefficients(
    shape: Sequence[int], ratio: float, *, r: float, sampler: str, as_printed: bool = False
) -> LinearOperator:
    """(1-o)^2 + o(1-o)(v_j + v_k) + o^2 a_jk,s, o = lambda/(1-(1-lambda)r) as in sec. 4.

    as_printed: App. H, which has o for o^2 and o = lambda H W/(H W - s_1 s_2), the area of the box in whole pixels.
    """
    law = HMix(shape, r=r, sampler=sampler)
    require_ratio("ratio", ratio)
    sides = law.sides(ratio)
    box = _box(law.shape, sides, sampler)
    o = ratio * law.size / (law.size - math.prod(sides)) if as_printed else law.outside(ratio)
    linear = (1 - o) ** 2 / 2 + o * (1 - o) * box.diagonal()
    return box * (o if as_printed else o**2) + OuterSum(linear)


def gmix_plane_coefficients(shape: Sequence[int], ratio: float, *, as_printed: bool = True) -> LinearOperator:
    """(11), line 3: (1-lambda) exp(-pi/((1-lambda) N^2) ||(i-j)/2||^2), N^2 = H W; p uniform over the plane.

    as_printed=False: (1-lambda)/2 exp(-pi/((1-lambda) N^2) ||i-j||^2/2), of the kernel without the factor 2, for which
    E[1-M] = 1-lambda there.
    """
    height, width = require_shape(shape, dimensions=2)
    require_ratio("ratio", ratio)
    share = (1 - ratio) * (2 if as_printed else 1)
    c = math.pi / (2 * max(share, _TINY) * height * width)
    return _axes((height, width), lambda apart, middle, n: torch.exp(-c * apart**2)) * (share / 2)


def gmix_image_coefficients(shape: Sequence[int], ratio: float) -> LinearOperator:
    """Of the printed kernel, p uniform over the image and not only its pixels: the plane's times a factor an axis.

    The factor (erf(kappa (n+1/2-m)) + erf(kappa (m-1/2)))/2, kappa^2 = pi/((1-lambda) N^2), m the middle of the two
    pixels counted from 1, is what the border leaves.  Each a_ij of GMix is within kappa^2/6 of it, by the midpoint
    rule.  Raises ValueError for ratio = 1, where the bump has no width.
    """
    height, width = require_shape(shape, dimensions=2)
    require_ratio("ratio", ratio)
    if ratio == 1:
        raise ValueError("ratio=1: needed is a number in [0, 1), as the bump has no width at 1")
    kappa = math.sqrt(math.pi / ((1 - ratio) * height * width))

    def axis(apart: Tensor, middle: Tensor, n: int) -> Tensor:
        inside = torch.erf(kappa * (n + 0.5 - middle)) + torch.erf(kappa * (middle - 0.5))
        return torch.exp(-((kappa * apart) ** 2) / 4) * inside * (math.sqrt(math.pi) / (2 * kappa * n))

    return _axes((height, width), axis)


_TINY = float(np.finfo(float).tiny)


def _box(shape: Sequence[int], sides: Sequence[int], sampler: str) -> LinearOperator:
    overlaps = (interval_overlap(n, side, sampler) for n, side in zip(shape, sides, strict=True))
    return KroneckerProductLinearOperator(*map(to_linear_operator, overlaps))


def _axes(shape: tuple[int, int], entry: Callable[[Tensor, Tensor, int], Tensor]) -> LinearOperator:
    """The Kronecker product of one matrix an axis, by the distance and the middle of its pixels and their number."""
    matrices = []
    for n in shape:
        pixel = torch.arange(1, n + 1, dtype=torch.float64)
        matrices.append(entry(pixel.unsqueeze(-1) - pixel, (pixel.unsqueeze(-1) + pixel) / 2, n))
    return KroneckerProductLinearOperator(*map(to_linear_operator, matrices))
