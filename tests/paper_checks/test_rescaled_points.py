"""The rational pieces of the claims about rescaled data, against the library, numpy and their own definitions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from flint import fmpq

from msda_theory import Beta
from msda_theory.odds import odds_moment
from paper_checks.exact_cases import problem
from paper_checks.glm_order import logistic_digits, order_of_moves
from paper_checks.least_squares import LeastSquares, over_points
from paper_checks.tiny_network import tiny_network
from paper_checks.zhang2021.rescaled import RATIOS, odds_printed, odds_share, rescaled_average
from verify.tiny_laws import Number, bernoulli
from verify.tiny_problems import BetaInt, Vector


def as_float(value: fmpq) -> float:
    return int(value.p) / int(value.q)


def times_square(k: int) -> Callable[[Number], Number]:
    """lambda^2 ((1-lambda)/lambda)^k."""
    return lambda lam: lam ** (2 - k) * (1 - lam) ** k


@pytest.mark.parametrize("ratio", RATIOS, ids=str)
def test_the_odds_in_rationals_are_the_library_s(ratio: BetaInt) -> None:
    law = Beta(ratio.a, ratio.b).tilted()
    for k in (0, 1, 2):
        assert as_float(odds_share(ratio, k)) == pytest.approx(odds_moment(law, k), rel=1e-13)
        assert rescaled_average(ratio, 1, times_square(k)) == odds_share(ratio, k)
    assert (odds_printed(ratio, 2) == odds_share(ratio, 2)) == (ratio.a == ratio.b)


def test_least_squares_is_that_of_numpy() -> None:
    net = tiny_network()
    rows = np.array([[*map(as_float, s), 1.0] for s in net.features])
    expected = np.linalg.lstsq(rows, np.array([*map(as_float, net.y)]), rcond=None)[0]
    best = net.least_squares()
    assert [*map(as_float, best.theta), as_float(best.bias)] == pytest.approx(expected.tolist(), rel=1e-12)
    on = np.array([[v > 0 for v in s] for s in net.features])
    assert (on.any(0) & ~on.all(0)).all(), "a unit without a kink between the samples"


def test_the_least_squares_of_mixed_points_is_where_their_loss_is_least() -> None:
    p, law, ratio, scale = problem(2, 4, linear=True, centred=False), bernoulli(2), BetaInt(1, 2), [fmpq(1, 3), fmpq(2)]

    def loss(theta: Vector) -> fmpq:
        def g(z: Vector, y: Number) -> fmpq:
            u = theta[0] * z[0] + theta[1] * z[1]
            return u * u / 2 - y * u

        return over_points(p, law, ratio, scale, g)

    best = LeastSquares.mixed(p, law, ratio, scale)
    assert loss(best.theta) == best.value
    for step in ((fmpq(1, 100), fmpq(0)), (fmpq(0), fmpq(-1, 100))):
        assert loss([a + b for a, b in zip(best.theta, step, strict=True)]) > best.value


def test_the_order_tells_a_wrong_second_order() -> None:
    """Moves of 1/2 and -1/4, of mean zero: the second order is E[move^2]/2 times the mean of h''."""
    theta, x, y = logistic_digits()
    f = x @ theta
    moves, weights = torch.tensor([0.5, -0.25]).to(f).expand(len(f), -1), torch.tensor([1 / 3, 2 / 3], dtype=f.dtype)
    second = float((torch.sigmoid(f) * torch.sigmoid(-f)).mean() / 2 * (0.25 / 3 + 2 * 0.0625 / 3))
    assert order_of_moves(f, y, moves, weights, 0.0, second, len(theta)) == pytest.approx(3.0, abs=0.1)
    assert order_of_moves(f, y, moves, weights, 0.0, second / 2, len(theta)) == pytest.approx(2.0, abs=0.1)
    assert order_of_moves(f, y, moves, weights, 0.1, second, len(theta)) == pytest.approx(1.0, abs=0.1)
