"""The estimate from Sobol points: unbiased, with a standard error that is one, a control that pays or is off."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import msda_theory as mt
from msda_theory.exact import enumeration_cost
from msda_theory.exact_sobol import controlled, paying_slope, sobol_loss
from tests.helpers import TanhNetwork, assert_close, inputs, labels
from verify.tolerances import FALSE_ALARM

LOSS = mt.losses.Logistic()
LAWS = [
    mt.masks.Mixup((2, 2)),
    mt.masks.Bernoulli((4,)),
    mt.masks.CutMix((2, 3), sampler="clip"),
    mt.masks.HMix((2, 3), r=0.5, sampler="inside"),
    mt.masks.GMix((2, 2), kernel="released"),
    mt.masks.Stochastic((2, 2), sampler="inside"),
]
RATIOS = [
    mt.Beta(0.3, 2.0),
    mt.Discrete((0.2, 0.9), (0.7, 0.3)),
    mt.Mixture((0.4, 0.6), (mt.Beta(1, 2), mt.Beta(2, 1))),
]


def student(standard_error: float, replicates: int = 32) -> float:
    """As `tolerances.monte_carlo`, for a standard error that is itself estimated from so many replicates."""
    from scipy.stats import t

    return float(t.isf(FALSE_ALARM / 2, replicates - 2)) * standard_error


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("label", ["nominal", "realised"])
def test_it_agrees_with_the_enumeration(law: mt.masks.MaskLaw, label: str) -> None:
    x, model = inputs(5, *law.shape), TanhNetwork(law.shape)
    y, augmentation = labels(LOSS, 5, 1), mt.Augmentation(mt.Beta(0.3, 2.0), law, label)
    found = mt.exact_loss(model, LOSS, x, y, augmentation, method="sobol", samples=4096, seed=1)
    slow = mt.exact_loss(model, LOSS, x, y, augmentation)
    assert found.evaluations == 4096 + 5
    assert_close(found.value, slow.value, student(found.error) + slow.error)


@pytest.mark.parametrize("ratio", RATIOS, ids=repr)
def test_any_ratio_law(ratio: mt.RatioLaw) -> None:
    """Also one without an inverse, which draws its ratios."""
    x, model = inputs(5, 2, 2), TanhNetwork((2, 2))
    y, augmentation = labels(LOSS, 5, 1), mt.Augmentation(ratio, mt.masks.Mixup((2, 2)))
    found = mt.exact_loss(model, LOSS, x, y, augmentation, method="sobol", samples=4096, seed=1)
    slow = mt.exact_loss(model, LOSS, x, y, augmentation)
    assert_close(found.value, slow.value, student(found.error) + slow.error)


def test_the_standard_error_is_one() -> None:
    """Over 60 seeds: the mean of (error / standard error)^2 is (R-1)/(R-3) = 1.07, give or take 4 sqrt(2.3/60)."""
    x, model = inputs(4, 2), TanhNetwork((2,))
    y, augmentation = labels(LOSS, 4, 1), mt.Augmentation(mt.Beta(0.3, 2.0), mt.masks.Mixup((2,)))
    truth = mt.exact_loss(model, LOSS, x, y, augmentation).value
    runs = [
        mt.exact_loss(model, LOSS, x, y, augmentation, method="sobol", samples=128, seed=seed) for seed in range(60)
    ]
    assert np.mean([((run.value - truth) / run.error) ** 2 for run in runs]) == pytest.approx(1.07, abs=0.79)


def test_it_is_reproducible() -> None:
    x, model = inputs(4, 2), TanhNetwork((2,))
    problem = (model, LOSS, x, labels(LOSS, 4, 1), mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Bernoulli((2,))))
    first, again, other = (mt.exact_loss(*problem, method="sobol", samples=64, seed=seed).value for seed in (1, 1, 2))
    assert first == again != other


def test_the_control_takes_away_what_is_linear() -> None:
    """For an affine f the control under Mixup is the loss itself: its slope is one and nothing is left but its mean."""
    x, model = inputs(6, 2), nn.Linear(2, 1).double()
    y, augmentation = labels(LOSS, 6, 1), mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,)))
    with torch.no_grad():
        found = sobol_loss(model, LOSS, x, y, augmentation, 256, 0)
    slow = mt.exact_loss(model, LOSS, x, y, augmentation)
    assert found.slopes == pytest.approx((1.0, 1.0), abs=1e-6)
    assert_close(found.value, slow.value, found.error + slow.error)


def test_a_control_that_does_not_pay_is_off() -> None:
    rng = np.random.default_rng(0)
    means = rng.normal(size=(32, 8, 2))
    values, error, slopes = controlled(means, lambda tolerance: pytest.fail("its mean was asked for"))
    assert slopes == (0.0, 0.0) and error == 0.0
    assert np.array_equal(values, means[..., 0].mean(1))


def test_a_control_without_a_mean_is_off() -> None:
    means = np.repeat(np.random.default_rng(0).normal(size=(32, 8, 1)), 2, axis=2)
    values, _, slopes = controlled(means, lambda tolerance: None)
    assert slopes == (0.0, 0.0) and np.array_equal(values, means[..., 0].mean(1))


def test_slopes() -> None:
    rng = np.random.default_rng(1)
    control = rng.normal(size=(16, 8))
    assert paying_slope(np.stack([3 * control + 0.1 * rng.normal(size=(16, 8)), control], -1)) == pytest.approx(
        3, abs=0.1
    )
    assert paying_slope(np.stack([control, np.ones((16, 8))], -1)) == 0.0


def test_one_half_does_not_see_its_own_slope() -> None:
    """Cross-fitting: a change of the first half moves the slope of the second alone."""
    means = np.repeat(np.random.default_rng(2).normal(size=(32, 8, 1)), 2, axis=2)
    changed = means.copy()
    changed[:16, :, 0] *= 2
    assert controlled(changed, lambda tolerance: (0.0, 0.0))[2] == pytest.approx((1.0, 2.0))


def test_the_cost_is_said_beforehand() -> None:
    x, model = inputs(10, 4, 4), TanhNetwork((4, 4))
    for mask, count in ((mt.masks.Mixup((4, 4)), 4 + 8 + 16), (mt.masks.CutMix((4, 4), sampler="torus"), 4 * 16)):
        evaluations, seconds = enumeration_cost(model, x, mt.Augmentation(mt.Beta(1.0, 1.0), mask))
        assert evaluations == 100 * count
        assert 0 < seconds < 60
