"""Second moments of boxes averaged over the mixing ratio, at any image size.

All sides share their work (`_shared_sums`) but the largest, which have few positions and are summed one by one from the
integral image: there the shared sums would lose digits.
"""

from __future__ import annotations

import math
from functools import cached_property

import torch
from torch import Tensor

from msda_theory.masks._intervals import interval_count
from msda_theory.masks._moments import SecondMoment
from msda_theory.masks._separable import BoxMoment
from msda_theory.masks._shared_sums import Axis, SharedSums, integral_image

#: sides above this share of an axis are summed one by one; below it the difference loses (1+s)/(1-s) = 4 times an axis
LARGEST_SHARE = 0.6
#: images at a time: enough for long rows, few enough for the processor's cache
CHUNK = 16


class AveragedBoxes(SecondMoment):
    """sum_k weights[k] E[B B^T], B the indicator of a box of sides[k] placed by `sampler` on an H x W image.

    weights (K,), sides (K, 2).
    """

    def __init__(self, weights: Tensor, sides: Tensor, *, shape: tuple[int, int], sampler: str) -> None:
        super().__init__(weights, sides, shape=shape, sampler=sampler)
        self.weights, self.sides, self.shape_, self.sampler = weights, sides, shape, sampler
        self._tables: dict[tuple[torch.dtype, torch.device], SharedSums] = {}

    @property
    def pixels(self) -> int:
        return math.prod(self.shape_)

    def _images(self, v: Tensor) -> Tensor:
        return v.reshape(math.prod(v.shape[:-1]), *self.shape_)

    def _apply(self, v: Tensor) -> Tensor:
        applied = torch.zeros_like(v)
        for weight, (row, column) in zip(self.weights.tolist(), self.sides.tolist(), strict=True):
            applied += weight * BoxMoment.of(self.shape_, (row, column), self.sampler, 0.0, 1.0)._apply(v)
        return applied

    def _quadratic_form(self, v: Tensor) -> Tensor:
        if v.requires_grad:
            return super()._quadratic_form(v)
        parts = [self._of_images(images) for images in self._images(v).split(CHUNK)]
        return torch.cat(parts).reshape(v.shape[:-1])

    def _of_images(self, images: Tensor) -> Tensor:
        form, near = images.new_zeros(len(images)), self._near_in(images)
        if near is not None:
            form += near.all_and_overhangs(images)
        corners = near is not None and min(near.reach) > 0
        if self._far or corners:
            integral = integral_image(images)
            if near is not None and corners:
                form += near.corners(integral, images)
            for weight, sides, counts in self._far:
                form += weight * _boxes_of(integral, sides, counts)
        return form

    @cached_property
    def _per_position(self) -> Tensor:
        """weight / number of positions."""
        counts = [math.prod(self._counts(sides)) for sides in self.sides.tolist()]
        return self.weights.double() / torch.tensor(counts)

    def _counts(self, sides: list[int]) -> tuple[int, int]:
        rows, columns = (interval_count(n, side, self.sampler) for n, side in zip(self.shape_, sides, strict=True))
        return rows, columns

    @cached_property
    def _lengths(self) -> Tensor:
        """What the boxes cover of each axis: their sides, or twice half the side, rounded down."""
        return self.sides // 2 * 2 if self.sampler == "clip" else self.sides

    @cached_property
    def _is_far(self) -> Tensor:
        large = (self.sides > LARGEST_SHARE * torch.tensor(self.shape_)).any(1)
        return large & (self.sampler in ("printed", "inside"))  # the others have as many positions at any side

    @cached_property
    def _far(self) -> list[tuple[float, list[int], tuple[int, int]]]:
        chosen = zip(self._per_position[self._is_far].tolist(), self.sides[self._is_far].tolist(), strict=True)
        return [(weight, sides, self._counts(sides)) for weight, sides in chosen]

    def _near_in(self, like: Tensor) -> SharedSums | None:
        """The tables in the dtype and on the device of `like`, kept for the next call."""
        near = ~self._is_far & (self._lengths > 0).all(1)
        if not near.any():
            return None
        if (key := (like.dtype, like.device)) not in self._tables:
            axes = [Axis.of(n, side, self.sampler) for n, side in zip(self.shape_, self.sides[near].T, strict=True)]
            self._tables[key] = SharedSums(self._per_position[near], axes[0], axes[1], self.sampler, like)
        return self._tables[key]


def _boxes_of(integral: Tensor, sides: list[int], counts: tuple[int, int]) -> Tensor:
    """Sum over the positions inside of (sum of the box)^2."""
    (side, other), (count, across) = sides, counts
    box = integral[other : other + across, side : side + count] - integral[:across, side : side + count]
    box -= integral[other : other + across, :count]
    box += integral[:across, :count]
    return box.square_().sum((0, 1))
