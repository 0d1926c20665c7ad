"""Rademacher complexity: the blocks of signs against itertools, Monte Carlo against enumeration, and the bounds."""

import itertools
import math

import pytest
import torch

from msda_theory import losses
from msda_theory.bounds import (
    Ball,
    Body,
    Ellipsoid,
    Intersection,
    Maximum,
    Union,
    contraction_constant,
    generalisation_gap,
    glm_bound,
    mean_bound,
    rademacher,
    rademacher_complexity,
    ridge_bound,
    sample_bound,
)
from msda_theory.bounds.rademacher import BLOCK, Complexity
from verify.tolerances import monte_carlo

P = 3


def features(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, P, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def spd(seed: int, rank: int = P) -> torch.Tensor:
    z = features(rank, 100 + seed)
    return z.mT @ z


def bodies() -> dict[str, Body]:
    first, second = Ellipsoid(spd(1), 1.0), Ellipsoid(spd(2), 0.5)
    return {
        "ellipsoid": first,
        "ball": Ball(2.0, P),
        "intersection": Intersection([first, second]),
        "union": Union([first, second]),
    }


def naive_complexity(body: Body, x: torch.Tensor) -> float:
    """All 2^n sign vectors, one at a time."""
    total = 0.0
    for signs in itertools.product((-1.0, 1.0), repeat=len(x)):
        total += float(body.support(sum(s * row for s, row in zip(signs, x, strict=True)) / len(x)))
    return total / 2 ** len(x)


@pytest.mark.parametrize("name", bodies())
@pytest.mark.parametrize("n", [1, 2, 7])
def test_enumeration_agrees_with_all_signs_one_by_one(name: str, n: int) -> None:
    body, x = bodies()[name], features(n)
    found = rademacher_complexity(body, x)
    assert found.value == pytest.approx(naive_complexity(body, x), rel=1e-11)
    assert (found.error, found.draws, found.note) == (0.0, None, "")
    assert found.gap <= 1e-12 * found.value


class Listing(Body):
    """Of theta in R^p; keeps the rows that it is asked for."""

    def __init__(self, dimension: int) -> None:
        self.size, self.asked = dimension, torch.empty(0, dimension)

    @property
    def dimension(self) -> int:
        return self.size

    def _maximum(self, u: torch.Tensor) -> Maximum:
        self.asked = torch.cat([self.asked, u])
        return Maximum(u[:, 0], u, torch.zeros(len(u)))


def test_each_sign_vector_that_ends_in_plus_one_is_taken_once() -> None:
    """Features n e_i, whose signed mean is the vector of signs itself."""
    for n in (1, 2, 5):
        body = Listing(n)
        rademacher_complexity(body, n * torch.eye(n))
        ended = [(*signs, 1.0) for signs in itertools.product((-1.0, 1.0), repeat=n - 1)]
        assert sorted(map(tuple, body.asked.tolist())) == sorted(ended)


def test_signs_are_made_where_the_features_are() -> None:
    """And not on the default device, which here holds no numbers."""
    body, x = bodies()["union"], features(5)
    with torch.device("meta"):
        found = rademacher_complexity(body, x)
    assert found == rademacher_complexity(body, x)


@pytest.mark.parametrize("draws", [2, BLOCK, BLOCK + 1])
def test_as_many_signs_are_drawn_as_asked_for(draws: int) -> None:
    body = Listing(3)
    assert rademacher_complexity(body, 3 * torch.eye(3), draws=draws, seed=0).draws == draws == len(body.asked)
    assert set(body.asked.flatten().tolist()) == {-1.0, 1.0}


def test_the_largest_enumeration_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rademacher, "LARGEST_ENUMERATION", 3)
    assert rademacher_complexity(Ball(1.0, P), features(3)).draws is None
    with pytest.raises(ValueError, match=r"n=4 samples: all signs are 2\^3 = 8 suprema; needed is n <= 3"):
        rademacher_complexity(Ball(1.0, P), features(4))


def test_one_coordinate_in_closed_form() -> None:
    """E|xi_1 + .. + xi_n| = n C(n-1, floor((n-1)/2)) / 2^(n-1), in several blocks."""
    for n in (1, 2, 5, 14):
        closed = math.comb(n - 1, (n - 1) // 2) / 2 ** (n - 1)
        found = rademacher_complexity(Ball(4.0, 1), torch.ones(n, 1, dtype=torch.float64))
        assert found.value == pytest.approx(2 * closed, rel=1e-12)


@pytest.mark.parametrize("name", bodies())
def test_monte_carlo_lies_within_its_error(name: str) -> None:
    body, x = bodies()[name], features(10)
    exact, drawn = rademacher_complexity(body, x), rademacher_complexity(body, x, draws=6000, seed=3)
    assert drawn.draws == 6000 and 0 < drawn.error < 0.02 * exact.value
    assert abs(drawn.value - exact.value) <= monte_carlo(drawn.error)
    assert rademacher_complexity(body, x, draws=6000, seed=3) == drawn


def test_monte_carlo_where_enumeration_is_out_of_reach() -> None:
    x, ball = features(400), Ball(1.0, P)
    found = rademacher_complexity(ball, x, draws=4000, seed=1)
    bound = sample_bound(ball, x)
    assert bound / 2**0.5 - monte_carlo(found.error) <= found.value <= bound + monte_carlo(found.error)


def test_too_many_samples_name_the_cost() -> None:
    with pytest.raises(ValueError, match=r"n=21 samples: all signs are 2\^20 = 1e\+06 suprema.*draws=N"):
        rademacher_complexity(Ball(1.0, P), features(21))


def test_a_singular_matrix_is_infinite_and_says_where() -> None:
    flat = Ellipsoid(torch.diag(torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)), 1.0)
    x = torch.tensor([[1.0, 2, 0], [0, 1, 1], [2, 0, 0]], dtype=torch.float64)
    found = rademacher_complexity(flat, x)
    said = "the set is unbounded along features[{}], which leave the range of its matrix"
    assert found == Complexity(math.inf, 0.0, None, 0.0, said.format(1))
    for count, rows in ((3, "0, 1, 2"), (4, "0, 1, 2, ..."), (5, "0, 1, 2, ...")):
        found = rademacher_complexity(flat, x[1].repeat(count, 1), draws=2, seed=0)
        assert found == Complexity(math.inf, 0.0, 2, 0.0, said.format(rows))
    assert math.isfinite(rademacher_complexity(flat, x[[0, 2]]).value)
    assert math.isfinite(rademacher_complexity(Intersection([flat, Ball(1.0, P)]), x).value)


def test_other_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"features has shape \(4, 3\).*\(n, 2\)"):
        rademacher_complexity(Ball(1.0, 2), features(4))
    with pytest.raises(ValueError, match=r"features has shape \(4, 3\), torch.int64: needed is a floating \(n, 3\)"):
        rademacher_complexity(Ball(1.0, P), torch.ones(4, P, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"features has shape \(3,\)"):
        rademacher_complexity(Ball(1.0, P), torch.ones(P))
    with pytest.raises(ValueError, match="draws=1: needed is an integer >= 2"):
        rademacher_complexity(Ball(1.0, P), features(4), draws=1)
    with pytest.raises(TypeError, match=r"body is .*needed is a Body"):
        rademacher_complexity(spd(1), features(4))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"delta=1: needed is a number in \(0, 1\)"):
        generalisation_gap(0.1, 1.0, 1.0, 5, 1)
    with pytest.raises(ValueError, match="n=0"):
        mean_bound(Ball(1.0, P), spd(1), 0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_single_precision_is_close(dtype: torch.dtype) -> None:
    body, x = bodies()["intersection"], features(6)
    assert rademacher_complexity(body, x.to(dtype)).value == pytest.approx(naive_complexity(body, x), rel=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_jensens_bound_is_above_by_at_most_khintchines_factor(seed: int) -> None:
    x, ellipsoid = features(8, seed), Ellipsoid(spd(seed), 0.7)
    ratio = rademacher_complexity(ellipsoid, x).value / sample_bound(ellipsoid, x)
    assert 2**-0.5 <= ratio <= 1


def test_mean_bounds_are_above_the_mean_over_all_samples() -> None:
    """Three equally likely atoms, n = 3: all 27 samples."""
    atoms, n = features(3, 9), 3
    sigma = atoms.mT @ atoms / 3
    samples = [atoms[list(at)] for at in itertools.product(range(3), repeat=n)]
    for body in (Ellipsoid(sigma, 0.5), Ellipsoid(spd(3), 0.5), Ball(0.5, P)):
        mean = sum(rademacher_complexity(body, s).value for s in samples) / len(samples)
        assert 2**-0.5 * 0.9 < mean / mean_bound(body, sigma, n) <= 1
    assert mean_bound(Ball(0.5, P), sigma, n) == pytest.approx(ridge_bound(0.5, sigma, n), rel=1e-12)
    assert mean_bound(Ellipsoid(sigma, 1.0), sigma, n) == pytest.approx(glm_bound(1.0, 1.0, P, n), rel=1e-12)


def test_printed_and_derived_levels() -> None:
    """At gamma = rho = 1/4: c = 1/2, so the derived level is 2^(-2/3), the printed one 1."""
    assert glm_bound(0.25, 0.25, 2, 8) == pytest.approx(2 ** (-1 / 3) / 2, rel=1e-14)
    assert glm_bound(0.25, 0.25, 2, 8, as_printed=True) == 0.5


def test_constants_of_the_generalisation_bound() -> None:
    assert contraction_constant(losses.Logistic(), 3.0, (0.0, 1.0)) == pytest.approx(1 / (1 + math.exp(-3)), rel=1e-14)
    assert contraction_constant(losses.Squared(), 3.0, (-1.0, 2.0)) == 5.0
    gap = generalisation_gap(0.1, 2.0, 3.0, 50, math.exp(-1))
    assert gap == pytest.approx(2 * 2 * 0.1 + 12 * 0.1, rel=1e-14)
