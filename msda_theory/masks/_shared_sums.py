"""The sums over boxes that all sides share: convolutions, overhanging intervals and corners.

An average over the ratio is a sum over the boxes' sides, up to a few hundred for a photograph.  One side after another,
each costs a few passes over the batch.  But almost all of them share their work.  On one axis the intervals inside
the image are all intervals that meet it, less those that overhang its border,

    sum over inside (b.v)^2 = sum over all (b.v)^2 - sum_{t<=left} (first t of v)^2 - sum_{t<=right} (last t of v)^2,

because what an overhanging interval covers is a beginning or an end of the axis.  The first sum is a convolution with
max(side-|j-k|, 0); the others are cumulative sums, which no longer depend on the side.  A product of two axes has four
such terms, each with the weights of all sides summed beforehand:

    all x all              one FFT of the zero-padded image
    overhang x all         cumulative sums across one axis of the other axis' FFT
    overhang x overhang    the squares of four integral images, one from each corner.

The difference loses digits where few positions are inside: `_averaged` sums the largest sides one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from msda_theory.masks._intervals import running_sum

#: images whose transforms are transformed again at a time, so that they stay in the processor's cache
TRANSFORMED = 2


@dataclass(frozen=True)
class Axis:
    """Per side: the length of the interval, and how many overhanging beginnings and ends it has."""

    n: int
    length: Tensor
    left: Tensor
    right: Tensor

    @staticmethod
    def of(n: int, side: Tensor, sampler: str) -> Axis:
        if sampler == "torus":
            return Axis(n, side, torch.zeros_like(side), torch.zeros_like(side))
        if sampler == "clip":
            half = side // 2
            return Axis(n, 2 * half, half - 1, half)
        return Axis(n, side, side - 1, side if sampler == "printed" else side - 1)

    @property
    def reach(self) -> int:
        """The longest beginning or end."""
        return int(max(self.left.max(), self.right.max()))

    def padded(self, sampler: str) -> int:
        """A length at which a circular convolution is the plain one."""
        return self.n if sampler == "torus" else int(next_fast_len(self.n + int(self.length.max()) - 1, real=True))

    def overlaps(self, length: int, sampler: str) -> Tensor:
        """max(side-|d|, 0) at displacement d, wrapped around an axis of `length`: (sides, length)."""
        d = torch.arange(length, dtype=torch.float64)
        direct = (self.length[:, None] - d).clamp(min=0)
        wrapped = (self.length[:, None] - (length - d)).clamp(min=0)
        return direct + wrapped

    def overhangs(self) -> tuple[Tensor, Tensor]:
        """Which of the beginnings (and ends) 1..reach each side has: 0/1, (sides, reach)."""
        t = torch.arange(1, self.reach + 1)
        return (t <= self.left[:, None]).double(), (t <= self.right[:, None]).double()


class SharedSums:
    """The sides that share their work: tables of the summed weights, and the sums that need them."""

    def __init__(self, weights: Tensor, rows: Axis, columns: Axis, sampler: str, like: Tensor) -> None:
        self.reach = rows.reach, columns.reach
        self.lengths = rows.padded(sampler), columns.padded(sampler)
        row_overlap, column_overlap = (
            axis.overlaps(length, sampler) for axis, length in zip((rows, columns), self.lengths, strict=True)
        )
        weights = weights.unsqueeze(-1)
        spectrum = torch.fft.rfft2(row_overlap.T @ (weights * column_overlap)).real.mT / self.lengths[0]
        self._all = _doubled(spectrum.mT, self.lengths[1]).mT.to(like).repeat_interleave(2, -1)
        row_hangs, column_hangs = rows.overhangs(), columns.overhangs()
        self._rows = [_spectra(hang.T @ (weights * column_overlap), like) for hang in row_hangs]
        self._columns = [_spectra(hang.T @ (weights * row_overlap), like) for hang in column_hangs]
        self._corner = [[(column.T @ (weights * row)).to(like) for column in column_hangs] for row in row_hangs]

    def all_and_overhangs(self, images: Tensor) -> Tensor:
        across = torch.fft.rfft(images, self.lengths[1])
        form = torch.cat([self._everywhere(part) for part in across.split(TRANSFORMED)])
        if self.reach[0] > 0:
            form -= _overhanging(across, self._rows)
        if self.reach[1] > 0:
            form -= _overhanging(torch.fft.rfft(images.mT.contiguous(), self.lengths[0]), self._columns)
        return form

    def _everywhere(self, across: Tensor) -> Tensor:
        both = torch.fft.fft(across, self.lengths[0], dim=-2).mT
        return _energy(both.movedim(1, 0), self._all)

    def corners(self, integral: Tensor, images: Tensor) -> Tensor:
        """sum_{t,t'} W(t,t') (sum of the t x t' pixels in a corner)^2 over the four corners."""
        (height, width), (t, u) = images.shape[1:], self.reach
        from_left = integral[1 : u + 1]
        from_right = integral[width] - integral[width - u : width].flip(0)
        form = images.new_zeros(len(images))
        for side, strip in enumerate((from_left, from_right)):
            top = strip[:, 1 : t + 1]
            bottom = strip[:, height : height + 1] - strip[:, height - t : height].flip(1)
            for end, corner in enumerate((top, bottom)):
                weights = self._corner[end][side]
                form += weights.reshape(1, -1).matmul(corner.square().reshape(-1, len(images)))[0]
        return form


def integral_image(images: Tensor) -> Tensor:
    """Sums of the first t rows and u columns of images (B, H, W): (W+1, H+1, B), so that additions run over B."""
    batch, height, width = images.shape
    down = images.new_zeros(height + 1, batch, width)
    for before, row, image_row in zip(down.unbind(0), down[1:].unbind(0), images.unbind(1), strict=False):
        torch.add(before, image_row, out=row)
    integral = images.new_zeros(width + 1, height + 1, batch)
    integral[1:].view(width, -1).copy_(down.view(-1, width).T)
    return running_sum(integral)


def _overhanging(spectra: Tensor, weights: list[Tensor]) -> Tensor:
    """spectra (B, n, F) of the lines across; the lines are summed up from either border, t at a time."""
    lines = spectra.movedim(1, 0)
    reach = len(weights[0])
    beginnings, ends = _cumulated(lines[:reach]), _cumulated(lines[-reach:].flip(0))
    return _energy(beginnings, weights[0]) + _energy(ends, weights[1])


def _spectra(kernel: Tensor, like: Tensor) -> Tensor:
    """For each t: the spectrum of the overlaps of all sides that have a beginning (an end) of t pixels, twice."""
    if len(kernel) == 0:
        return kernel
    return _doubled(torch.fft.rfft(kernel).real, kernel.shape[1]).to(like).repeat_interleave(2, -1)


def _doubled(spectrum: Tensor, length: int) -> Tensor:
    """Weights of |F|^2 for a real transform, over the length: what stands for two frequencies counts twice."""
    twice = torch.full(spectrum.shape[-1:], 2.0, dtype=torch.float64)
    twice[0] = 1
    if length % 2 == 0:
        twice[-1] = 1
    return spectrum * twice / length


def _cumulated(lines: Tensor) -> Tensor:
    """Cumulative sums along axis 0, in a new tensor."""
    sums = torch.empty(lines.shape, dtype=lines.dtype, device=lines.device)
    sums[0] = lines[0]
    for (before, row), line in zip(pairwise(sums.unbind(0)), lines[1:].unbind(0), strict=True):
        torch.add(before, line, out=row)
    return sums


def _energy(transforms: Tensor, weights: Tensor) -> Tensor:
    """sum_{t,f} weights[t, f] |transforms[t, b, f]|^2 for each b, real and imaginary parts weighted one by one.

    The transforms are overwritten.
    """
    squares = torch.view_as_real(transforms).flatten(2).square_()
    return torch.bmm(squares, weights.unsqueeze(-1)).sum((0, 2))
