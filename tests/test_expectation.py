"""`RatioLaw.expectation`: the value against closed forms, its error honest, its failure said."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from msda_theory import Beta, Discrete, RatioLaw, ToleranceError


@pytest.mark.parametrize("a", [0.05, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("b", [0.1, 1.0, 2.5])
def test_smooth_integrand_against_the_confluent_series(a: float, b: float) -> None:
    """E[exp(3 lambda)] = 1F1(a; a+b; 3), also where the density is singular at both ends."""
    truth = float(mpmath.hyp1f1(a, a + b, 3))
    value, error = Beta(a, b).expectation(lambda ratio: np.exp(3 * ratio), rtol=1e-12)
    assert abs(float(value) - truth) <= error + 64 * np.finfo(float).eps * truth


@pytest.mark.parametrize("law", [Beta(0.4, 2.0), Beta(0.4, 2.0).tilted(), Discrete((0.2, 0.7), (0.25, 0.75))])
def test_arrays_of_moments(law: RatioLaw) -> None:
    value, error = law.expectation(lambda ratio: np.stack([ratio, 1 - ratio, ratio**2], -1))
    stated = [law.moment(1), law.moment(0, 1), law.moment(2)]
    assert np.max(np.abs(value - stated)) <= error + 64 * np.finfo(float).eps


def test_a_break_makes_a_jump_exact_and_its_lack_is_said() -> None:
    """P(lambda > 0.3) under Beta(1, 2) is 0.49."""

    def jump(ratio: np.ndarray) -> np.ndarray:
        return (ratio > 0.3).astype(float)

    value, error = Beta(1.0, 2.0).expectation(jump, breaks=(0.3,))
    assert abs(float(value) - 0.49) <= error + 64 * np.finfo(float).eps
    with pytest.raises(ToleranceError, match=r"rtol=1e-10 cannot be met for E\[g\(lambda\)\]"):
        Beta(1.0, 2.0).expectation(jump)


def test_a_kink_meets_a_modest_tolerance_with_an_honest_error() -> None:
    """E|lambda - 1/3| for the uniform law is 5/18."""
    value, error = Beta(1.0, 1.0).expectation(lambda ratio: np.abs(ratio - 1 / 3), rtol=1e-4)
    assert abs(float(value) - 5 / 18) <= error <= 1e-4
