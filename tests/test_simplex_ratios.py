"""Dirichlet laws of n mixing ratios against mpmath, the Beta law, one another and simulation."""

from __future__ import annotations

import math
from itertools import product

import mpmath
import numpy as np
import pytest
import torch

from msda_theory import Beta, Dirichlet
from tests.helpers import assert_close
from verify.tolerances import bounded_mean, rounding

LAWS = [
    Dirichlet((1.0, 1.0)),
    Dirichlet((0.3, 2.0)),
    Dirichlet((1.0, 1.0, 1.0)),
    Dirichlet((0.05, 2.0, 0.7)),
    Dirichlet((0.5, 1.0, 2.0, 30.0)),
]
every_law = pytest.mark.parametrize("law", LAWS, ids=repr)


def size(law: Dirichlet) -> float:
    """Of the logarithms of the Gamma functions in a moment, whose rounding is the moment's relative error."""
    return sum(abs(math.lgamma(a)) + abs(math.lgamma(a + 4)) for a in (*law.alpha, law.total)) + 1


@every_law
@pytest.mark.parametrize("power", [0.0, 1.0, 2.0, 0.5, -0.04])
def test_moments_against_mpmath(law: Dirichlet, power: float) -> None:
    """The same power of the first ratio and, squared, of the last."""
    powers = [power, *[0.0] * (len(law) - 2), 2 * power]
    with mpmath.workdps(30):
        total = mpmath.fsum(law.alpha)
        expected = mpmath.gamma(total) / mpmath.gamma(total + mpmath.fsum(powers))
        for a, p in zip(law.alpha, powers, strict=True):
            expected *= mpmath.gamma(mpmath.mpf(a) + p) / mpmath.gamma(a)
    assert_close(law.moment(powers), float(expected), float(expected) * rounding(torch.float64, size(law), 16))


def test_a_divergent_moment_is_inf() -> None:
    assert Dirichlet((0.5, 1.0, 2.0)).moment((-0.5, 0, 0)) == math.inf
    assert Dirichlet((0.5, 1.0, 2.0)).moment((3, -1.5, 0)) == math.inf
    assert Dirichlet((0.5, 1.0, 2.0)).moment((-0.4, 0, 0)) < math.inf


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.3, 2.0), (4.0, 0.1)])
def test_two_ratios_are_a_beta_law(a: float, b: float) -> None:
    law, beta = Dirichlet((a, b)), Beta(a, b)
    for p, q in product(range(4), repeat=2):
        assert law.moment((p, q)) == pytest.approx(beta.moment(p, q), rel=1e-12)
        assert law.label_weighted().moment((p, q)) == pytest.approx(beta.tilted().moment(p, q), rel=1e-12)
    rule, own = law.rule(6), beta.rule(6)
    assert_close(rule.ratios[:, 0], own.ratio, 0.0)
    assert_close(rule.weights, own.mass, rounding(torch.float64, 1.0, 4))


@every_law
@pytest.mark.parametrize("order", [1, 2, 4])
def test_rules_are_exact_to_their_degree(law: Dirichlet, order: int) -> None:
    """Every monomial of total degree <= 2 order - 1; and of degree 2 order, lambda_1 to that power is missed."""
    rule = law.rule(order)
    assert len(rule) == order ** (len(law) - 1)
    assert (rule.weights > 0).all() and (rule.ratios >= 0).all()
    assert_close(rule.ratios.sum(1), np.ones(len(rule)), rounding(torch.float64, 1.0, 8))
    allowed = rounding(torch.float64, size(law), 200)
    for powers in product(range(2 * order), repeat=len(law)):
        if sum(powers) < 2 * order:
            found = float(rule.weights @ np.prod(rule.ratios ** np.array(powers), axis=1))
            assert_close(found, law.moment(powers), allowed, str(powers))
    missed = [2 * order, *[0] * (len(law) - 1)]
    assert abs(float(rule.weights @ rule.ratios[:, 0] ** (2 * order)) - law.moment(missed)) > allowed


@every_law
def test_the_tilted_law_weighs_by_a_ratio(law: Dirichlet) -> None:
    """E[lambda_k g] = E[lambda_k] E_{Dir(alpha + e_k)}[g]."""
    for k in range(len(law)):
        for powers in product(range(3), repeat=len(law)):
            raised = [p + (j == k) for j, p in enumerate(powers)]
            expected = law.mean[k] * law.tilted(k).moment(powers)
            assert law.moment(raised) == pytest.approx(expected, rel=rounding(torch.float64, size(law), 32))


@every_law
def test_the_label_weighted_law_is_the_average_over_roles(law: Dirichlet) -> None:
    """E_D~[g] = sum_k E[lambda_k g(lambda_k, lambda_{k+1}, ..)], by moments and by rules."""
    n, mixture = len(law), law.label_weighted()
    rule, own = mixture.rule(12), law.rule(12)
    for powers in product(range(3), repeat=n):
        turned = [[powers[(j - k) % n] + (j == k) for j in range(n)] for k in range(n)]
        expected = sum(law.moment(p) for p in turned)
        assert mixture.moment(powers) == pytest.approx(expected, rel=1e-11)
    values = np.exp(rule.ratios[:, 0] - 2 * rule.ratios[:, 1])
    roles = [own.ratios[:, k] * np.exp(own.ratios[:, k] - 2 * own.ratios[:, (k + 1) % n]) for k in range(n)]
    # |u - 2v| <= 2: e^(u - 2v) is off its Taylor polynomial of degree 22 (lambda_k takes a degree) by 2^23 e^2/23!
    allowed = 2 * n * 2**23 * math.exp(2) / math.factorial(23) + rounding(torch.float64, size(law), 200)
    assert_close(rule.weights @ values, own.weights @ sum(roles), allowed)


@every_law
def test_samples_have_the_moments(law: Dirichlet) -> None:
    draws, n = law.sample(20_000, seed=3), len(law)
    assert draws.shape == (20_000, n)
    assert_close(draws.sum(1), np.ones(20_000), rounding(torch.float64, 1.0, 8))
    pairs = [(j, k) for j in range(n) for k in range(j, n)]
    for j, k in pairs:
        powers = [(j == i) + (k == i) for i in range(n)]
        mean, square = law.moment(powers), law.moment([2 * p for p in powers])
        allowed = bounded_mean(square - mean**2, len(draws), comparisons=len(pairs))
        assert_close((draws[:, j] * draws[:, k]).mean(), mean, allowed, f"{j}, {k}")


def test_samples_are_the_seeds() -> None:
    law = LAWS[3]
    assert np.array_equal(law.sample(5, seed=1), law.sample(5, seed=1))
    assert not np.array_equal(law.sample(5, seed=1), law.sample(5, seed=2))
    assert np.array_equal(law.sample(5, seed=1), law.sample(5, np.random.default_rng(1)))


def test_alpha_may_come_as_a_list_or_an_array() -> None:
    assert Dirichlet([1, 2]) == Dirichlet(np.array([1.0, 2.0])) == Dirichlet((1.0, 2.0))  # type: ignore[arg-type]
    assert hash(Dirichlet([1, 2])) == hash(Dirichlet((1.0, 2.0)))  # type: ignore[arg-type]


BAD = [
    ((1.0, 0.0), ValueError, r"alpha\[1\]=0.0: needed is a finite number > 0"),
    ((-1.0, 1.0), ValueError, r"alpha\[0\]=-1.0"),
    ((1.0, math.nan, 1.0), ValueError, r"alpha\[1\]=nan"),
    ((1.0, math.inf), ValueError, r"alpha\[1\]=inf"),
    ((1.0,), ValueError, r"alpha=\(1.0,\): needed are at least two entries"),
    ((), ValueError, r"alpha=\(\): needed are at least two"),
    (1.0, TypeError, "alpha=1.0: needed is a sequence"),
    ((1.0, "2"), TypeError, r"alpha\[1\] is '2'"),
    ("12", TypeError, r"alpha\[0\] is '1'"),
]


@pytest.mark.parametrize(("alpha", "error", "message"), BAD, ids=lambda v: str(v)[:30])
def test_bad_alpha_is_refused(alpha: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Dirichlet(alpha)  # type: ignore[arg-type]


def test_wrong_lengths_and_indices_are_refused() -> None:
    law = Dirichlet((1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="powers has 2 entries, alpha has 3"):
        law.moment((1, 1))
    with pytest.raises(ValueError, match="k=3: needed is an integer below 3"):
        law.tilted(3)
    with pytest.raises(ValueError, match="k=-1"):
        law.tilted(-1)
    with pytest.raises(ValueError, match="order=0"):
        law.rule(0)
    with pytest.raises(ValueError, match=r"order=512: a rule for 5 ratios has 512\^4 nodes, allowed are 2.7e\+07"):
        Dirichlet((1.0,) * 5).rule(512)
