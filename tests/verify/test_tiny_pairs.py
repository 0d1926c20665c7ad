"""Mixing that depends on the pair, and FMix on a few pixels, against what is known without them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from flint import acb, fmpq

from paper_checks.exact_cases import problem
from tests import oracles
from verify.tiny_fmix import four_pixels, three_pixels
from verify.tiny_laws import cutmix
from verify.tiny_pairs import (
    Mixing,
    alike,
    brighter,
    displaced_expansion,
    displacement_moments,
    first_role_moments,
    pair_loss,
    resized,
    salient,
    tilted_pair_loss,
)
from verify.tiny_problems import BetaInt, expansion, msda_loss, tilted_loss, tilted_moments, two_role_moments

RATIO = BetaInt(1, 2)
PLAIN = Mixing("CutMix", lambda first, second: cutmix(2, 2, "inside"))


@pytest.mark.parametrize("linear", [True, False])
def test_a_mask_of_no_pair_is_the_mask_law(linear: bool) -> None:
    """Losses and all three terms, against the functions for mask laws."""
    p, law = problem(4, 2, linear=linear, centred=False), cutmix(2, 2, "inside")
    assert pair_loss(p, PLAIN, RATIO) == msda_loss(p, law, RATIO)
    assert tilted_pair_loss(p, PLAIN, RATIO.tilted_density) == tilted_loss(p, law, RATIO.tilted_density)
    assert displaced_expansion(p, displacement_moments(p, PLAIN, RATIO)) == expansion(p, two_role_moments(law, RATIO))
    first = first_role_moments(p, PLAIN, RATIO.tilted_density)
    assert displaced_expansion(p, first) == expansion(p, tilted_moments(law, RATIO.tilted_density))


def test_masks_of_pairs_have_the_mean_they_say() -> None:
    """E[M | pair] = lambda for the two Bernoulli-like ones, whichever pair; the peak's box covers the peak."""
    a, b, lam = [fmpq(1), fmpq(2)], [fmpq(0), fmpq(5)], fmpq(1, 5)
    for mixing in (alike(2), brighter(2)):
        for pair in ((a, b), (b, a), (a, a)):
            atoms = mixing.law_of(*pair).cells[0].atoms(lam)
            assert [sum(p * m[j] for p, m in atoms) for j in range(2)] == [lam, lam]
    assert brighter(2).law_of(a, b).name != brighter(2).law_of(b, a).name
    assert alike(2).law_of(a, b).name == alike(2).law_of(b, a).name
    peaked = [fmpq(v) for v in (0, 3, 9, 1)]
    small, none = salient().law_of(a, peaked).cells
    assert small.atoms(lam) == [(1, [1, 1, 0, 1])]
    assert none.atoms(lam) == [(1, [1, 1, 1, 1])]


def test_the_resized_partner_is_its_mean() -> None:
    mixed = resized(cutmix(2, 2, "inside")).mixed([1, 0, 1, 1], [fmpq(0)] * 4, [fmpq(v) for v in (1, 2, 3, 6)])
    assert mixed == [0, fmpq(3), 0, 0]


@pytest.mark.parametrize("ratio", [Fraction(1, 7), Fraction(2, 5), Fraction(5, 9), Fraction(9, 10)])
def test_fmix_is_that_of_the_naive_twin(ratio: Fraction) -> None:
    lam = fmpq(ratio.numerator, ratio.denominator)
    for law, shape in ((three_pixels(coin=True), (1, 3)), (four_pixels(coin=True), (2, 2))):
        cell = next(c for c in law.cells if c.left < lam < c.right)
        pairs = [(float(acb(p).real), tuple(map(float, mask))) for p, mask in cell.atoms(lam)]
        found, expected = oracles.distribution(pairs), oracles.distribution(oracles.fmix(shape, 3.0)(ratio))
        assert found.keys() == expected.keys()
        assert found == pytest.approx(expected, abs=1e-14)


def test_rounding_by_the_fraction_keeps_the_mean() -> None:
    for cell in three_pixels(coin=False).cells:
        lam = (cell.left + 2 * cell.right) / 3
        atoms = cell.atoms(lam)
        assert [sum(p * m[j] for p, m in atoms) for j in range(3)] == [lam] * 3
        assert sum(p for p, _ in atoms) == 1
