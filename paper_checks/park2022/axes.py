"""Second moments of one axis of an image, in rationals or balls: by displacement, and of single pixels.

A box indicator and a Gaussian bump B factorise over the axes, so E[B_j B_k] and its mean over the pairs of pixels that
are (x, y) apart are products of two numbers, one an axis.  Pixels without a partner in the image are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from flint import arb, fmpq

from msda_theory.masks import interval_cover
from paper_checks.exact_cases import HALF
from verify.tiny_laws import Number

#: of Fig. 4
SIDE = 64


class Pair(NamedTuple):
    """E[B_j], E[B_k] and E[B_j B_k] on one axis, of two pixels or averaged over pairs."""

    j: Number
    k: Number
    both: Number


@dataclass(frozen=True)
class Axis:
    """Pairs x apart, averaged, for x = 1-n, ..., n-1; and the pairs j = k, for j = 0, ..., n-1."""

    displaced: dict[int, Pair]
    same: dict[int, Pair]


@cache
def drawn_axis(length: int, sampler: str) -> Axis:
    """Of the intervals that the library draws."""
    rows = [[int(bit) for bit in row] for row in interval_cover(SIDE, length, sampler).tolist()]
    drawn = [sum(bit << row for row, bit in enumerate(column)) for column in zip(*rows, strict=True)]

    def both(j: int, k: int) -> fmpq:
        return fmpq((drawn[j] & drawn[k]).bit_count(), len(rows))

    return _axis(lambda j: both(j, j), both)


@cache
def printed_axis(length: int) -> Axis:
    """Of v and a_jk,s in (28), with s = [sqrt(1-lambda) n] those of (10), literally; their pixels count from 1."""

    def h(t: int) -> int:
        return min(t, SIDE - length)

    def l(t: int) -> int:  # noqa: E743
        return max(t - length, 0)

    def overlap(j: int, k: int) -> fmpq:
        return fmpq(max(min(h(j) - l(k), h(k) - l(j)), 0), SIDE - length)

    return _axis(lambda j: fmpq(h(j + 1) - l(j + 1), SIDE - length), lambda j, k: overlap(j + 1, k + 1))


@cache
def grid_axis(factor: int) -> Axis:
    """Of exp(-pi (i-p)^2 / (factor (1-lambda) n^2)), p uniform over the pixels; printed: factor 2, released: 1."""
    powers = [(-arb.pi() * m / (factor * HALF * SIDE**2)).exp() for m in range(2 * SIDE**2)]

    def moment(*pixels: int) -> arb:
        return _mean([powers[sum((i - p) ** 2 for i in pixels)] for p in range(SIDE)])

    return _axis(moment, moment)


@cache
def plane_axis() -> Axis:
    """exp(-pi (j-k)^2 / (4 (1-lambda) n^2)): line 3 of (11) is the product of two and of 1-lambda."""

    def both(j: int, k: int) -> arb:
        return (-arb.pi() * (j - k) ** 2 / (4 * HALF * SIDE**2)).exp()

    return _axis(lambda j: arb(1), both)


def _axis(one: Callable[[int], Number], both: Callable[[int, int], Number]) -> Axis:
    """From E[B_j] and E[B_j B_k]."""
    first = [one(j) for j in range(SIDE)]

    def averaged(x: int) -> Pair:
        pixels = range(max(0, -x), min(SIDE, SIDE - x))
        return Pair(
            _mean([first[j] for j in pixels]),
            _mean([first[j + x] for j in pixels]),
            _mean([both(j, j + x) for j in pixels]),
        )

    displaced = {x: averaged(x) for x in range(1 - SIDE, SIDE)}
    return Axis(displaced, {j: Pair(first[j], first[j], both(j, j)) for j in range(SIDE)})


def _mean(values: list[Number]) -> Number:
    return sum(values) / fmpq(len(values))
