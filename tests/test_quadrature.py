"""Gauss-Jacobi rules against mpmath, where other rules fail, and whether the error that `refine` reports is one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import beta as beta_function
from scipy.special import roots_jacobi

from msda_theory.quadrature import FIRST_ORDER, LAST_ORDER, ToleranceError, beta_rule, jacobi_rule, refine
from verify.tolerances import rounding

PARAMETERS = (0.01, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0)
EPS = torch.finfo(torch.float64).eps
Integrand = Callable[[np.ndarray], np.ndarray]


def exact_moment(a: float, b: float, p: int, q: int = 0) -> mpmath.mpf:
    """E[lambda^p (1-lambda)^q] by rising factorials, 30 digits."""
    with mpmath.workdps(30):
        return mpmath.rf(a, p) * mpmath.rf(b, q) / mpmath.rf(mpmath.mpf(a) + b, p + q)


def average(a: float, b: float, order: int, g: Integrand, breaks: tuple[float, ...] = ()) -> float:
    nodes, weights = beta_rule(order, a, b, breaks)
    return float(weights @ g(nodes))


@pytest.mark.parametrize("a", PARAMETERS)
@pytest.mark.parametrize("b", PARAMETERS)
@pytest.mark.parametrize("order", [1, 2, 5, 12])
def test_exact_to_degree_2n_minus_1(a: float, b: float, order: int) -> None:
    """Powers of lambda and of 1-lambda; each is a sum of `order` products that are at most one."""
    nodes, weights = jacobi_rule(order, a, b)
    assert (weights > 0).all()
    assert ((nodes > 0) & (nodes <= 1)).all()
    for p in range(2 * order):
        allowed = rounding(torch.float64, 1.0, 2 * order + 2 * p + 4)
        assert abs(weights @ nodes**p - float(exact_moment(a, b, p))) <= allowed, f"lambda^{p}"
        assert abs(weights @ (1 - nodes) ** p - float(exact_moment(a, b, 0, p))) <= allowed, f"(1-lambda)^{p}"


def test_not_exact_to_degree_2n() -> None:
    """The rule of order n misses lambda^2n by the squared norm of the monic polynomial; the tests above can fail."""
    nodes, weights = jacobi_rule(2, 1.0, 1.0)
    assert weights @ nodes**4 - 1 / 5 == pytest.approx(-1 / 180, rel=1e-12)


@pytest.mark.parametrize(("a", "b"), [(1e-3, 2e-3), (1e-6, 2e-6), (1e-9, 1.0)])
def test_tiny_parameters_keep_all_digits(a: float, b: float) -> None:
    """a - 1 and b - 1 lose the digits of a and b; the recurrence must not go through them."""
    nodes, weights = jacobi_rule(8, a, b)
    for p in range(1, 8):
        assert abs(weights @ nodes**p - float(exact_moment(a, b, p))) <= rounding(torch.float64, 1.0, 16 + 2 * p)


@pytest.mark.parametrize("a", PARAMETERS)
@pytest.mark.parametrize("b", PARAMETERS)
@pytest.mark.parametrize("breaks", [(), (0.25, 0.5, 0.9)])
def test_smooth_integrand_against_hyp1f1(a: float, b: float, breaks: tuple[float, ...]) -> None:
    """E[exp(-3 lambda)] = 1F1(a; a+b; -3).  Order 24: the truncation 3^48/48! of a Taylor series is below eps.

    In a cell between breaks the density is one more factor of the integrand, with a branch point at least a
    quarter away from the cells of width at most 0.4; there the ellipse of analyticity gives 1e-13 of 1/B(a, b) x^(a-1).
    """
    expected = float(mpmath.hyp1f1(a, a + b, -3))
    found = average(a, b, 24, lambda ratio: np.exp(-3 * ratio), breaks)
    assert abs(found - expected) <= rounding(torch.float64, 1.0, 200)


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.2), (0.01, 0.5), (0.5, 3.0), (1.0, 1.0), (2.5, 0.1)])
def test_rational_integrand_against_hyp2f1(a: float, b: float) -> None:
    """E[1/(1 + lambda/2)] = 2F1(1, a; a+b; -1/2); the pole at -2 makes the error (5 + sqrt 24)^-2n, below eps at 16."""
    expected = float(mpmath.hyp2f1(1, a, a + b, -0.5))
    assert abs(average(a, b, 16, lambda ratio: 1 / (1 + ratio / 2)) - expected) <= rounding(torch.float64, 1.0, 64)


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.2), (0.3, 2.0), (1.0, 1.0), (5.0, 2.5)])
def test_breaks_make_a_kink_harmless(a: float, b: float) -> None:
    """E|lambda - 1/3| to rounding with a break at the kink, and only to about 1/n^2 without."""
    kinked = partial(kink, at=1 / 3)
    expected = float(kink_mean(a, b, 1 / 3))
    assert abs(average(a, b, 40, kinked, (1 / 3,)) - expected) <= rounding(torch.float64, 1.0, 200)
    assert abs(average(a, b, 40, kinked) - expected) > 1e-6


def kink(ratio: np.ndarray, at: float) -> np.ndarray:
    return np.abs(ratio - at)


def kink_mean(a: float, b: float, at: float) -> mpmath.mpf:
    """E|lambda - c| = E lambda - c + 2 (c P(lambda < c) - E[lambda; lambda < c])."""
    below, partial_mean = (mpmath.betainc(a + p, b, 0, at) / mpmath.beta(a, b) for p in (0, 1))
    return mpmath.mpf(a) / (a + b) - at + 2 * (at * below - partial_mean)


# -- other rules


def test_gauss_legendre_is_off_by_tens_of_percent() -> None:
    """Ordinary Gauss rules on the density itself: at a = b = 0.2 even 64 nodes miss a fifth of the total mass."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    ratio = (1 + nodes) / 2
    density = (ratio * (1 - ratio)) ** (0.2 - 1) / beta_function(0.2, 0.2)
    mass = weights / 2 @ density
    assert 0.7 < mass < 0.9
    assert jacobi_rule(4, 0.2, 0.2)[1].sum() == pytest.approx(1, abs=rounding(torch.float64, 1.0, 4))


def lost(nodes: np.ndarray, weights: np.ndarray, a: float, b: float) -> float:
    """Largest error of E[lambda^p], p = 0..9, in units of eps."""
    return max(abs(weights @ nodes**p - float(exact_moment(a, b, p))) for p in range(10)) / EPS


@pytest.mark.parametrize(("a", "b"), [(0.01, 0.01), (0.1, 0.1), (0.2, 0.2)])
def test_scipy_loses_digits_near_a_singular_end(a: float, b: float) -> None:
    """The reason for our own rule.  If scipy is mended one day this fails, and the rule can go."""
    nodes, weights = roots_jacobi(64, b - 1, a - 1)
    theirs = lost((1 + nodes) / 2, weights / weights.sum(), a, b)
    ours = lost(*jacobi_rule(64, a, b), a, b)
    assert ours <= 32
    assert theirs > 10 * ours


# -- refinement


def refined(g: Integrand, a: float, b: float, rtol: float) -> tuple[float, float]:
    value, error = refine(lambda order: (np.array(average(a, b, order, g)), 1.0), rtol, "a test")
    return float(value), error


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.2), (0.3, 2.0), (1.0, 1.0), (2.5, 0.1)])
@pytest.mark.parametrize("rtol", [1e-3, 1e-6, 1e-12])
@pytest.mark.parametrize("rate", [1.0, 10.0, 40.0])
def test_error_bounds_the_truth_where_smooth(a: float, b: float, rtol: float, rate: float) -> None:
    value, error = refined(lambda ratio: np.exp(-rate * ratio), a, b, rtol)
    assert error <= rtol
    assert abs(value - float(mpmath.hyp1f1(a, a + b, -rate))) <= error + rounding(torch.float64, 1.0, 100)


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.2), (0.3, 2.0), (1.0, 1.0), (1.0, 0.5), (5.0, 2.0)])
@pytest.mark.parametrize("rtol", [1e-2, 1e-3, 1e-4])
def test_error_bounds_the_truth_at_a_kink_in_one_third(a: float, b: float, rtol: float) -> None:
    value, error = refined(partial(kink, at=1 / 3), a, b, rtol)
    assert error <= rtol
    assert abs(value - float(kink_mean(a, b, 1 / 3))) <= error


def test_error_bounds_the_truth_at_all_but_one_kink_in_a_hundred() -> None:
    """1000 kinks within the nodes of the first rule (one beyond them no rule can see): the docstring of `refine`."""
    rng, short = np.random.default_rng(0), []
    for a, b in ((0.2, 0.2), (0.3, 2.0), (1.0, 1.0), (1.0, 0.5), (5.0, 2.0)):
        seen = jacobi_rule(FIRST_ORDER, a, b)[0]
        for at in rng.uniform(seen[0], seen[-1], size=200):
            value, error = refined(partial(kink, at=at), a, b, 1e-3)
            short.append(abs(value - float(kink_mean(a, b, at))) / error)
    assert np.mean(np.array(short) > 1) < 0.01
    assert max(short) < 5


@pytest.mark.parametrize(("a", "b"), [(0.2, 0.2), (1.0, 1.0), (5.0, 2.0)])
def test_two_rules_that_agree_by_chance_do_not_convince(a: float, b: float) -> None:
    """A kink is put where the rules of order 4 and 8 are equal, and both are wrong by 1e-4 or more."""

    def change(at: float) -> float:
        return average(a, b, 8, partial(kink, at=at)) - average(a, b, 4, partial(kink, at=at))

    grid = np.linspace(0.2, 0.8, 200)
    signs = np.sign([change(at) for at in grid])
    crossings = [brentq(change, grid[k], grid[k + 1]) for k in np.flatnonzero(signs[:-1] != signs[1:])]
    coincidences = [
        at for at in crossings if abs(average(a, b, 8, partial(kink, at=at)) - float(kink_mean(a, b, at))) > 1e-4
    ]
    assert coincidences, "no coincidence to try"
    for at in coincidences:
        value, error = refined(partial(kink, at=at), a, b, 1e-3)
        assert abs(value - float(kink_mean(a, b, at))) <= error


@given(st.floats(0.2, 5.0), st.floats(0.2, 5.0), st.floats(-20.0, 20.0))
def test_error_bounds_the_truth_of_any_exponential(a: float, b: float, rate: float) -> None:
    value, error = refine(
        lambda order: (np.array(average(a, b, order, lambda x: np.exp(-rate * x))), np.exp(abs(rate))), 1e-8, "a test"
    )
    expected = float(mpmath.hyp1f1(a, a + b, -rate))
    assert abs(float(value) - expected) <= error + rounding(torch.float64, np.exp(max(-rate, 0)), 200)


def test_refine_takes_arrays_and_the_worst_entry() -> None:
    def evaluate(order: int) -> tuple[np.ndarray, float]:
        return np.array([[1.0, 2.0 + 4.0**-order]]), 1.0

    value, error = refine(evaluate, 1e-6, "a test")
    assert value.shape == (1, 2)
    assert error == pytest.approx(4.0**-16 - 4.0**-32, abs=4 * EPS), "the change before the last, at orders 16 and 32"


@pytest.mark.parametrize("factor", [0.99, 1.01])
def test_the_tolerance_is_relative_to_the_scale(factor: float) -> None:
    """Values 1, 1 + d, 1, 1 + d, ...: the estimate is always 4 d, and passes from scale = 4 d / rtol on."""
    orders = iter(range(20))

    def evaluate(order: int) -> tuple[np.ndarray, float]:
        return np.array(1.0 + 1e-3 * (next(orders) % 2)), 1e-3 * 4 / 1e-2 * factor

    if factor > 1:
        refine(evaluate, 1e-2, "a test")
    else:
        with pytest.raises(ToleranceError):
            refine(evaluate, 1e-2, "a test")


def test_a_tolerance_that_cannot_be_met_says_what_was_reached() -> None:
    def jump(ratio: np.ndarray) -> np.ndarray:
        return (ratio > 1 / np.pi).astype(float)

    with pytest.raises(ToleranceError) as raised:
        refined(jump, 1.0, 1.0, 1e-9)
    message = str(raised.value)
    assert "rtol=1e-09 cannot be met for a test" in message
    assert f"{LAST_ORDER} nodes" in message
    advised = float(message.split("rtol >= ")[1].split(",")[0])
    assert refined(jump, 1.0, 1.0, advised)[1] <= advised


@pytest.mark.parametrize("rtol", [0.0, -1e-6, float("nan"), float("inf")])
def test_a_tolerance_is_positive(rtol: float) -> None:
    with pytest.raises(ValueError, match=r"rtol=.*needed is a finite number > 0"):
        refined(np.exp, 1.0, 1.0, rtol)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_stop_at_once(bad: float) -> None:
    orders: list[int] = []

    def evaluate(order: int) -> tuple[np.ndarray, float]:
        orders.append(order)
        return np.array(bad), 1.0

    with pytest.raises(ToleranceError, match="not finite"):
        refine(evaluate, 1e-6, "a test")
    assert max(orders) <= 2 * FIRST_ORDER
