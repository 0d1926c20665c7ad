"""Boxes against the papers' printed formulas, taken literally, and at the edges where a side is an integer."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise, product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from msda_theory.masks import SAMPLERS, CutMix, HMix, Mixup, interval_cover
from tests import oracles
from tests.helpers import assert_close
from verify.tolerances import rounding

Pixel = tuple[int, int]
ALLOWED = rounding(torch.float64, 1.0, 32)


def h(t: int, s: int, n: int) -> int:
    return min(t, n - s)


def l(t: int, s: int) -> int:  # noqa: E743
    return max(t - s, 0)


def axis_overlap(j: int, k: int, s: int, n: int) -> int:
    return max(min(h(j, s, n) - l(k, s), h(k, s, n) - l(j, s)), 0)


def eq_10(j: Pixel, k: Pixel, s: int, n: int) -> Fraction:
    """Park et al., eq. (10), and a_jk,s of eq. (28): pixels are counted from 1."""
    return Fraction(axis_overlap(j[0], k[0], s, n) * axis_overlap(j[1], k[1], s, n), (n - s) ** 2)


def v(p: Pixel, s: int, n: int) -> Fraction:
    return Fraction((h(p[0], s, n) - l(p[0], s)) * (h(p[1], s, n) - l(p[1], s)), (n - s) ** 2)


def pixels(n: int) -> list[Pixel]:
    return list(product(range(1, n + 1), repeat=2))


def integer_sides(n: int) -> list[Fraction]:
    """Ratios 1 - (k/n)^2 with a box of side k < n, and one in between each."""
    edges = [1 - Fraction(k, n) ** 2 for k in range(n)]
    return [*edges, *((2 * edge + step) / 3 for edge, step in pairwise(edges))]


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_printed_cutmix_is_eq_10_at_every_pair_of_pixels(n: int) -> None:
    law = CutMix((n, n), sampler="printed")
    for ratio in integer_sides(n):
        s = oracles.side(n, ratio, Fraction(1))
        expected = [[float(eq_10(j, k, s, n)) for k in pixels(n)] for j in pixels(n)]
        assert_close(law.second_moment(float(ratio)).to_dense(), expected, ALLOWED, f"a_jk at {ratio}")


@pytest.mark.parametrize("sampler", ["inside", "clip", "torus"])
def test_other_samplers_are_not_eq_10(sampler: str) -> None:
    """Else the test above would not tell them apart."""
    other, printed = CutMix((4, 4), sampler=sampler), CutMix((4, 4), sampler="printed")
    assert (other.second_moment(0.5).to_dense() - printed.second_moment(0.5).to_dense()).abs().max() > 0.01


@pytest.mark.parametrize("n", [2, 3, 4, 5])
@pytest.mark.parametrize("r", [Fraction(1, 4), Fraction(1, 2), Fraction(9, 16)])
def test_printed_hmix_is_appendix_h_with_o_squared(n: int, r: Fraction) -> None:
    """Appendix H has o a_jk,s; expanding (1-M_j)(1-M_k) gives o^2 a_jk,s, with o of section 4.

    The printed o_s = lambda n^2/(n^2-s^2) is that o exactly where the side is an integer before rounding down.
    """
    law, printed_agrees = HMix((n, n), r=float(r), sampler="printed"), True
    for ratio in integer_sides(n):
        s, o = oracles.side(n, ratio, r), ratio / (1 - (1 - ratio) * r)
        found = law.second_moment(float(ratio)).to_dense()
        for (row, j), (column, k) in product(enumerate(pixels(n)), repeat=2):
            rest, box = o * (1 - o) * (v(j, s, n) + v(k, s, n)) + (1 - o) ** 2, eq_10(j, k, s, n)
            assert_close(found[row, column], float(rest + o * o * box), ALLOWED, f"a at {j}, {k}, ratio {ratio}")
            printed_agrees &= abs(float(found[row, column]) - float(rest + o * box)) <= ALLOWED
        is_integer = (1 - ratio) * r * n * n == s * s
        assert (o == ratio * n * n / Fraction(n * n - s * s)) == is_integer or ratio in (0, 1)
    assert printed_agrees == all(oracles.side(n, ratio, r) == 0 for ratio in integer_sides(n))


@pytest.mark.parametrize("r", [Fraction(1), Fraction(1, 2), Fraction(49, 100), Fraction(7, 10), Fraction(1, 3)])
def test_sides_at_and_about_every_integer_side(r: Fraction) -> None:
    """Axes of up to 64 pixels and 224: k at 1 - (k/n)^2/r and just below that ratio, k - 1 just above it."""
    near = 1e-12
    for n in [*range(1, 65), 224]:
        law = HMix((n, 1), r=float(r), sampler="inside")
        for k in range(1, n):
            edge = 1 - Fraction(k, n) ** 2 / r
            if edge <= 2 * Fraction(near):
                continue
            sides = [law.sides(ratio)[0] for ratio in (float(edge) - near, float(edge), float(edge) + near)]
            assert sides == [k, k, k - 1], f"n={n}, k={k}"


def test_no_break_is_a_rounding_error_of_zero() -> None:
    """n = 10, r = 0.49: 1 - 0.7^2/0.49 is 1e-16 in floats; a cell that starts there would lose a singular density."""
    assert 1 - (7 / 10) ** 2 / 0.49 != 0, "no longer a trap"
    for n in range(2, 65):
        for r in (0.09, 0.25, 0.49, 0.64, 0.81, 1.0):
            exact = oracles.box_jumps((n, n), Fraction(r).limit_denominator(100))
            assert_close(HMix((n, n), r=r, sampler="inside").breaks, [float(b) for b in exact], 1e-14, f"n={n}, r={r}")


@given(st.integers(1, 40), st.floats(1e-6, 1, exclude_max=True), st.floats(0.01, 1.0))
def test_sides_agree_with_integer_arithmetic(n: int, ratio: float, r: float) -> None:
    """Unless the side is within rounding of an integer, where either is right."""
    exact = math.sqrt((1 - ratio) * r) * n
    if abs(exact - round(exact)) > 1e-9:
        assert HMix((n, n), r=r, sampler="inside").sides(ratio) == (oracles.side(n, ratio, Fraction(r)),) * 2


@given(st.integers(1, 12), st.data(), st.sampled_from(SAMPLERS))
def test_interval_cover_is_the_plain_list(n: int, data: st.DataObject, sampler: str) -> None:
    length = data.draw(st.integers(0, n - 1 if sampler == "printed" else n))
    expected = [[float(i in covered) for i in range(n)] for covered in oracles.intervals(n, length, sampler)]
    assert interval_cover(n, length, sampler).tolist() == expected


def test_the_printed_sampler_has_no_full_box() -> None:
    law = CutMix((3, 4), sampler="printed")
    for method in (law.mean, law.second_moment, law.atoms):
        with pytest.raises(ValueError, match=r"sampler='printed'.*n - side = 0 positions.*sampler='inside'"):
            method(0.0)
    with pytest.raises(ValueError, match="sampler='printed'"):
        law.sample(torch.zeros(1))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_tiny_ratios_leave_a_margin(sampler: str) -> None:
    """sqrt(1-lambda) n rounds to n in floats, but is below n: the printed box exists at every ratio > 0."""
    for ratio in (2.0**-60, 1e-300):
        assert CutMix((3, 4), sampler=sampler).sides(ratio) == (2, 3)
    assert CutMix((3, 4), sampler=sampler).sides(0.0) == (3, 4)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("ratio", [0.0, 0.2, 0.5, 1.0])
def test_hmix_with_r_zero_is_mixup(sampler: str, ratio: float) -> None:
    law, mixup = HMix((3, 4), r=0.0, sampler=sampler), Mixup((3, 4))
    assert_close(law.mean(ratio), mixup.mean(ratio), ALLOWED)
    assert_close(law.second_moment(ratio).to_dense(), mixup.second_moment(ratio).to_dense(), ALLOWED)
    assert (law.atoms(ratio).masks == ratio).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("ratio", [0.2, 0.5, 1.0])
def test_hmix_goes_to_mixup_as_r_does_to_zero(sampler: str, ratio: float) -> None:
    """Below r = 1/n^2 the side is 0 and o = lambda + O(r): the distance to Mixup is at most 2 r."""
    for r in (1e-2, 1e-4, 1e-6):
        law, mixup = HMix((3, 4), r=r, sampler=sampler), Mixup((3, 4))
        distance = (law.second_moment(ratio).to_dense() - mixup.second_moment(ratio).to_dense()).abs().max()
        assert distance <= 2 * r


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("ratio", [0.2, 0.5, 0.75, 1.0])
def test_hmix_with_r_one_is_cutmix(sampler: str, ratio: float) -> None:
    law, cutmix = HMix((3, 4), r=1.0, sampler=sampler), CutMix((3, 4), sampler=sampler)
    assert torch.equal(law.atoms(ratio).masks, cutmix.atoms(ratio).masks)
    assert torch.equal(law.second_moment(ratio).to_dense(), cutmix.second_moment(ratio).to_dense())
    assert law.breaks == cutmix.breaks


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_boxes_do_not_have_the_complement_symmetry(sampler: str) -> None:
    """M(lambda) and 1-M(1-lambda) have the same law for Mixup, not for boxes: Theorem 1 is not theirs as printed.

    Their means differ too, where the sampler covers the border less than the centre; on the torus only the second
    moments do: lambda = 3/4, a 1 x 1 box of 4 x 4 pixels is lost, against a 3 x 3 box that is kept.
    """
    law = CutMix((4, 4), sampler=sampler)
    complement = torch.stack([1 - mask for mask in law.atoms(1 - 0.9375).masks])
    kept = complement.flatten(1)  # 1 - M(1-lambda); here as the mask at lambda
    other = (1 - kept).T @ (1 - kept) / len(kept)
    assert (law.second_moment(0.9375).to_dense() - other).abs().max() > 0.01
    assert torch.equal(Mixup((4, 4)).atoms(0.75).masks, 1 - Mixup((4, 4)).atoms(0.25).masks)
