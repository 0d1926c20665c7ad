"""An interval of pixels at a uniformly drawn position on one axis: how it is placed, its cover, its sliding sums."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from msda_theory._validation import require_choice

SAMPLERS = ("printed", "inside", "clip", "torus")


def interval_count(n: int, side: int, sampler: str) -> int:
    """How many rows `interval_cover` has."""
    return n if sampler in ("clip", "torus") else n - side + (sampler == "inside")


def interval_cover(n: int, side: int, sampler: str) -> Tensor:
    """The equally likely intervals of a `side` on an axis of `n` pixels, as rows of 0 and 1.

    - "printed": starts 0..n-side-1, the n-side positions that the denominator of Park et al., eq. (10) counts;
      the last pixel is never covered, and side = n has no position;
    - "inside": all n-side+1 positions inside the image;
    - "clip": centre uniform over the n pixels, side // 2 to either side, clipped at the border (released code);
    - "torus": all n positions, wrapped around the border.

    Raises ValueError for a side outside 0..n, for "printed" with side = n, and for another sampler.
    """
    require_choice("sampler", sampler, SAMPLERS)
    if not 0 <= side <= n:
        raise ValueError(f"side={side}: needed is 0 to n={n} pixels, a box that fits the image")
    count = interval_count(n, side, sampler)
    if count == 0:
        raise ValueError(
            f"sampler='printed': a box of side {side} on an axis of {n} pixels has n - side = 0 positions, and eq. "
            f"(10) divides by zero; use sampler='inside', or a ratio > 0"
        )
    return covered(n, torch.tensor(side), torch.arange(count), sampler)


def covered(n: int, side: Tensor, position: Tensor, sampler: str) -> Tensor:
    """0/1 rows (k, n): the pixels that an interval covers, for positions (k,) and sides (k,) or one side for all."""
    pixel, side, position = torch.arange(n), side.unsqueeze(-1), position.unsqueeze(-1)
    if sampler == "torus":
        return ((pixel - position) % n < side).double()
    if sampler == "clip":
        return ((pixel >= position - side // 2) & (pixel < position + side // 2)).double()
    return ((pixel >= position) & (pixel < position + side)).double()


def sliding_sums(v: Tensor, side: int, sampler: str) -> Tensor:
    """Sums of v (n, ...) over each interval of `interval_cover`: (count, ...), in O(n) additions.

    From one position to the next a pixel enters and one leaves.  Not for autograd: it adds in place.
    """
    n, count = len(v), interval_count(len(v), side, sampler)
    sums = v.new_empty(count, *v.shape[1:])
    if sampler == "clip":
        half = side // 2
        entering = v[half:][: n - 1]
        sums.zero_()[0] = v[:half].sum(0)
        sums[1 : len(entering) + 1] += entering
        sums[half + 1 :] -= v[: max(n - half - 1, 0)]
    else:
        entering = v.roll(-side, 0) if sampler == "torus" else v[side:]
        sums[0] = v[:side].sum(0)
        _subtract(entering[: count - 1], v[: count - 1], sums[1:])
    return running_sum(sums)


def _subtract(a: Tensor, b: Tensor, out: Tensor) -> None:
    """out = a - b; where a and b lie transposed, they are subtracted as they lie and copied in blocks."""
    if a.stride(0) == 1:
        out.copy_(a - b)
    else:
        torch.sub(a, b, out=out)


def running_sum(v: Tensor) -> Tensor:
    """Cumulative sums along axis 0, in place: row by row, several times faster than `cumsum` for long rows."""
    for before, row in pairwise(v.unbind(0)):
        row.add_(before)
    return v
