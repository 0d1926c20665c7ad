"""Drawn moves about the mean points: against the complete factor, for images of any size, and in a comparison."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import msda_theory as mt
from msda_theory.augmentation import LABEL_RULES
from msda_theory.expansions.leading import leading_draws, leading_means, leading_moments
from tests.helpers import TanhNetwork, assert_close, inputs, labels
from verify.tolerances import monte_carlo, rounding

SHAPE = (4, 6)
LOSS = mt.losses.SoftmaxCrossEntropy()
LAWS = {
    "Mixup": mt.masks.Mixup(SHAPE),
    "CutMix, clip": mt.masks.CutMix(SHAPE, sampler="clip"),
    "HMix": mt.masks.HMix(SHAPE, r=0.5, sampler="inside"),
}
PARTS = ("label", "r2", "r3")


def problem(law: str, label: str = "nominal", channels: tuple[int, ...] = (2,)) -> tuple[object, ...]:
    shape = (*channels, *SHAPE)
    augmentation = mt.Augmentation(mt.Beta(0.7, 2.0), LAWS[law], label)
    return TanhNetwork(shape, 3), LOSS, inputs(6, *shape) / 2, labels(LOSS, 6, 3), augmentation


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("label", LABEL_RULES)
def test_means_and_draws_are_those_of_the_moments(law: str, label: str) -> None:
    """A variance of shares in [0, 1] is at most 1/4; six laws share the false-alarm rate, and so do the pixels."""
    augmentation, n = mt.Augmentation(mt.Beta(0.7, 2.0), LAWS[law], label), 20_000
    moments, means = leading_moments(augmentation), leading_means(augmentation)
    assert_close(means.first, moments.first, moments.error + means.error + rounding(torch.float64, 1.0, 1000))
    assert_close(means.label, moments.label, moments.error + means.error + rounding(torch.float64, 1.0, 1000))
    draws = leading_draws(augmentation, n, np.random.default_rng(1))
    allowed = monte_carlo(0.5 / n**0.5, comparisons=6 * 24 * 26)
    assert_close(draws.share.mean(0), moments.first, allowed)
    assert_close((draws.omega * draws.share).mean(0), moments.cross, allowed)
    assert_close(draws.share.T @ draws.share / n, moments.second, allowed)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("label", LABEL_RULES)
def test_drawn_moves_agree_within_their_error(law: str, label: str) -> None:
    given = problem(law, label)
    exact, drawn = mt.mean_point_loss(*given), mt.mean_point_loss(*given, directions=4096, seed=1)
    assert_close(drawn.standard, exact.standard, rounding(torch.float64, 10.0, 100))
    assert 0 < drawn.error < 0.3 * (abs(exact.label) + exact.r2)
    assert abs(drawn.total - exact.total) <= monte_carlo(drawn.error, comparisons=6)
    assert "+-" in str(drawn) and "+-" not in str(exact)
    again, other = (mt.mean_point_loss(*given, directions=4096, seed=seed) for seed in (1, 2))
    assert again == drawn and other != drawn


def test_every_part_is_without_bias() -> None:
    """The mean of 80 runs, each part within its own standard error of the complete one."""
    given = problem("CutMix, clip")
    exact = mt.mean_point_loss(*given)
    runs = [mt.mean_point_loss(*given, directions=32, seed=seed) for seed in range(80)]
    for part in (*PARTS, "total"):
        values = torch.tensor([getattr(run, part) for run in runs], dtype=torch.float64)
        error = float(values.std() / len(values) ** 0.5)
        assert_close(values.mean(), getattr(exact, part), monte_carlo(error, comparisons=4), part)
        assert part == "total" or error < abs(getattr(exact, part)), "a part that is zero tests nothing"


def test_the_standard_error_is_that_of_many_repetitions() -> None:
    """As for moves about the data: chi-squared of 80 runs with 8 groups, within 5 standard deviations."""
    given = problem("Mixup")
    exact = mt.mean_point_loss(*given).total
    runs = [mt.mean_point_loss(*given, directions=128, seed=seed) for seed in range(80)]
    ratio = sum((run.total - exact) ** 2 for run in runs) / sum(run.error**2 for run in runs)
    assert abs(ratio - 1) < 5 * ((2 + 2 / 7 * 2) / 80) ** 0.5


def big() -> tuple[object, ...]:
    """Of more pixels than a matrix is formed of."""
    x = torch.randn(2, 72, 72, generator=torch.Generator().manual_seed(0))
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.CutMix((72, 72), sampler="inside"))
    torch.manual_seed(0)
    model = nn.Sequential(nn.AvgPool2d(18), nn.Flatten(), nn.Linear(16, 3), nn.Softplus()).eval()
    return model, LOSS, x, torch.tensor([0, 1]), augmentation


def test_images_of_any_size() -> None:
    found = mt.mean_point_loss(*big(), directions=16, seed=0)
    assert found.error > 0 and torch.isfinite(torch.tensor(found.total))
    with pytest.raises(ValueError, match="d = 5184 pixels"):
        mt.mean_point_loss(*big())


def test_a_comparison_of_images_of_any_size() -> None:
    found = mt.compare(*big(), directions=16, seed=0, method="monte-carlo", samples=64)
    assert found.theory.error > 0 and found.mean_point.error > 0
    assert found.trust.data is not None and found.trust.mean_points is not None
    assert found.remainder_error == pytest.approx((found.exact.error**2 + found.theory.error**2) ** 0.5)
    again = mt.compare(*big(), directions=16, seed=0, method="monte-carlo", samples=64)
    assert again == found


def test_a_comparison_shows_the_errors_of_drawn_moves() -> None:
    given = problem("Mixup")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn, exact = mt.compare(*given, directions=64, seed=0, rtol=1e-3), mt.compare(*given, rtol=1e-3)
    assert "default form, +- " in str(drawn) and "default form, " not in str(exact)
    assert f"+- {drawn.remainder_error:.1e}" in str(drawn)
    assert f"+- {drawn.mean_point_remainder_error:.1e}" in str(drawn)
    report = drawn.to_dict()
    assert report["remainder_error"] == drawn.remainder_error
    assert report["mean_point"]["remainder_error"] == drawn.mean_point_remainder_error
    assert abs(drawn.theory.total - exact.theory.total) <= monte_carlo(drawn.theory.error)


@pytest.mark.parametrize("directions", [3, 16.5, True])
def test_bad_directions_are_named(directions: object) -> None:
    with pytest.raises(ValueError, match=f"directions={directions!r}: needed is an integer >= 16"):
        mt.mean_point_loss(*problem("Mixup"), directions=directions)
