"""The parts of a second moment add up to it, and there are none where no common basis is at hand."""

from __future__ import annotations

import pytest
import torch
from linear_operator.operators import (
    KroneckerProductLinearOperator,
    LinearOperator,
    MatmulLinearOperator,
    RootLinearOperator,
    SumLinearOperator,
    to_linear_operator,
)
from torch import Tensor

from msda_theory.masks import Bernoulli, CutMix, GMix, HMix, Stochastic
from msda_theory.masks._moments import MixedMoment, OuterSum, SecondMoment
from msda_theory.masks._structure import Parts, parts_of
from tests.helpers import assert_close
from verify.tolerances import rounding

SHAPE, SIZE = (3, 4), 12


def normal(*size: int, seed: int = 0) -> Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mixed(*moments: SecondMoment) -> MixedMoment:
    return MixedMoment(torch.arange(1, len(moments) + 1, dtype=torch.float64) / 4, *moments)


def symmetric(n: int, seed: int) -> Tensor:
    root = normal(n, n, seed=seed)
    return root @ root.T


BERNOULLI, OTHER = (Bernoulli(SHAPE).second_moment(ratio) for ratio in (0.3, 0.8))
BOX = HMix(SHAPE, r=0.6, sampler="clip").second_moment(0.4)
PRODUCT = KroneckerProductLinearOperator(*(to_linear_operator(symmetric(n, n)) for n in SHAPE))
THIN = RootLinearOperator(normal(SIZE, 2, seed=1))
BOTH = normal(SIZE, 2, seed=2), normal(SIZE, 2, seed=3)
TURNED = SumLinearOperator(*(MatmulLinearOperator(a, b.mT) for a, b in (BOTH, BOTH[::-1])))
STRUCTURED: dict[str, LinearOperator] = {
    "one diagonal": BERNOULLI,
    "two diagonals, scaled": mixed(BERNOULLI, OTHER),
    "box": BOX,
    "bump": GMix(SHAPE, kernel="released").second_moment(0.3),
    "diagonal, then box": mixed(BERNOULLI, BOX),
    "box, then diagonals": mixed(BOX, BERNOULLI, OTHER),
    "Mixup or CutMix": Stochastic(SHAPE, q=0.25, sampler="inside").second_moment(0.4),
    "scaled product, low rank": SumLinearOperator(PRODUCT * 3.0, THIN),
    "low rank, then product": SumLinearOperator(THIN, PRODUCT),
    "scaled sum": SumLinearOperator(THIN, PRODUCT) * 0.5,
    "two sides": TURNED,
    "product, diagonal scaled": SumLinearOperator(PRODUCT, mixed(BERNOULLI, OTHER)),
}
UNSTRUCTURED: dict[str, LinearOperator] = {
    "two boxes": mixed(BOX, CutMix(SHAPE, sampler="clip").second_moment(0.4)),
    "box and product": SumLinearOperator(BOX, PRODUCT),
    "product of three": KroneckerProductLinearOperator(*(to_linear_operator(symmetric(n, n)) for n in (3, 2, 2))),
    "a dense one": to_linear_operator(symmetric(SIZE, 4)),
    "a dense one among others": SumLinearOperator(THIN, to_linear_operator(symmetric(SIZE, 4)), PRODUCT),
    "half of the rank": RootLinearOperator(normal(SIZE, 6)),
    "another kind": OuterSum(normal(SIZE)),
}


def dense(parts: Parts) -> Tensor:
    product = 0.0 if parts.axes is None else torch.kron(*parts.axes)
    return product + parts.ridge * torch.eye(SIZE, dtype=torch.float64) + parts.columns @ parts.inner @ parts.columns.T


@pytest.mark.parametrize("name", STRUCTURED)
def test_the_parts_add_up(name: str) -> None:
    operator = STRUCTURED[name]
    parts, expected = parts_of(operator), operator.to_dense()
    assert parts is not None
    assert_close(dense(parts), expected, rounding(torch.float64, float(expected.abs().max()) + 8, 64))


@pytest.mark.parametrize("name", UNSTRUCTURED)
def test_no_parts_are_made_up(name: str) -> None:
    assert parts_of(UNSTRUCTURED[name]) is None
