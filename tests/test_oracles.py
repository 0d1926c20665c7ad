"""The tests' own oracles against mpmath and by hand: what judges is judged first."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import pytest

from tests import oracles


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.2), (0.3, 2.0), (1.0, 1.0), (2.5, 0.5), (5.0, 5.0)])
@pytest.mark.parametrize("breaks", [(), (0.25, 0.5)])
@pytest.mark.parametrize("p", [0, 1, 2.5])
def test_ratio_nodes_reproduce_moments(a: float, b: float, breaks: tuple[float, ...], p: float) -> None:
    found = sum(w * ratio**p * gone for ratio, gone, w in oracles.ratio_nodes(a, b, breaks))
    assert abs(found - float(mpmath.beta(a + p, b + 1) / mpmath.beta(a, b))) <= oracles.QUADRATURE_ERROR


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.2), (1.0, 1.0), (2.0, 0.3)])
def test_ratio_nodes_follow_a_narrowing_bump(a: float, b: float) -> None:
    """exp(-1/(1-lambda)), which GMix has, is not analytic at 1; substituting u = 1/(1-lambda) - 1 gives Tricomi's U."""
    found = sum(w * math.exp(-1 / gone) for _, gone, w in oracles.ratio_nodes(a, b))
    expected = mpmath.exp(-1) * mpmath.gamma(a) * mpmath.hyperu(a, 1 - b, 1) / mpmath.beta(a, b)
    assert abs(found - float(expected)) <= oracles.QUADRATURE_ERROR


def test_sides_by_hand() -> None:
    assert [oracles.side(4, Fraction(k, 16), Fraction(1)) for k in (0, 1, 7, 8, 12, 13, 15, 16)] == [
        4, 3, 3, 2, 2, 1, 1, 0,
    ]  # fmt: skip
    assert oracles.side(10, Fraction(0), Fraction(49, 100)) == 7


def test_intervals_by_hand() -> None:
    assert oracles.intervals(3, 2, "printed") == [{0, 1}]
    assert oracles.intervals(3, 2, "inside") == [{0, 1}, {1, 2}]
    assert oracles.intervals(3, 2, "clip") == [{0}, {0, 1}, {1, 2}]
    assert oracles.intervals(3, 2, "torus") == [{0, 1}, {1, 2}, {2, 0}]


def test_one_box_by_hand() -> None:
    """2 x 2, lambda = 3/4, inside: the four single pixels."""
    atoms = oracles.box((2, 2), "inside")(Fraction(3, 4))
    assert oracles.mean(atoms) == [Fraction(3, 4)] * 4
    assert oracles.second_moment(atoms)[0] == [Fraction(1, 4), 0, 0, 0]
