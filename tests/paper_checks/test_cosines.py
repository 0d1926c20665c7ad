"""The statistics of the claims about cosines in training."""

import math
from dataclasses import replace

import pytest
import torch

from msda_theory.bounds.radii import mean_given
from paper_checks.cosines import (
    AFTER,
    FALLS,
    GROWS,
    NEITHER,
    TRAINING,
    Growth,
    Tendency,
    _bound,
    growth,
    separated,
    where_from,
)
from paper_checks.findings import Trial
from paper_checks.park2022 import cosine_remark
from verify.cosine_training import HIDDEN, gaussian_points, train
from verify.ensembles import Moment
from verify.tolerances import rounding


@pytest.fixture(scope="module")
def runs():
    return train(gaussian_points, HIDDEN, range(3), epochs=20, records=1)


@pytest.mark.parametrize(("sign", "direction"), [(1, GROWS), (-1, FALLS)])
def test_a_tendency_is_one_where_nearly_all_runs_agree(sign, direction):
    gains = sign * torch.linspace(0.1, 1, 20).double()
    assert Tendency.of_gains(gains).direction == direction


def test_a_tendency_is_none_where_runs_differ_are_few_or_unchanged():
    for gains in (torch.linspace(-1, 1.1, 20), torch.ones(5), torch.zeros(20)):
        assert Tendency.of_gains(gains.double()).direction == NEITHER
    found = Tendency.of_gains(torch.tensor([0.0, 1.0, -1.0, 2.0]).double())
    assert (found.rose, found.of) == (2, 3)


@pytest.mark.parametrize(("sign", "direction"), [(1, GROWS), (-1, FALLS)])
def test_one_r_that_becomes_0_does_not_turn_a_tendency(sign, direction):
    """log 0 for one run of 31, whose unit died; one where R was 0 and stays so is left out."""
    gains = sign * torch.cat([torch.linspace(0.1, 1, 30), torch.tensor([-torch.inf, torch.nan])]).double()
    found = Tendency.of_gains(gains)
    assert (found.direction, found.of, found.rose) == (direction, 31, 30 if sign > 0 else 1)


def test_scaled_networks_grow_by_the_gradient_alone(runs):
    """f to 3 f after 100%: log|f| grows by log 3, no cosine changes."""
    tripled = Moment(3 * runs.separated.output, 3 * runs.separated.gradient)
    scaled = replace(runs, end=tripled)
    assert separated(scaled).all()
    assert where_from(scaled) == "1.099 = 1.099 by |grad f| +0.000 by R_i"


def test_growth_is_between_the_moments_it_names(runs):
    still = replace(runs, end=runs.separated)
    after, training = (growth(still, period, Trial()) for period in (AFTER, TRAINING))
    assert (after.least.of, after.share, after.below) == (0, 0, 0)
    assert training.least.of == 3


def test_runs_that_get_there_last_of_all_have_no_after(runs):
    late = replace(runs, reached=torch.tensor([20, -1, 5]))
    assert separated(late).tolist() == [False, False, True]


def test_one_step_on_two_points_by_hand():
    """theta = (1, 0), f = (1, 1): each point pulls with g(-1) = 1/(1+e), so theta becomes (1 + s, s/2), s = g(-1)."""
    s = 1 / (1 + math.e)
    cosine, gain = cosine_remark._one_step()
    assert gain == pytest.approx(s, rel=1e-15)
    assert cosine == pytest.approx((1 + s) / ((1 + s) ** 2 + s**2 / 4) ** 0.5, rel=1e-15)


def test_what_a_mask_covers_on_the_average_is_that_of_its_mean():
    """E sum_j (1-M_j) p_j over the boxes, against E_D~[1-M_j] from the law's own mean."""
    products = torch.rand(2, 3, 64, generator=torch.Generator().manual_seed(0)).double()
    mean, spread = cosine_remark._over_masks(products, cosine_remark.CUTMIX)
    exact = products @ mean_given(cosine_remark.CUTMIX)
    assert float((mean - exact).abs().max()) < rounding(torch.float64, 64.0, 64 + cosine_remark.BOXES)
    assert (spread > 0).all()


@pytest.mark.parametrize(("mean", "slight"), [(0.5, True), (0.53, True), (0.56, False), (0.4, True)])
def test_a_share_is_slight_where_its_interval_stays_near_a_half(mean, slight):
    """Standard deviation 0.05 over 100 runs: the bound is 0.05 * 3.17 / 10 = 0.016 above the mean."""
    draws = torch.randn(100, generator=torch.Generator().manual_seed(0)).double()
    shares = mean + 0.05 * (draws - draws.mean()) / draws.std()
    none = Tendency.of_gains(torch.zeros(1).double())
    found = Growth(none, none, mean, _bound(shares))
    assert found.below == pytest.approx(mean + 0.0159, abs=1e-4)
    assert found.slight is slight
