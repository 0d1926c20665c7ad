"""The exact coefficients behind the claim about Figure 4."""

import math
from itertools import product

import pytest
import torch
from flint import arb, fmpq

from msda_theory.masks import SAMPLERS
from paper_checks.park2022.axes import SIDE, drawn_axis, grid_axis, printed_axis
from paper_checks.park2022.fig4 import NOWHERE, Band, Method, as_printed, bands, both, is_between, of_the_laws
from tests import oracles
from verify.tolerances import rounding

SIDES = (1, 37, 45, 63)
#: of an exponential and of a sum of at most 64 positive numbers
ROUNDING = rounding(torch.float64, 1.0, 2 * SIDE)


@pytest.mark.parametrize("length", SIDES)
def test_eq_10_is_the_box_at_n_minus_s_places(length):
    """Two channels: the formula with its h and l, and the intervals that the library draws."""
    assert printed_axis(length) == drawn_axis(length, "printed")


@pytest.mark.parametrize("sampler, length", list(product(SAMPLERS, SIDES)))
def test_pairs_of_a_drawn_axis(sampler, length):
    axis, drawn = drawn_axis(length, sampler), oracles.intervals(SIDE, length, sampler)
    for x in (0, 1, -5, 36, -63):
        pairs = [(j, j + x) for j in range(SIDE) if 0 <= j + x < SIDE]
        counts = [(j in i, k in i, j in i and k in i) for j, k in pairs for i in drawn]
        expected = [fmpq(sum(column), len(counts)) for column in zip(*counts, strict=True)]
        assert list(axis.displaced[x]) == expected
    assert axis.same[7].both == axis.same[7].j == fmpq(sum(7 in i for i in drawn), len(drawn))


@pytest.mark.parametrize("factor", [1, 2])
def test_pairs_of_a_gaussian_axis(factor):
    def bump(j, p):
        return math.exp(-math.pi * (j - p) ** 2 / (factor * 0.5 * SIDE**2))

    axis = grid_axis(factor)
    for x in (0, 1, -5, 36, -63):
        pairs = [(bump(j, p), bump(j + x, p)) for j in range(SIDE) if 0 <= j + x < SIDE for p in range(SIDE)]
        expected = [math.fsum(column) / len(pairs) for column in zip(*((b, c, b * c) for b, c in pairs), strict=True)]
        assert [float(value) for value in axis.displaced[x]] == pytest.approx(expected, rel=ROUNDING)
    assert [float(axis.same[5].both)] == pytest.approx([sum(bump(5, p) ** 2 for p in range(SIDE)) / SIDE], rel=ROUNDING)


def test_line_3_of_eq_11():
    gmix = as_printed()["GMix"]
    for x, y in ((0, 0), (3, -4), (40, 1)):
        expected = 0.5 * math.exp(-math.pi / (0.5 * SIDE**2) * (x**2 + y**2) / 4)
        assert float(gmix.displaced(x, y)) == pytest.approx(expected, rel=ROUNDING)


def test_between():
    assert is_between(fmpq(1, 3), fmpq(1, 2), fmpq(1, 4))
    assert is_between(fmpq(1, 2), fmpq(1, 2), fmpq(1, 4))
    assert not is_between(fmpq(1, 5), fmpq(1, 2), fmpq(1, 4))
    assert not is_between(arb(0.6, 0.05), fmpq(1, 2), fmpq(1, 4))
    with pytest.raises(ArithmeticError, match="more bits"):
        is_between(arb(0.5, 0.05), fmpq(1, 2), fmpq(1, 4))


def test_bands_count_both_signs_of_a_displacement():
    cutmix = as_printed()["CutMix"]
    above = Method(cutmix.axis, lambda rows, columns: both(rows, columns) + 1)
    assert bands({"CutMix": cutmix, "above": above}) == {"above": Band((2 * SIDE - 1) ** 2, 0, 2 * (SIDE - 1) ** 2)}
    assert bands({"CutMix": cutmix, "same": cutmix}) == {"same": NOWHERE}


def test_one_o_for_o_squared_moves_the_band():
    right, slip = (bands(of_the_laws("inside", power=power))["HMix"] for power in (2, 1))
    assert right != slip
