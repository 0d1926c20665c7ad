"""Chebyshev polynomials: their sums over points, interpolation, and how many nodes a function needs."""

from __future__ import annotations

import pytest
import torch

from msda_theory import chebyshev
from msda_theory.chebyshev import chebyshev_moments, chebyshev_nodes, interpolation_weights, nodes_for
from tests.helpers import assert_close, inputs
from verify.tolerances import rounding


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("n", [1, 2, 5, 16, 57])
def test_moments_are_sums_of_cosines(n: int, few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """T_k(t) = cos(k arccos t), of six sets of points; T_s and the b-th polynomial of it round to s and b^2 units."""
    monkeypatch.setattr(chebyshev, "COSINES", 240 * n if few else 240 * n - 1)
    made: list[int] = []
    monkeypatch.setattr(chebyshev, "chebyshev", lambda *a, of=chebyshev.chebyshev: (made.append(1), of(*a))[1])
    t = chebyshev_nodes(40) * torch.linspace(0.2, 0.97, 6, dtype=torch.float64).reshape(2, 3, 1)
    expected = torch.cos(torch.arange(n).double()[:, None] * torch.acos(t).unsqueeze(-2)).sum(-1)
    assert_close(chebyshev_moments(t, n), expected, rounding(torch.float64, 40.0, n + 2))
    assert bool(made) != few


@pytest.mark.parametrize("nodes", [3, 8])
def test_interpolation_is_exact_for_polynomials(nodes: int) -> None:
    """Of degree below the number of nodes, at random points with random weights."""
    t, w = inputs(20).sin(), inputs(20, seed=1)
    moments = (torch.cos(torch.arange(8).double()[:, None] * torch.acos(t)) * w).sum(1)
    weights = moments @ interpolation_weights(8, nodes)
    assert_close(
        weights @ chebyshev_nodes(nodes) ** 2, (w * t**2).sum(), rounding(torch.float64, float(w.abs().sum()), 40)
    )


def test_the_number_of_nodes_grows_with_the_interval() -> None:
    like = torch.zeros(1, dtype=torch.float64)
    few, tail = nodes_for(torch.exp, -1.0, 1.0, 1e-12, like)
    many, _ = nodes_for(torch.exp, -10.0, 10.0, 1e-12, like)
    assert few < many and 0 < tail <= 1e-12 * 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_function_is_taken_in_its_own_precision(dtype: torch.dtype) -> None:
    seen = set()
    nodes_for(lambda t: (seen.add(t.dtype), t.exp())[1], -1.0, 1.0, 1e-3, torch.zeros(1, dtype=dtype))
    assert seen == {dtype}


@pytest.mark.parametrize("degree", [1, 5, 63, 64, 100, 180])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (2.0, 5.0)])
def test_a_chebyshev_polynomial_needs_one_node_more_than_its_degree(degree: int, low: float, high: float) -> None:
    """T_k on [low, high], whatever its size; what is left is the rounding of its arguments, k^2 eps at the ends."""
    like = torch.zeros(1, dtype=torch.float64)

    def h(t: torch.Tensor) -> torch.Tensor:
        return 1e3 * torch.cos(degree * torch.acos(((2 * t - low - high) / (high - low)).clamp(-1, 1)))

    n, tail = nodes_for(h, low, high, 1e-6, like)
    assert n == degree + 1
    assert 0 < tail <= 1e-6 * 1e3


def test_what_the_nodes_leave_out_is_the_sum_of_the_coefficients() -> None:
    """T_3 + 1e-8 (T_6 - T_7), of size 1, to 1e-7 and to 1e-9; a constant has two nodes."""
    like = torch.zeros(1, dtype=torch.float64)

    def h(t: torch.Tensor) -> torch.Tensor:
        return torch.cos(3 * t.acos()) + 1e-8 * (torch.cos(6 * t.acos()) - torch.cos(7 * t.acos()))

    (few, tail), (many, rest) = (nodes_for(h, -1.0, 1.0, rtol, like) for rtol in (1e-7, 1e-9))
    assert (few, many) == (4, 8)
    assert_close(tail, 2e-8, rounding(torch.float64, 1.0, 1024))
    assert rest <= rounding(torch.float64, 1.0, 1024)
    assert nodes_for(torch.ones_like, -1.0, 1.0, 1e-12, like)[0] == 2


def test_points_that_round_past_the_ends_are_at_the_ends() -> None:
    """T_k(1) = 1, T_k(-1) = (-1)^k."""
    t = torch.tensor([1 + 4e-16, -1 - 4e-16], dtype=torch.float64)
    assert_close(chebyshev_moments(t, 4), [2, 0, 2, 0], rounding(torch.float64, 1.0, 4))
