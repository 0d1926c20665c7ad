"""What the printed tables' claims compute: differences in rationals, rounding, and what lies between."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from msda_theory.masks import CutMix, HMix, Mixup
from paper_checks.park2022.gradient_products import Alignment, _largest_at_zero
from paper_checks.park2022.printed_tables import _is, between, gains, off, read

HUNDREDTH = Fraction(1, 100)


def test_numbers_are_read_as_printed() -> None:
    assert read("table2")["HMix", "PreActRN34"] == Fraction(8107, 100)
    assert ("PuzzleMix", "RN56") not in read("table2")


def test_a_difference_off_by_more_than_rounding_is_named() -> None:
    accuracies = {("none", "c"): Fraction(50), ("a", "c"): Fraction("53.21")}
    found = gains(accuracies, "none")
    assert off({("a", "c"): Fraction("3.22")}, found, HUNDREDTH) == {}
    assert off({("a", "c"): Fraction("3.22")}, found, Fraction(0)) == {"a, c: printed +3.22": "follows +3.21"}
    assert off({("a", "c"): Fraction("3.23")}, found, HUNDREDTH)


def test_between_is_strict() -> None:
    table = {
        ("Mixup", "c"): Fraction(3),
        ("CutMix", "c"): Fraction(1),
        ("a", "c"): Fraction(2),
        ("b", "c"): Fraction(3),
    }
    assert between(table, "a", "c") and not between(table, "b", "c")


@pytest.mark.parametrize("r, same", [(0.0, True), (0.25, False)])
def test_hmix_without_a_box_is_mixup(r: float, same: bool) -> None:
    assert _is(HMix((4, 4), r=r, sampler="inside"), Mixup((4, 4))) == same


def test_hmix_with_the_whole_box_is_cutmix_of_the_same_sampler() -> None:
    hmix = HMix((4, 4), r=1.0, sampler="inside")
    assert _is(hmix, CutMix((4, 4), sampler="inside")) and not _is(hmix, CutMix((4, 4), sampler="torus"))


def test_alignments_are_judged_by_student_s_test() -> None:
    assert Alignment([-0.5, -0.45, -0.52, -0.48, -0.49, -0.51]).negative
    assert not Alignment([0.5, 0.45, 0.52, 0.48, 0.49, 0.51]).negative
    assert not Alignment([-0.5, 0.1, -0.9, 0.3, -0.2, -0.1]).negative


def test_largest_at_zero() -> None:
    values = torch.ones(2, 3, 3)
    assert _largest_at_zero(values)
    values[1, 0, 0] = 1.1
    assert not _largest_at_zero(values)
