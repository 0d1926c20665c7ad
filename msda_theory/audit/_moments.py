"""First and second moments of the recovered masks, each with its confidence bound.

The second moment is shown against displacement, as in Park et al., Fig. 4: the mean of a_jk = E[(1-M_j)(1-M_k)] over
all pixel pairs with k - j = (dy, dx), an array (2H-1, 2W-1) with displacement zero in the middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from msda_theory.audit._bounds import RunningMean, mean_bound
from msda_theory.audit._draws import Draws, batch_means
from msda_theory.quadrature import Array

CHUNK = 64


@dataclass(frozen=True)
class Estimate:
    """A mean map, the half-width of its simultaneous confidence bounds, and how many draws it averages."""

    value: Array
    bound: Array
    draws: int

    @property
    def excess(self) -> float:
        """The largest |value| / bound: above 1, the mean is not zero."""
        return float(np.max(np.abs(self.value) / self.bound))


def pair_counts(shape: tuple[int, int]) -> Array:
    """How many pixel pairs there are at each displacement: (H - |dy|)(W - |dx|)."""
    rows, columns = (n - np.abs(np.arange(1 - n, n)) for n in shape)
    return np.outer(rows, columns).astype(float)


def displacement_means(images: Array) -> Array:
    """Mean of v_j v_(j+delta) over the pixel pairs at each displacement, images (..., H, W) to (..., 2H-1, 2W-1)."""
    return _from_spectrum(np.abs(_spectrum(images)) ** 2, images.shape[-2:])


def _spectrum(images: Array) -> NDArray[np.complex128]:
    height, width = images.shape[-2:]
    return np.fft.rfft2(images, s=(2 * height, 2 * width))


def _from_spectrum(power: Array, shape: tuple[int, ...]) -> Array:
    height, width = shape
    sums = np.fft.fftshift(np.fft.irfft2(power, s=(2 * height, 2 * width)), axes=(-2, -1))
    return sums[..., 1:, 1:] / pair_counts((height, width))


def mean_mask(draws: Draws, false_alarm: float) -> Estimate:
    """E[M]."""
    return _estimate(draws, draws.masks, false_alarm)


def mean_gaps(draws: Draws, false_alarm: float) -> tuple[Estimate, Estimate]:
    """E[M - w] and E[(M - w)(2w - 1)], w the own label's weight: both vanish where E[M | w] = w 1."""
    weight = draws.weight[..., None, None]
    gap = draws.masks - weight
    return _estimate(draws, gap, false_alarm, span=2), _estimate(draws, gap * (2 * weight - 1), false_alarm, span=2)


def _estimate(draws: Draws, values: Array, false_alarm: float, span: float = 1.0) -> Estimate:
    means = batch_means(values, draws.mixed)
    comparisons = int(np.prod(means.shape[1:]))
    bound = mean_bound(means.var(0, ddof=1), len(means), false_alarm, comparisons, span)
    return Estimate(means.mean(0), bound + draws.doubt, len(means))


def second_moments(draws: Draws, false_alarm: float) -> tuple[Estimate, Estimate]:
    """a against displacement, and E[w (1-M_j)(1-M_k) - (1-w) M_j M_k], which the exchange of roles turns round.

    If (M, w) and (1-M, 1-w) have the same law, the second vanishes, and a sample sees the same in both roles.
    """
    shape = draws.masks.shape[-2:]
    seen, roles = RunningMean(), RunningMean()
    whole = _spectrum(np.ones(shape))
    for start in range(0, len(draws.masks), CHUNK):
        part = slice(start, start + CHUNK)
        given = _spectrum(1.0 - draws.masks[part].astype(np.float64))
        mixed, weight = draws.mixed[part], draws.weight[part][..., None, None]
        power, other = np.abs(given) ** 2, np.abs(whole - given) ** 2
        seen.add(_from_spectrum(batch_means(power, mixed), shape))
        roles.add(_from_spectrum(batch_means(weight * power - (1 - weight) * other, mixed), shape))
    comparisons = int(np.prod(seen.mean.shape)) // 2 + 1
    bounds = [mean_bound(r.variance, r.draws, false_alarm, comparisons, span) for r, span in ((seen, 1), (roles, 2))]
    return (
        Estimate(seen.mean, bounds[0] + draws.doubt, seen.draws),
        Estimate(roles.mean, bounds[1] + draws.doubt, roles.draws),
    )
