"""The laws of the larger share against mpmath, quadrature, samples and one another."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch

from msda_theory import Beta, Discrete, Folded, Mixture, RatioLaw, RatioRule, UpperHalf
from msda_theory.folded_ratios import Tilted, half_moment
from tests.helpers import assert_close
from verify.tolerances import bounded_mean, rounding


class Triangle(RatioLaw):
    """A user's law, density 2 lambda on [0, 1], that states no closed form but its own moments: Beta(2, 1)."""

    def __repr__(self) -> str:
        return "Triangle()"

    def moment(self, p: float, q: float = 0.0) -> float:
        return Beta(2.0, 1.0).moment(p, q)

    def tilted(self) -> RatioLaw:
        return Beta(2.0, 1.0).tilted()

    def rule(self, order: int, breaks: tuple[float, ...] = ()) -> RatioRule:
        return Beta(2.0, 1.0).rule(order, breaks)

    def cells(self, breaks: tuple[float, ...] = ()) -> RatioRule:
        return Beta(2.0, 1.0).cells(breaks)

    def sample(self, n: int, seed: int | np.random.Generator | None = None) -> np.ndarray:
        return Beta(2.0, 1.0).sample(n, seed)


ATOM = Discrete((0.5,), (1.0,))
SYMMETRIC: list[RatioLaw] = [
    Beta(0.5, 0.5),
    Beta(3.0, 3.0),
    Discrete((0.0, 0.5, 1.0), (0.25, 0.5, 0.25)),
    Mixture((0.5, 0.5), (Beta(0.3, 0.3), ATOM)),
]
LAWS: list[RatioLaw] = [
    *SYMMETRIC,
    Beta(0.3, 2.0),
    Beta(0.01, 0.01),
    Discrete((0.2, 0.5, 0.9), (0.5, 0.25, 0.25)),
    Mixture((0.25, 0.75), (Beta(2.5, 0.5), ATOM)),
    Triangle(),
]
every_law = pytest.mark.parametrize("law", LAWS, ids=repr)
every_symmetric_law = pytest.mark.parametrize("law", SYMMETRIC, ids=repr)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (0.3, 2.0), (2.5, 0.5), (40.0, 60.0), (0.01, 0.01)])
@pytest.mark.parametrize(("p", "q"), [(0, 0), (1, 0), (0, 1), (2, 3), (0.5, 0), (-3, 0), (-1.5, 2)])
def test_beta_moments_against_mpmath(a: float, b: float, p: float, q: float) -> None:
    with mpmath.workdps(30):
        whole = mpmath.beta(a, b)
        upper = mpmath.betainc(b + q, a + p, 0, 0.5) / whole
        lower = mpmath.betainc(a + q, b + p, 0, 0.5) / whole
        expected, half = float(upper + lower), float(upper / (mpmath.betainc(b, a, 0, 0.5) / whole))
    size = abs(math.lgamma(a)) + abs(math.lgamma(b)) + abs(math.lgamma(a + b)) + 8
    assert_close(Folded(Beta(a, b)).moment(p, q), expected, rounding(torch.float64, expected * size, 64))
    assert_close(UpperHalf(Beta(a, b)).moment(p, q), half, rounding(torch.float64, half * size, 64))


def test_the_arcsine_law_by_hand() -> None:
    """E theta = 1/2 + 1/pi and E theta (1-theta) = 1/8 for Beta(1/2, 1/2)."""
    law = Folded(Beta(0.5, 0.5))
    assert law.mean == pytest.approx(0.5 + 1 / math.pi, rel=1e-14)
    assert law.var == pytest.approx(1 / 8 - 1 / math.pi**2, rel=1e-13)
    assert law.moment(0, 2) == pytest.approx(law.var + (1 - law.mean) ** 2, rel=1e-13)


@every_law
@pytest.mark.parametrize("kind", [Folded, UpperHalf])
def test_moments_against_the_law_s_own_rule(law: RatioLaw, kind: type) -> None:
    theta = kind(law)
    for p, q in ((0, 0), (1, 0), (0, 1), (2, 1), (0, 3)):
        found, error = theta.moment_with_error(p, q)
        expected, slack = theta.expectation(lambda t, p=p, q=q: t**p * (1 - t) ** q, rtol=1e-11)
        assert_close(found, expected, error + slack + rounding(torch.float64, 1.0, 512))


@every_law
def test_the_folded_law_is_that_of_the_larger_share(law: RatioLaw) -> None:
    found, _ = Folded(law).expectation(lambda t: np.exp(t), rtol=1e-11)
    expected, _ = law.expectation(lambda t: np.exp(np.maximum(t, 1 - t)), breaks=(0.5,), rtol=1e-11)
    assert_close(found, expected, 1e-10)


@every_symmetric_law
def test_halves_of_a_symmetric_law_are_the_folded_law(law: RatioLaw) -> None:
    for p in (1, 2, 5):
        assert UpperHalf(law).moment(p) == pytest.approx(Folded(law).moment(p), rel=1e-13)
    assert half_moment(law)[0] == pytest.approx(0.5, rel=1e-13)


def test_mass_at_one_half_counts_once() -> None:
    """lambda in {0, 1/2, 1} with weights 1/4, 1/2, 1/4: 1/2 and 1 equally; given lambda >= 1/2 it would be 2/3, 1/3."""
    law = Discrete((0.0, 0.5, 1.0), (0.25, 0.5, 0.25))
    assert Folded(law).mean == UpperHalf(law).mean == 0.75
    assert sorted(UpperHalf(law).sample(4000, 0).tolist()).count(0.5) == pytest.approx(2000, abs=200)


@every_law
@pytest.mark.parametrize("kind", [Folded, UpperHalf])
@pytest.mark.parametrize("breaks", [(), (0.6, 0.85), (0.1, 0.5, 0.7)])
def test_rules_and_cells_add_up(law: RatioLaw, kind: type, breaks: tuple[float, ...]) -> None:
    theta = kind(law)
    for rule in (theta.rule(8, breaks), theta.cells(breaks)):
        assert rule.mass.sum() == pytest.approx(1, rel=1e-9)
        assert rule.second.sum() == pytest.approx(theta.moment(0, 1), rel=1e-7, abs=1e-12)
        assert rule.ratio.min() >= 0.5


def test_cells_hold_the_mass_between_their_breaks() -> None:
    law, edges = Beta(0.3, 2.0), (0.5, 0.6, 0.85, 1.0)
    cells = Folded(law).cells(edges[1:-1])
    step, _ = law.expectation(
        lambda t: ((np.maximum(t, 1 - t) > 0.6) & (np.maximum(t, 1 - t) < 0.85)) * 1.0, breaks=(0.15, 0.4, 0.6, 0.85)
    )
    inside = (cells.ratio > 0.6) & (cells.ratio < 0.85)
    assert cells.mass[inside].sum() == pytest.approx(float(step), rel=1e-9)


@every_law
@pytest.mark.parametrize("kind", [Folded, UpperHalf])
def test_samples_have_the_mean(law: RatioLaw, kind: type) -> None:
    theta, n = kind(law), 20_000
    draws = theta.sample(n, 3)
    assert draws.shape == (n,) and draws.min() >= 0.5
    assert_close(draws.mean(), theta.mean, bounded_mean(theta.var, n, span=0.5))


@every_law
@pytest.mark.parametrize("kind", [Folded, UpperHalf])
def test_tilted_is_the_exchange_of_roles(law: RatioLaw, kind: type) -> None:
    theta = kind(law)
    tilted = theta.tilted()
    for p, q in ((0, 0), (1, 0), (1, 2)):
        expected = theta.moment(p + 1, q) + theta.moment(q, p + 1)
        assert tilted.moment(p, q) == pytest.approx(expected, rel=1e-9)
        assert float(tilted.expectation(lambda t, p=p, q=q: t**p * (1 - t) ** q)[0]) == pytest.approx(
            expected, rel=1e-7
        )
    assert tilted.tilted().moment(1, 2) == pytest.approx(tilted.moment(1, 2), rel=1e-9)


@pytest.mark.parametrize("breaks", [(), (0.3,), (0.3, 0.8)])
def test_tilted_cells_are_those_of_the_same_law_in_closed_form(breaks: tuple[float, ...]) -> None:
    """Beta(2, 3) has a tilted law of its own, a mixture of Beta laws, whose cells are incomplete beta functions."""
    law, edges = Beta(2.0, 3.0), np.array([0.0, *breaks, 1.0])
    found, expected = Tilted(law).cells(breaks), law.tilted().cells(breaks)
    cell = np.searchsorted(edges[1:-1], expected.ratio)
    for what in ("first", "second"):
        assert_close(getattr(found, what), np.bincount(cell, getattr(expected, what), len(edges) - 1), 1e-12, what)
    assert (edges[:-1] < found.ratio).all() and (found.ratio < edges[1:]).all()


def test_cells_that_hold_nothing_are_there_and_empty() -> None:
    """Atoms at 1/4, 1/2 and, tilted, 3/4: as many nodes as cells, those at the ends without weight."""
    cells = Tilted(Discrete((0.25, 0.5), (0.5, 0.5))).cells((0.2, 0.7, 0.9))
    assert_close(cells.mass, [0.0, 0.625, 0.375, 0.0], 1e-15)


def test_tilted_samples() -> None:
    tilted, n = Tilted(UpperHalf(Beta(2.0, 3.0))), 20_000
    assert_close(tilted.sample(n, 1).mean(), tilted.mean, bounded_mean(tilted.var, n))


@pytest.mark.parametrize("law", [Folded(Beta(0.5, 2.0)), UpperHalf(Beta(2.0, 3.0)), Tilted(Beta(2.0, 3.0))], ids=repr)
def test_sampling_is_reproducible_and_advances_a_generator(law: RatioLaw) -> None:
    first = law.sample(50, seed=3)
    assert np.array_equal(first, law.sample(50, seed=3))
    assert not np.array_equal(first, law.sample(50, seed=4))
    generator = np.random.default_rng(3)
    assert np.array_equal(law.sample(50, generator), first)
    assert not np.array_equal(law.sample(50, generator), first)


def test_a_moment_of_one_power_is_that_of_theta() -> None:
    law = Folded(Beta(0.3, 2.0))
    assert law.moment(2) == law.moment(2, 0) == law.moment_with_error(2)[0]


def test_divergent_moments_are_inf() -> None:
    assert Folded(Beta(0.5, 0.5)).moment(0, -1) == math.inf
    assert UpperHalf(Discrete((1.0,), (1.0,))).moment(0, -1) == math.inf


@pytest.mark.parametrize("kind", [Folded, UpperHalf, Tilted])
def test_what_is_no_law_is_refused(kind: type) -> None:
    with pytest.raises(TypeError, match=r"law is 0\.5: needed is a RatioLaw"):
        kind(0.5)


def test_an_empty_half_is_refused() -> None:
    with pytest.raises(ValueError, match="no mass in"):
        UpperHalf(Discrete((0.2,), (1.0,)))


def test_a_half_too_rare_to_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="too few are accepted"):
        UpperHalf(Beta(1.0, 60.0)).sample(10, 0)
