"""sup (L - L_n) over a small class, sample by sample in rational numbers: an oracle for generalisation bounds.

One unit with values s and labels y, equally likely; functions slope . (s - E s) + level with |slope| <= largest_slope
and |level| <= largest_level; the squared loss (f - y)^2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

from flint import fmpq


@dataclass(frozen=True)
class SmallGap:
    """The law's atoms (s, y) and the bounds of the class."""

    atoms: tuple[tuple[fmpq, fmpq], ...]
    largest_slope: fmpq
    largest_level: fmpq

    @property
    def centred(self) -> list[tuple[fmpq, fmpq]]:
        mean = sum((s for s, _ in self.atoms), fmpq(0)) / len(self.atoms)
        return [(s - mean, y) for s, y in self.atoms]

    @property
    def variance(self) -> fmpq:
        return sum((s**2 for s, _ in self.centred), fmpq(0)) / len(self.atoms)

    @property
    def largest_output(self) -> fmpq:
        return self.largest_slope * max(abs(s) for s, _ in self.centred) + self.largest_level

    def suprema(self, n: int) -> Iterator[tuple[fmpq, fmpq]]:
        """(probability, sup of L - L_n) of every sample of size n, up to its order."""
        k = len(self.atoms)
        for bars in combinations(range(n + k - 1), k - 1):
            edges = [-1, *bars, n + k - 1]
            counts = [b - a - 1 for a, b in pairwise(edges)]
            ways = math.factorial(n) // math.prod(map(math.factorial, counts))
            yield fmpq(ways, k**n), self._supremum([fmpq(1, k) - fmpq(c, n) for c in counts])

    def mean_supremum(self, n: int) -> fmpq:
        return sum((p * value for p, value in self.suprema(n)), fmpq(0))

    def exceeds(self, n: int, bound: float) -> fmpq:
        """P(sup (L - L_n) > bound)."""
        return sum((p for p, value in self.suprema(n) if float(value) > bound), fmpq(0))

    def _supremum(self, excess: list[fmpq]) -> fmpq:
        """A quadratic in the slope, for either end of the level, in which it is linear: level^2 cancels."""

        def mean(values: list[fmpq]) -> fmpq:
            return sum((e * v for e, v in zip(excess, values, strict=True)), fmpq(0))

        s, y = ([atom[i] for atom in self.centred] for i in (0, 1))
        bend, top = mean([v * v for v in s]), self.largest_slope
        best = []
        for level in (-self.largest_level, self.largest_level):
            slope = 2 * level * mean(s) - 2 * mean([a * b for a, b in zip(s, y, strict=True)])
            constant = mean([v * v for v in y]) - 2 * level * mean(y)
            at = [-top, top]
            if bend != 0 and abs(slope / (2 * bend)) <= top:
                at.append(-slope / (2 * bend))
            best += [bend * t * t + slope * t + constant for t in at]
        return max(best)
