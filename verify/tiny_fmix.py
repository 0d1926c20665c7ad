"""FMix on a few pixels over exact numbers: the n brightest pixels of a stationary Gaussian field on the torus.

On three pixels the field is exchangeable, so every set of n is equally likely; on 2 x 2 so is every single pixel, and
every three.  Two of 2 x 2 are a row, a column or a diagonal.  The field is (A+B+C, -A+B-C, A-B-C, -A-B+C), independent
normals with variances in the ratio 1 : 1 : t, t = 2^-decay the power at frequency (1/2, 1/2) to that at the other two;
the two brightest sum to the largest of +-2A, +-2B, +-2C, so they are a diagonal where |C| > |A|, |B|: a cone, with
probability P = 2/pi arcsin(t/(1+t)).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

from flint import acb, fmpq

from verify.tiny_laws import Cell, Mask, Number, TinyLaw

Brightest = Callable[[int], list[tuple[Number, Mask]]]


def three_pixels(*, coin: bool) -> TinyLaw:
    return _rounded("FMix, 1 x 3", 3, lambda n: _equally_likely(3, n), coin)


def four_pixels(*, coin: bool, decay: int = 3) -> TinyLaw:
    """2 x 2, in ball arithmetic."""
    t = fmpq(1, 2**decay)
    diagonal = 2 * acb(t / (1 + t)).asin() / acb.pi()

    def brightest(n: int) -> list[tuple[Number, Mask]]:
        if n != 2:
            return _equally_likely(4, n)
        chance = {True: diagonal / 2, False: (1 - diagonal) / 4}
        return [(chance[mask[0] == mask[3]], mask) for _, mask in _equally_likely(4, 2)]

    return _rounded("FMix, 2 x 2", 4, brightest, coin, polynomial=False)


def _equally_likely(size: int, n: int) -> list[tuple[Number, Mask]]:
    masks = [[int(i in ones) for i in range(size)] for ones in combinations(range(size), n)]
    return [(fmpq(1, len(masks)), mask) for mask in masks]


def _rounded(name: str, size: int, brightest: Brightest, coin: bool, *, polynomial: bool = True) -> TinyLaw:
    """lambda d ones, rounded up or down: with probability 1/2 each (`coin`), or up with that of the fraction."""

    def cell(n: int) -> Cell:
        def atoms(lam: Number) -> list[tuple[Number, Mask]]:
            up = fmpq(1, 2) if coin else lam * size - n
            return [((1 - up) * p, m) for p, m in brightest(n)] + [(up * p, m) for p, m in brightest(n + 1)]

        return Cell(fmpq(n, size), fmpq(n + 1, size), atoms)

    rule = "by a coin" if coin else "by the fraction"
    return TinyLaw(f"{name}, rounded {rule}", size, tuple(cell(n) for n in range(size)), polynomial)
