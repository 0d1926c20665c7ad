"""One entry a mask law: how to make it, and its exact law in plain Python (tests/oracles.py).

An entry earns every test of tests/masks/test_conformance.py that its law admits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import torch
from linear_operator.operators import (
    KroneckerProductLinearOperator,
    LinearOperator,
    RootLinearOperator,
    SumLinearOperator,
    to_linear_operator,
)
from torch import Tensor

from msda_theory.masks import (
    SAMPLERS,
    Bernoulli,
    CutMix,
    FMix,
    Gaussian,
    GMix,
    HMix,
    MaskLaw,
    Mixup,
    RandomHMix,
    Stochastic,
)
from msda_theory.masks._fourier import FIELDS
from msda_theory.masks._moments import StationaryMoment
from msda_theory.ratios import Discrete
from tests import oracles
from tests.oracles import Law, Number

ORDINARY: tuple[Fraction, ...] = (Fraction(1, 8), Fraction(1, 3), Fraction(1, 2), Fraction(13, 16))
NEAR = Fraction(1, 10**9)


@dataclass(frozen=True)
class Case:
    """A law and its naive twin.

    jumps : the ratios where the law may jump        at_zero : whether it exists at ratio 0
    enumerable : the law lists its atoms, which are the twin's; else the twin has its first two moments
    confined : masks lie in [0, 1]                   remade : the law's repr makes it again
    fields : how many independent draws, in [0, 1], its second moment is the mean of; 0 where it is exact
    """

    law: MaskLaw
    twin: Law
    jumps: tuple[Fraction, ...] = ()
    at_zero: bool = True
    enumerable: bool = True
    confined: bool = True
    remade: bool = True
    fields: int = 0

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


def random_hmix(shape: tuple[int, int], sampler: str) -> Case:
    """r is 1/4 with probability 2/5, and 1 otherwise."""
    law = RandomHMix(shape, r=Discrete((0.25, 1.0), (0.4, 0.6)), sampler=sampler)
    shrunk, whole = oracles.box(shape, sampler, Fraction(1, 4)), oracles.box(shape, sampler)
    jumps = tuple(sorted({*oracles.box_jumps(shape, Fraction(1, 4)), *oracles.box_jumps(shape)}))
    twin = oracles.either(Fraction(2, 5), shrunk, whole)
    return Case(law, twin, jumps, at_zero=sampler != "printed", enumerable=False, remade=False)


def fmix(shape: tuple[int, int], decay: float) -> Case:
    size = shape[0] * shape[1]
    jumps = tuple(Fraction(k, size) for k in range(1, size))
    return Case(FMix(shape, decay=decay), oracles.fmix(shape, decay), jumps, enumerable=False, fields=FIELDS)


ROWS = [[Fraction(1), Fraction(-1, 2)], [Fraction(0), Fraction(2, 3)]]
COLUMNS = [[Fraction(1, 2), Fraction(1)], [Fraction(1, 3), Fraction(1, 3)], [Fraction(-1), Fraction(1, 4)]]
CIRCULAR = [[Fraction((j - k) % 4 * (4 - (j - k) % 4), 4) for k in range(4)] for j in range(4)]

Prescribed = Callable[[float], Tensor | LinearOperator]


def gaussian(shape: tuple[int, ...], root: list[list[Fraction]], second_moment: Prescribed) -> Case:
    law = Gaussian(shape, second_moment)
    return Case(law, oracles.signs(root), enumerable=False, confined=False, remade=False)


def covariance(root: list[list[Fraction]]) -> Tensor:
    floats = torch.tensor([[float(v) for v in row] for row in root], dtype=torch.float64)
    return floats @ floats.T


def dense(ratio: float) -> Tensor:
    return (1 - ratio) ** 2 + (ratio * (1 - ratio)) ** 2 * covariance(COLUMNS)


def kronecker(ratio: float) -> LinearOperator:
    """A constant of rank one, and a product of the axes."""
    ones = torch.ones(6, 1, dtype=torch.float64)
    axes = KroneckerProductLinearOperator(*(to_linear_operator(covariance(root)) for root in (ROWS, COLUMNS)))
    return SumLinearOperator(axes * (ratio * (1 - ratio)) ** 2, RootLinearOperator((1 - ratio) * ones))


def stationary(ratio: float) -> LinearOperator:
    kernel = (1 - ratio) ** 2 + (ratio * (1 - ratio)) ** 2 * covariance(CIRCULAR)[:1]
    return StationaryMoment(kernel)


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
    *(random_hmix((3, 4), sampler) for sampler in SAMPLERS),
    *(fmix(shape, 3.0) for shape in ((1, 2), (3, 1), (1, 4), (2, 2))),
    fmix((2, 2), 0.5),
    gaussian((3,), COLUMNS, dense),
    gaussian((2, 3), oracles.kronecker(ROWS, COLUMNS), kronecker),
    gaussian((1, 4), CIRCULAR, stationary),
]
