"""A law of data for which Theorem 3.2's set of minimisers is not empty, and its inequality almost never true.

x = e_1 and -e_1 with label 1, a quarter each; x = e_2 with label 1, 31/64; x = -e_2 with label 0, 1/64.  Where both e_1
and -e_1 are in the sample, theta in Theta has theta . e_1 = 0, so Theta = {(0, t): t >= 0}, and every |cos(x, theta)|
is 0 or 1.  All |x| = 1.  Ratios are uniform, E_D~[1-lambda] = 1/3 and E_D~[(1-lambda)^2] = 1/6.

On Theta, with p the share of +-e_1 and s = E[r_2^2] that of +-e_2, rbar_2 of size at most s,

    L_std >= p log 2 + s log(1 + e^-t),    R1 >= -t p |rbar_2|/6,    R2 >= t^2 p s/48,

so that L~_mix has a minimiser (0, t^), and is above p log 2 for t <= 1 and for t > 8.  Where it is below p log 2 at one
t, it is at t^ too: there L~_mix < L_std, and 1 < t^ <= 8.  Theta* is {(0, t): 1 < t <= 8}.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import factorial

from flint import arb, fmpq

from verify.tiny_adversary import logistic, logistic_loss

FIRST, SECOND = fmpq(1, 3), fmpq(1, 6)
AXIS, UP, DOWN = fmpq(1, 2), fmpq(31, 64), fmpq(1, 64)
#: where L~_mix is compared with p log 2
T = fmpq(5)


@dataclass(frozen=True)
class Counts:
    """How many of the sample are +-e_1, e_2 and -e_2."""

    axis: int
    up: int
    down: int

    @property
    def size(self) -> int:
        return self.axis + self.up + self.down

    @property
    def probability(self) -> fmpq:
        """Of these counts, and of both e_1 and -e_1 being there."""
        orders = factorial(self.size) // (factorial(self.axis) * factorial(self.up) * factorial(self.down))
        both = 1 - fmpq(2, 2**self.axis) if self.axis > 0 else fmpq(0)
        return orders * AXIS**self.axis * UP**self.up * DOWN**self.down * both


def counts(size: int) -> Iterator[Counts]:
    for axis in range(size + 1):
        for up in range(size + 1 - axis):
            yield Counts(axis, up, size - axis - up)


def approximate_mixup_loss(c: Counts, t: fmpq) -> arb:
    """L~_mix at theta = (0, t), no centring."""
    groups = [(fmpq(0), 1, c.axis), (fmpq(1), 1, c.up), (fmpq(-1), 0, c.down)]
    mean = fmpq(c.up - c.down, c.size)
    square = fmpq(c.up + c.down, c.size)
    total = arb(0)
    for height, y, count in groups:
        f = arb(t * height)
        g = logistic(f)
        moves = square - 2 * mean * height + height**2
        slope, bend = FIRST * t * (mean - height) * (g - y), SECOND / 2 * t**2 * moves * g * (1 - g)
        total += fmpq(count, c.size) * (logistic_loss(f, y) + slope + bend)
    return total


def refuted(c: Counts) -> bool:
    """Certainly L~_mix < L_std at every minimiser, given that e_1 and -e_1 are there."""
    if c.up + c.down == 0 or c.axis < 2:
        return False
    return bool(approximate_mixup_loss(c, T) < fmpq(c.axis, c.size) * arb(2).log())


def refuted_probability(size: int) -> fmpq:
    """At least this likely, L~_mix < L_std at every minimiser in Theta for a sample of this size."""
    return sum((c.probability for c in counts(size) if refuted(c)), fmpq(0))


def promised_probability(size: int, refuted: fmpq) -> arb:
    """1 - delta_n - 2 exp(-n p_tau^2/2): p_tau = 1/2, and delta_n at most the chance that a sample is not `refuted`."""
    return refuted - 2 * (arb(-size) / 8).exp()
