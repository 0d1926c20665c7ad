"""Mixup, Bernoulli and Stochastic by hand."""

from __future__ import annotations

import pytest
import torch

from msda_theory.masks import Bernoulli, CutMix, Mixup, Stochastic
from tests.helpers import assert_close
from verify.tolerances import rounding

ALLOWED = rounding(torch.float64, 1.0, 8)


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
def test_mixup_by_hand(ratio: float) -> None:
    law = Mixup((2,))
    assert law.atoms(ratio).masks.tolist() == [[ratio, ratio]]
    assert_close(law.second_moment(ratio).to_dense(), [[(1 - ratio) ** 2] * 2] * 2, ALLOWED)


@pytest.mark.parametrize("ratio", [0.0, 0.3, 1.0])
def test_bernoulli_by_hand(ratio: float) -> None:
    diagonal, off = 1 - ratio, (1 - ratio) ** 2
    found = Bernoulli((2,)).second_moment(ratio).to_dense()
    assert_close(found, [[diagonal, off], [off, diagonal]], ALLOWED)


@pytest.mark.parametrize("sampler", ["inside", "clip", "torus", "printed"])
def test_stochastic_at_its_ends(sampler: str) -> None:
    """q = 1 is Mixup, also where the printed CutMix does not exist; q = 0 is CutMix."""
    mixup, cutmix = (Stochastic((3, 4), q=q, sampler=sampler) for q in (1.0, 0.0))
    for ratio in (0.0, 0.3, 1.0):
        assert_close(mixup.second_moment(ratio).to_dense(), Mixup((3, 4)).second_moment(ratio).to_dense(), ALLOWED)
        assert torch.equal(mixup.atoms(ratio).masks, Mixup((3, 4)).atoms(ratio).masks)
        assert (mixup.sample(torch.full((3,), ratio)) == ratio).all()
    for ratio in (0.3, 1.0):
        expected = CutMix((3, 4), sampler=sampler)
        assert_close(cutmix.second_moment(ratio).to_dense(), expected.second_moment(ratio).to_dense(), ALLOWED)
        assert torch.equal(cutmix.atoms(ratio).masks, expected.atoms(ratio).masks)
        assert set(cutmix.sample(torch.full((20,), ratio)).flatten().tolist()) <= {0.0, 1.0}


def test_stochastic_is_one_as_often_as_the_other_unless_told() -> None:
    found = Stochastic((3, 4), sampler="clip").second_moment(0.4).to_dense()
    parts = [law.second_moment(0.4).to_dense() for law in (Mixup((3, 4)), CutMix((3, 4), sampler="clip"))]
    assert_close(found, (parts[0] + parts[1]) / 2, ALLOWED)


def test_the_largest_list_of_bernoulli_masks_is_made() -> None:
    """2^16 of them, whose probabilities sum to one."""
    atoms = Bernoulli((4, 4)).atoms(0.3)
    assert len(atoms.masks) == 2**16
    assert_close(atoms.probabilities.sum(), 1.0, rounding(torch.float64, 1.0, 2**10))


def test_the_structured_operators_need_no_dense_matrix() -> None:
    """A million pixels: a product with a vector, and one entry; the dense matrix would take 8 TB."""
    ones = torch.ones(1000 * 1000, 1, dtype=torch.float64)
    for law in (Mixup((1000, 1000)), Bernoulli((1000, 1000)), Stochastic((1000, 1000), q=0.25, sampler="torus")):
        row = law.second_moment(0.75) @ ones
        # on a torus every pixel has the same row sum: E[(1-M_j) sum_k (1-M_k)]
        expected = {
            "Mixup": 0.25**2 * 1e6,
            "Bernoulli": 0.25**2 * 1e6 + 0.75 * 0.25,
            "Stochastic": 0.25 * 0.25**2 * 1e6 + 0.75 * 0.25 * 500**2,
        }[type(law).__name__]
        assert_close(row.mean(), expected, rounding(torch.float64, expected, 4000), repr(law))
