"""Laws of the mixing ratio against mpmath, densities, scipy.stats and one another."""

from __future__ import annotations

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from msda_theory import Beta, Discrete, Mixture, RatioLaw, RatioRule
from tests.helpers import assert_close
from verify.tolerances import FALSE_ALARM, bounded_mean, rounding

PARAMETERS = [(0.01, 0.01), (0.1, 2.0), (0.3, 2.0), (1.0, 1.0), (2.5, 0.5), (50.0, 80.0)]
MIXTURE = Mixture((0.25, 0.75), (Beta(0.3, 2.0), Beta(4.0, 1.0)))
WITH_ATOM = Mixture((0.5, 0.5), (Beta(1.0, 1.0), Discrete((0.3,), (1.0,))))
DISCRETE = Discrete((0.0, 0.3, 1.0), (0.2, 0.5, 0.3))
LAWS: list[RatioLaw] = [*(Beta(a, b) for a, b in PARAMETERS), MIXTURE, WITH_ATOM, DISCRETE]
BREAKS: list[tuple[float, ...]] = [(), (0.3,), (0.1, 0.25, 0.9)]
Integrand = Callable[[np.ndarray], np.ndarray]


def beta_moment(a: float, b: float, p: float, q: float) -> float:
    with mpmath.workdps(30):
        return float(mpmath.beta(mpmath.mpf(a) + p, mpmath.mpf(b) + q) / mpmath.beta(a, b))


@pytest.mark.parametrize(("a", "b"), PARAMETERS)
@pytest.mark.parametrize(("p", "q"), [(0, 0), (1, 0), (0, 1), (2, 3), (0.5, 0), (7, 7), (1, -0.005)])
def test_beta_moments_against_mpmath(a: float, b: float, p: float, q: float) -> None:
    """exp of a difference of logarithms: the relative error is that of the logarithms, each good to a few eps."""
    expected = beta_moment(a, b, p, q)
    size = abs(math.lgamma(a)) + abs(math.lgamma(b)) + abs(math.lgamma(a + b + p + q)) + 1
    assert_close(Beta(a, b).moment(p, q), expected, expected * rounding(torch.float64, size, 16))


@pytest.mark.parametrize(("p", "q"), [(-1.0, 0.0), (0.0, -2.0), (-1.5, -2.5)])
def test_a_divergent_moment_is_inf(p: float, q: float) -> None:
    assert Beta(1.0, 2.0).moment(p, q) == math.inf


@pytest.mark.parametrize(("a", "b"), PARAMETERS)
def test_beta_mean_and_variance(a: float, b: float) -> None:
    law, frozen = Beta(a, b), stats.beta(a, b)
    assert law.mean == pytest.approx(a / (a + b), rel=1e-12)
    # E[l] E[1-l] - E[l(1-l)] is Var (a+b) times smaller than its terms at most
    allowed = rounding(torch.float64, law.moment(1) * law.moment(0, 1), 64) * max(1.0, abs(math.lgamma(a + b)))
    assert_close(law.var, frozen.var(), allowed)


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize(("p", "q"), [(0, 0), (1, 0), (0, 1), (2, 0), (0, 2), (1, 2), (3, 3)])
def test_tilted_moments_by_exchange_of_roles(law: RatioLaw, p: int, q: int) -> None:
    """E_D~[l^p (1-l)^q] = E[l^(p+1) (1-l)^q] + E[(1-l)^(p+1) l^q], whatever D is."""
    expected = law.moment(p + 1, q) + law.moment(q, p + 1)
    assert law.tilted().moment(p, q) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(("a", "b"), PARAMETERS)
@pytest.mark.parametrize("ratio", [0.01, 0.3, 0.5, 0.95])
def test_tilted_density(a: float, b: float, ratio: float) -> None:
    """p~(l) = l p(l) + l p(1-l): the second of a pair, which sees l where the first has 1-l, has the weight l."""
    tilted = Beta(a, b).tilted()
    pairs = zip(tilted.weights, tilted.components, strict=True)
    found = sum(w * stats.beta(c.a, c.b).pdf(ratio) for w, c in pairs)
    p = stats.beta(a, b).pdf
    assert found == pytest.approx(ratio * (p(ratio) + p(1 - ratio)), rel=1e-11)


def test_tilted_discrete_by_hand() -> None:
    tilted = Discrete((0.25,), (1.0,)).tilted()
    assert dict(zip(tilted.values, tilted.weights, strict=True)) == {0.25: 0.25, 0.75: 0.75}


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("breaks", BREAKS)
@pytest.mark.parametrize(("p", "q"), [(0, 0), (1, 0), (0, 1), (2, 1), (5, 0)])
def test_rules_reproduce_moments(law: RatioLaw, breaks: tuple[float, ...], p: int, q: int) -> None:
    """Both weights of a node: E[l g] and E[(1-l) g].  60 nodes a cell: for all these laws truncation is below eps."""
    rule = law.rule(60, breaks)
    values = rule.ratio**p * (1 - rule.ratio) ** q
    allowed = rounding(torch.float64, 1.0, 400) * sharpness(law)
    assert_close(rule.first @ values, law.moment(p + 1, q), allowed, "first")
    assert_close(rule.second @ values, law.moment(p, q + 1), allowed, "second")
    assert_close(rule.mass @ values, law.moment(p, q), 2 * allowed, "mass")


def sharpness(law: RatioLaw) -> float:
    """Condition of a density between breaks: eps in lambda is (a + b) eps in lambda^a (1-lambda)^b."""
    return max(1.0, law.a + law.b) if isinstance(law, Beta) else 1.0


def step(edges: tuple[float, ...], heights: np.ndarray) -> Integrand:
    return lambda ratio: heights[np.searchsorted(np.array(edges), ratio)]


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("breaks", BREAKS)
def test_cells_average_a_step_function_exactly(law: RatioLaw, breaks: tuple[float, ...]) -> None:
    """Against the distribution function of scipy.stats and, for the label weights, a rule that refines every cell.

    A tilted weight E[l; cell] is what mask laws with integer sides are averaged with.
    """
    g = step(breaks, np.array([1.0, -2.0, 0.5, 7.0]))
    cells, rule = law.cells(breaks), law.rule(60, breaks)
    allowed = rounding(torch.float64, 7.0, 400) * sharpness(law)
    assert_close(cells.first @ g(cells.ratio), rule.first @ g(rule.ratio), allowed, "first")
    assert_close(cells.second @ g(cells.ratio), rule.second @ g(rule.ratio), allowed, "second")
    assert_close(cells.first.sum(), law.moment(1), allowed, "sum of first")
    assert_close(cells.second.sum(), law.moment(0, 1), allowed, "sum of second")


@pytest.mark.parametrize(("a", "b"), PARAMETERS)
def test_cell_weights_against_the_distribution_function(a: float, b: float) -> None:
    edges = (0.1, 0.25, 0.9)
    expected = np.diff(stats.beta(a, b).cdf([0, *edges, 1]))
    assert_close(Beta(a, b).cells(edges).mass, expected, rounding(torch.float64, 1.0, 64))


def test_cells_of_a_mixture_with_an_atom_by_hand() -> None:
    """Half uniform, half at 0.3, cut at 1/2: adding the two rules entry by entry would give the atom to both cells."""
    cells = WITH_ATOM.cells((0.5,))
    low = cells.ratio < 0.5
    assert cells.first[low].sum() == pytest.approx(0.5 * 0.125 + 0.5 * 0.3)
    assert cells.first[~low].sum() == pytest.approx(0.5 * 0.375)
    assert cells.mass.sum() == pytest.approx(1.0)


@pytest.mark.filterwarnings("error")
def test_discrete_moments_at_the_ends() -> None:
    """inf without a warning of numpy."""
    assert DISCRETE.moment(0) == pytest.approx(1.0)
    assert DISCRETE.moment(-1) == math.inf
    assert DISCRETE.moment(0, -1) == math.inf
    assert Discrete((0.0, 0.5), (0.0, 1.0)).moment(-1) == pytest.approx(2.0), "weight 0 counts for nothing"


def test_scaled_and_joined_rules() -> None:
    rule = RatioRule(np.array([0.25]), np.array([0.1]), np.array([0.3]))
    joined = RatioRule.join([rule, rule.scaled(2)])
    assert joined.mass.tolist() == pytest.approx([0.4, 0.8])


# -- sampling


@pytest.mark.parametrize("law", [Beta(a, b) for a, b in PARAMETERS[1:]], ids=repr)
def test_beta_samples_by_kolmogorov_smirnov(law: Beta) -> None:
    """p below FALSE_ALARM happens to a correct sampler once in a million seeds; the seed is fixed."""
    draws = law.sample(4000, seed=1)
    assert stats.kstest(draws, stats.beta(law.a, law.b).cdf).pvalue > FALSE_ALARM
    assert stats.kstest(1 - draws, stats.beta(law.a, law.b).cdf).pvalue < FALSE_ALARM or law.a == law.b


def test_mixture_samples_by_kolmogorov_smirnov() -> None:
    def cdf(ratio: np.ndarray) -> np.ndarray:
        return 0.25 * stats.beta(0.3, 2.0).cdf(ratio) + 0.75 * stats.beta(4.0, 1.0).cdf(ratio)

    assert stats.kstest(MIXTURE.sample(4000, seed=1), cdf).pvalue > FALSE_ALARM


def test_discrete_samples_by_bernstein() -> None:
    draws = DISCRETE.sample(4000, seed=1)
    assert set(draws) == set(DISCRETE.values)
    for value, weight in zip(DISCRETE.values, DISCRETE.weights, strict=True):
        allowed = bounded_mean(weight * (1 - weight), 4000, comparisons=3)
        assert_close(np.mean(draws == value), weight, allowed, f"P({value})")


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_sampling_is_reproducible_and_advances_a_generator(law: RatioLaw) -> None:
    assert np.array_equal(law.sample(50, seed=3), law.sample(50, seed=3))
    assert not np.array_equal(law.sample(50, seed=3), law.sample(50, seed=4))
    generator = np.random.default_rng(3)
    first, second = law.sample(50, generator), law.sample(50, generator)
    assert np.array_equal(first, law.sample(50, seed=3))
    assert not np.array_equal(first, second)


def test_a_sample_that_underflows_is_not_an_atom_at_zero() -> None:
    """P(lambda < 1e-308) is 4e-4 for Beta(0.01, 0.01), and a printed CutMix box is undefined at lambda = 0 only."""
    draws = Beta(0.01, 0.01).sample(100_000, seed=0)
    assert (draws == np.finfo(float).tiny).any(), "no draw underflows, nothing is tested"
    assert (draws > 0).all()
    assert (draws <= 1).all()


def test_ratios_are_placed_by_the_inverse_of_the_distribution_function() -> None:
    """A value of a finite law has the interval [P(lambda < v), P(lambda <= v)), closed on the left."""
    uniform = np.linspace(0, 1, 50, endpoint=False)
    for a, b in PARAMETERS[1:]:
        assert_close(Beta(a, b).placed(uniform), stats.beta(a, b).ppf(uniform), 1e-12, f"{a}, {b}")
    assert Beta(0.5, 2.0).placed(np.zeros(1)) == np.finfo(float).tiny, "no atom at 0"
    law = Discrete((0.9, 0.1, 0.5), (0.25, 0.5, 0.25))
    assert law.placed(np.array([0.0, 0.25, 0.49, 0.5, 0.74, 0.75, 0.99])).tolist() == [
        0.1,
        0.1,
        0.1,
        0.5,
        0.5,
        0.9,
        0.9,
    ]


def test_a_law_without_an_inverse_draws_from_its_seed() -> None:
    uniform = np.full(20, 0.5)
    assert np.array_equal(MIXTURE.placed(uniform, 3), MIXTURE.sample(20, 3))
    assert not np.array_equal(MIXTURE.placed(uniform, 3), MIXTURE.placed(uniform, 4))


@pytest.mark.parametrize("weights", [(0.5, 0.5 + 5e-10), (0.5, 0.4), (-0.5, 1.5)])
def test_weights_that_are_no_probabilities_are_refused(weights: tuple[float, float]) -> None:
    for make in (lambda: Discrete((0.2, 0.7), weights), lambda: Mixture(weights, (Beta(1.0, 1.0), Beta(2.0, 1.0)))):
        with pytest.raises(ValueError, match="needed are non-negative numbers that sum to one"):
            make()


# -- properties

positive = st.floats(0.05, 20.0)


@given(positive, positive)
def test_symmetry_of_beta(a: float, b: float) -> None:
    """lambda -> 1-lambda exchanges a and b, and leaves the tilted law as it is."""
    law, mirror = Beta(a, b), Beta(b, a)
    assert law.moment(2, 1) == pytest.approx(mirror.moment(1, 2), rel=1e-11)
    tilted = law.tilted()
    assert tilted.moment(2, 1) == pytest.approx(mirror.tilted().moment(2, 1), rel=1e-10)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 10)), min_size=1, max_size=5))
def test_a_tilted_law_is_a_law(pairs: list[tuple[float, int]]) -> None:
    total = sum(w for _, w in pairs)
    law = Discrete(tuple(v for v, _ in pairs), tuple(w / total for _, w in pairs))
    tilted = law.tilted()
    assert sum(tilted.weights) == pytest.approx(1.0)
    assert tilted.mean == pytest.approx(law.moment(2) + law.moment(0, 2))


@given(positive, positive, st.lists(st.floats(0.01, 0.99), min_size=0, max_size=4, unique=True))
def test_cells_sum_to_the_moments(a: float, b: float, breaks: list[float]) -> None:
    cells = Beta(a, b).cells(sorted(breaks))
    assert cells.first.sum() == pytest.approx(a / (a + b), rel=1e-12)
    assert cells.second.sum() == pytest.approx(b / (a + b), rel=1e-12)
    assert (cells.first >= 0).all()
    assert (cells.second >= 0).all()
