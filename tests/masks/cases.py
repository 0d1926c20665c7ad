"""One entry a mask law: how to make it, and its exact law in plain Python (tests/oracles.py).

An entry earns every test of tests/masks/test_conformance.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from msda_theory.masks import SAMPLERS, Bernoulli, CutMix, GMix, HMix, MaskLaw, Mixup, Stochastic
from tests import oracles
from tests.oracles import Law, Number

ORDINARY: tuple[Fraction, ...] = (Fraction(1, 8), Fraction(1, 3), Fraction(1, 2), Fraction(13, 16))
NEAR = Fraction(1, 10**9)


@dataclass(frozen=True)
class Case:
    """A law and its naive twin; `jumps` are the ratios where the law may jump, `at_zero` says if it exists at 0."""

    law: MaskLaw
    twin: Law
    jumps: tuple[Fraction, ...] = ()
    at_zero: bool = True

    def __str__(self) -> str:
        return repr(self.law)

    @property
    def ratios(self) -> list[Number]:
        """Ordinary ones, the jumps exactly and a billionth to either side, and both ends."""
        sides = [jump + shift for jump in self.jumps for shift in (-NEAR, 0, NEAR)]
        return [*ORDINARY, *sides, Fraction(1), *([Fraction(0)] if self.at_zero else [])]


def cutmix(shape: tuple[int, int], sampler: str) -> Case:
    law = CutMix(shape, sampler=sampler)
    return Case(law, oracles.box(shape, sampler), oracles.box_jumps(shape), at_zero=sampler != "printed")


def hmix(shape: tuple[int, int], r: Fraction, sampler: str) -> Case:
    """With r < 1 the box is smaller than the image even at ratio 0."""
    law = HMix(shape, r=float(r), sampler=sampler)
    return Case(law, oracles.box(shape, sampler, r), oracles.box_jumps(shape, r), at_zero=r < 1 or sampler != "printed")


def gmix(shape: tuple[int, int], kernel: str) -> Case:
    jumps = (Fraction(1, 2),) if kernel == "released" else ()
    return Case(GMix(shape, kernel=kernel), oracles.gmix(shape, kernel), jumps)


def stochastic(shape: tuple[int, int], q: Fraction, sampler: str) -> Case:
    law = Stochastic(shape, q=float(q), sampler=sampler)
    twin = oracles.either(q, oracles.mixup(shape[0] * shape[1]), oracles.box(shape, sampler))
    return Case(law, twin, oracles.box_jumps(shape), at_zero=q == 1 or sampler != "printed")


CASES = [
    Case(Mixup((2,)), oracles.mixup(2)),
    Case(Mixup((2, 3, 2)), oracles.mixup(12)),
    Case(Bernoulli((2,)), oracles.bernoulli(2)),
    Case(Bernoulli((2, 3)), oracles.bernoulli(6)),
    *(cutmix(shape, sampler) for sampler in SAMPLERS for shape in ((3, 4), (4, 4), (1, 5))),
    *(hmix((3, 4), Fraction(1, 2), sampler) for sampler in SAMPLERS),
    hmix((4, 2), Fraction(9, 16), "inside"),
    hmix((2, 3), Fraction(1), "torus"),
    hmix((2, 3), Fraction(0), "printed"),
    *(gmix(shape, kernel) for kernel in ("printed", "released") for shape in ((3, 4), (5, 1))),
    *(stochastic((3, 2), Fraction(q, 4), "clip") for q in (0, 1, 4)),
    stochastic((2, 3), Fraction(1), "printed"),
]
