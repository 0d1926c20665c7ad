"""FMix: the brightest pixels of low-frequency noise  (Harris et al., 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from msda_theory._validation import require_finite_positive, require_ratio, require_shape
from msda_theory.masks._base import Atoms, MaskLaw, NotEnumerableError
from msda_theory.masks._moments import StationaryMoment

#: noise fields behind an estimated second moment, and the seed they are drawn with
FIELDS = 1024
SEED = 0
CHUNK_ELEMENTS = 2**22


class FMix(MaskLaw):
    """M_j = 1 at the n brightest of the d = H W pixels of a random field g, and 0 elsewhere.

    g is white Gaussian noise whose Fourier coefficient at frequency f is multiplied by |f|^-decay, |f|^2 = (k/H)^2 +
    (l/W)^2; frequency 0 moves all pixels alike and is left out.  n = lambda d where that is an integer, else it is
    rounded up or down with probability 1/2 each, whatever the fraction, as in the authors' code: the law is constant
    between the ratios k/d.

    - g is stationary on the torus, so each pixel is equally likely to be among the n brightest: E[M_j | n] = n/d, and
      E[M] = (floor(lambda d) + 1/2)/d 1 between the ratios k/d, at most 1/(2d) from lambda;
    - g and -g have one law, and the n brightest of -g are the n darkest of g: M(lambda) and 1-M(1-lambda) have one law;
    - a_jk depends on the displacement of j and k on the torus alone, without a closed form: it is the mean of circular
      autocorrelations over `FIELDS` seeded fields and their negatives, unbiased and the same at every call.
      `second_moment_error` is its standard error.  Its diagonal, 1 - E[M], and its row sums are exact.

    This is the field of Harris et al.'s definition.  Their code draws half a spectrum on its own, which gives the
    frequencies with l = 0 and l = W/2 half the power of the others.
    """

    constant_between_breaks = True

    def __init__(self, shape: Sequence[int], *, decay: float = 3.0) -> None:
        super().__init__(require_shape(shape, dimensions=2))
        require_finite_positive("decay", decay)
        self.decay = float(decay)
        self.breaks = tuple(k / self.size for k in range(1, self.size))
        self._kernels: dict[int, tuple[Tensor, Tensor]] = {}

    def second_moment_error(self, ratio: float) -> Tensor:
        """A bound on the standard error of a_jk at each displacement (j-k) mod (H, W): (H, W), float64.

        That of the mean over n = floor and n = ceil is at most the mean of their standard errors.
        """
        require_ratio("ratio", ratio)
        down, up = self._counts(float(ratio))
        return (self._estimated(down)[1] + self._estimated(up)[1]) / 2

    def _counts(self, ratio: float) -> tuple[int, int]:
        """lambda d rounded down and up; the same where it is an integer but for the rounding of lambda = k/d."""
        count = ratio * self.size
        nearest = round(count)
        if abs(count - nearest) <= 4 * np.finfo(float).eps * self.size:
            return nearest, nearest
        return math.floor(count), math.ceil(count)

    def _mean(self, ratio: float) -> Tensor:
        return torch.full((self.size,), sum(self._counts(ratio)) / (2 * self.size), dtype=torch.float64)

    def _second_moment(self, ratio: float) -> StationaryMoment:
        down, up = self._counts(ratio)
        return StationaryMoment((self._estimated(down)[0] + self._estimated(up)[0]) / 2)

    def _sample(self, ratio: Tensor, rng: np.random.Generator) -> Tensor:
        counts = torch.tensor([self._counts(value) for value in ratio.tolist()], dtype=torch.int64).reshape(-1, 2)
        up = torch.from_numpy(rng.integers(2, size=len(ratio)))
        n = counts.gather(1, up.unsqueeze(-1))
        return (self._ranks(len(ratio), rng) < n).double().reshape(-1, *self.shape)

    def _ranks(self, fields: int, rng: np.random.Generator) -> Tensor:
        """The place of each pixel of a field, the brightest first: (fields, d)."""
        ranks = torch.empty(fields, self.size, dtype=torch.int32)
        places = torch.arange(self.size, dtype=torch.int32)
        for part in ranks.split(max(1, CHUNK_ELEMENTS // self.size)) if fields else ():
            white = torch.from_numpy(rng.standard_normal((len(part), *self.shape)))
            coloured = torch.fft.irfft2(torch.fft.rfft2(white) * self._scale, s=self.shape)
            order = coloured.flatten(1).argsort(dim=1, descending=True)
            part.scatter_(1, order, places.expand_as(part))
        return ranks

    @cached_property
    def _scale(self) -> Tensor:
        """|f|^-decay on the half spectrum of a real field, 1 at the lowest frequency and 0 at frequency 0."""
        height, width = self.shape
        down, across = torch.fft.fftfreq(height, dtype=torch.float64), torch.fft.rfftfreq(width, dtype=torch.float64)
        frequency = torch.hypot(down.unsqueeze(-1), across)
        scale = (frequency * max(self.shape)) ** -self.decay
        scale[0, 0] = 0.0
        return scale

    @cached_property
    def _fields(self) -> Tensor:
        return self._ranks(FIELDS, np.random.default_rng(SEED))

    def _estimated(self, n: int) -> tuple[Tensor, Tensor]:
        """E[(1-M_j)(1-M_k) | n] by displacement, and its standard error; kept."""
        if n not in self._kernels:
            self._kernels[n] = self._autocorrelations(n)
        return self._kernels[n]

    def _autocorrelations(self, n: int) -> tuple[Tensor, Tensor]:
        """The mean over the fields of 1/d sum_i (1-M_i)(1-M_{i+s}), averaged over a field and its negative."""
        total, squares = torch.zeros(2, *self.shape, dtype=torch.float64)
        for ranks in self._fields.split(max(1, CHUNK_ELEMENTS // self.size)):
            power = _power(ranks >= n, self.shape) + _power(ranks < self.size - n, self.shape)
            found = torch.fft.irfft2(power, s=self.shape) / (2 * self.size)
            total += found.sum(0)
            squares += found.square().sum(0)
        mean = total / FIELDS
        variance = (squares / FIELDS - mean**2).clamp(min=0.0) * FIELDS / (FIELDS - 1)
        return mean, (variance / FIELDS).sqrt()

    def _count(self, ratio: float) -> int:
        raise self._unknown()

    def _atoms(self, ratio: float) -> Atoms:
        raise self._unknown()

    def _unknown(self) -> NotEnumerableError:
        return NotEnumerableError(f"the masks of {self!r} have no closed-form probabilities; use method='monte-carlo'")

    def __repr__(self) -> str:
        return f"FMix({self.shape}, decay={self.decay!r})"


def _power(zeros: Tensor, shape: tuple[int, ...]) -> Tensor:
    """|FFT|^2 of images given as rows of booleans."""
    spectrum = torch.fft.rfft2(zeros.double().reshape(-1, *shape))
    return spectrum.real.square() + spectrum.imag.square()
