"""The tolerances hold what they promise: exact tail probabilities, and functions whose derivatives are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom, norm

from verify.tolerances import FALSE_ALARM, bounded_mean, difference_quotient, monte_carlo, rounding


@pytest.mark.parametrize("draws", [10, 1000, 100_000])
@pytest.mark.parametrize("p", [1e-4, 0.01, 0.3, 0.5, 0.999])
@pytest.mark.parametrize("false_alarm", [0.1, FALSE_ALARM])
def test_bounded_mean_keeps_its_false_alarm_rate(draws: int, p: float, false_alarm: float) -> None:
    """The mean of Bernoulli(p) draws, its tails summed exactly; and it is no wider than Hoeffding's bound needs."""
    t = bounded_mean(p * (1 - p), draws, false_alarm)
    low, high = math.floor(draws * (p - t)), math.ceil(draws * (p + t))
    assert binom.cdf(low, draws, p) + binom.sf(high - 1, draws, p) <= false_alarm
    # Bernstein: t -> sqrt(2 variance exponent), and the linear term adds at most twice its third
    exponent = math.log(2 / false_alarm) / draws
    assert t <= math.sqrt(2 * p * (1 - p) * exponent) + 2 * exponent / 3 + 1e-15


def test_comparisons_share_the_false_alarm_rate() -> None:
    assert bounded_mean(0.1, 100, 1e-6, comparisons=10) == pytest.approx(bounded_mean(0.1, 100, 1e-7))
    assert monte_carlo(1.0, 1e-6, comparisons=10) == pytest.approx(monte_carlo(1.0, 1e-7))


def test_monte_carlo_is_the_two_sided_quantile() -> None:
    assert 2 * norm.sf(monte_carlo(1.0)) == pytest.approx(FALSE_ALARM)
    assert monte_carlo(3.0, 0.05) == pytest.approx(3 * 1.96, rel=1e-3)


@pytest.mark.parametrize("step", [1e-2, 1e-4, 1e-6, 1e-8])
@pytest.mark.parametrize("at", np.linspace(-2, 2, 9))
def test_difference_quotients_are_as_good_as_stated(step: float, at: float) -> None:
    first = [(math.exp(at + h) - math.exp(at - h)) / (2 * h) for h in (step, 2 * step)]
    assert abs(first[0] - math.exp(at)) <= difference_quotient(*first, step, math.exp(at))
    second = [(math.exp(at + h) - 2 * math.exp(at) + math.exp(at - h)) / h**2 for h in (step, 2 * step)]
    assert abs(second[0] - math.exp(at)) <= difference_quotient(*second, step, math.exp(at), order=2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounding_bounds_a_sum(dtype: torch.dtype) -> None:
    """The worst case, one after another; a single wrong term of 1e-3 is far outside in float32, too."""
    values = torch.rand(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)
    total = torch.zeros((), dtype=dtype)
    for value in values:
        total = total + value
    exact = math.fsum(values.tolist())
    assert abs(float(total) - exact) <= rounding(dtype, exact, 1000)
    assert rounding(dtype, 1.0, 1) < 1e-6
