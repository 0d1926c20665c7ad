"""Masks and ratios that uniform numbers place: on a full grid of them they are the law itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import msda_theory as mt
from tests.helpers import assert_close

SHAPE = (2, 3)
LAWS = [
    mt.masks.CutMix(SHAPE, sampler="inside"),
    mt.masks.CutMix(SHAPE, sampler="torus"),
    mt.masks.HMix(SHAPE, r=0.5, sampler="clip"),
    mt.masks.GMix(SHAPE, kernel="printed"),
    mt.masks.Stochastic(SHAPE, q=0.25, sampler="inside"),
    mt.masks.RandomHMix(SHAPE, r=mt.Discrete((0.3, 1.0), (0.25, 0.75)), sampler="inside"),
]


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("ratio", [0.1, 0.6])
def test_a_grid_gives_the_mean(law: mt.masks.MaskLaw, ratio: float) -> None:
    """12 midpoints an axis divide evenly among 1, 2, 3, 4 or 6 positions, and q = 1/4: the mean is exact."""
    steps = (torch.arange(12, dtype=torch.float64) + 0.5) / 12
    points = torch.cartesian_prod(*[steps] * law.uniforms)
    masks = law.placed(torch.full((len(points),), ratio, dtype=torch.float64), points)
    assert_close(masks.mean(0), law.mean(ratio), 1e-13)


def test_numbers_on_the_edge_of_a_position_belong_to_it() -> None:
    """The left ends k/12 divide as evenly as the midpoints: intervals of uniform numbers are closed on the left."""
    ends = torch.arange(12, dtype=torch.float64) / 12
    for law in LAWS:
        points = torch.cartesian_prod(*[ends] * law.uniforms)
        masks = law.placed(torch.full((len(points),), 0.6, dtype=torch.float64), points)
        assert_close(masks.mean(0), law.mean(0.6), 1e-13, repr(law))


def test_masks_keep_the_dtype_of_the_ratio() -> None:
    """Those of 1/4 are the same numbers in float32: sides are whole, and values outside the box are rounded once."""
    points = torch.rand(20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    single, double = (LAWS[2].placed(torch.full((20,), 0.25, dtype=d), points) for d in (torch.float32, torch.float64))
    assert single.dtype == torch.float32 and torch.equal(single, double.float())


def test_a_law_without_uniforms_draws() -> None:
    ratio = torch.full((5,), 0.5, dtype=torch.float64)
    law = mt.masks.Bernoulli((4,))
    assert torch.equal(law.placed(ratio, torch.empty(5, 0), 3), law.sample(ratio, 3))


def test_uniform_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"uniform has shape \(5, 3\): needed is \(5, 2\)"):
        LAWS[0].placed(torch.full((5,), 0.5), torch.zeros(5, 3))


@pytest.mark.parametrize("law", [mt.Beta(0.3, 2.0), mt.Discrete((0.9, 0.1), (0.25, 0.75))], ids=repr)
def test_ratios_are_placed_by_the_inverse(law: mt.RatioLaw) -> None:
    """Midpoints give the first moment to 1/n, and a larger number never a smaller ratio."""
    uniform = (np.arange(4000) + 0.5) / 4000
    ratios = law.placed(uniform)
    assert (np.diff(ratios) >= 0).all()
    assert_close(float(ratios.mean()), law.mean, 1 / 4000)
