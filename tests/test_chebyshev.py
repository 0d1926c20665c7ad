"""Chebyshev polynomials: their sums over points, interpolation, and how many nodes a function needs."""

from __future__ import annotations

import pytest
import torch

from msda_theory import ToleranceError, chebyshev
from msda_theory.chebyshev import chebyshev_moments, chebyshev_nodes, interpolation_weights, nodes_for, windows
from tests.helpers import assert_close, inputs
from verify.tolerances import rounding


@pytest.mark.parametrize("few", [True, False])
@pytest.mark.parametrize("n", [1, 2, 5, 16, 57])
def test_moments_are_sums_of_cosines(n: int, few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """T_k(t) = cos(k arccos t), of six sets of points; T_s and the b-th polynomial of it round to s and b^2 units."""
    monkeypatch.setattr(chebyshev, "COSINES", 240 * n if few else 240 * n - 1)
    made: list[int] = []
    monkeypatch.setattr(chebyshev, "_with_signs", lambda *a, of=chebyshev._with_signs: (made.append(1), of(*a))[1])
    t = chebyshev_nodes(40) * torch.linspace(0.2, 0.97, 6, dtype=torch.float64).reshape(2, 3, 1)
    expected = torch.cos(torch.arange(n).double()[:, None] * torch.acos(t).unsqueeze(-2)).sum(-1)
    assert_close(chebyshev_moments(t, n), expected, rounding(torch.float64, 40.0, n + 2))
    assert bool(made) != few


@pytest.mark.parametrize("n", [1, 2, 3, 7, 40])
def test_the_polynomials_are_cosines(n: int) -> None:
    """Two sets of points; the recurrence rounds by k^2 units at the ends."""
    t = chebyshev_nodes(9) * torch.tensor([[1.0], [0.3]], dtype=torch.float64)
    expected = torch.cos(torch.arange(n).double()[:, None] * torch.acos(t).unsqueeze(-2))
    before = t.clone()
    assert_close(chebyshev.chebyshev(t, n), expected, rounding(torch.float64, 1.0, n**2 + 2))
    assert torch.equal(t, before)


@pytest.mark.parametrize(("cached", "steps"), [(1, 40), (9 * 24 * 6, 5), (10**6, 1)])
def test_points_are_summed_as_many_at_a_time_as_a_cache_holds(
    cached: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """24 sets of 40 points and n = 9 polynomials, of 3 + 3 rows: 9 points a step fit into 9 x 24 x 6 numbers."""
    widths: list[int] = []
    monkeypatch.setattr(chebyshev, "COSINES", 0)
    monkeypatch.setattr(chebyshev, "CACHED", cached)
    monkeypatch.setattr(
        chebyshev, "_with_signs", lambda t, n, of=chebyshev._with_signs: (widths.append(t.shape[-1]), of(t, n))[1]
    )
    t = chebyshev_nodes(40) * torch.linspace(0.2, 0.97, 24, dtype=torch.float64).reshape(4, 6, 1)
    expected = torch.cos(torch.arange(9).double()[:, None] * torch.acos(t).unsqueeze(-2)).sum(-1)
    assert_close(chebyshev_moments(t, 9), expected, rounding(torch.float64, 40.0, 11))
    assert len(widths) == 2 * steps and sum(widths) == 2 * 40


def test_one_set_of_points_has_no_other_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chebyshev, "COSINES", 0)
    t = 0.9 * chebyshev_nodes(30)
    expected = torch.cos(torch.arange(12).double()[:, None] * torch.acos(t)).sum(-1)
    assert_close(chebyshev_moments(t, 12), expected, rounding(torch.float64, 30.0, 14))


@pytest.mark.parametrize("half", [0.0, 0.01, 0.3, 1.0, 2.4, 2.5, 7.0])
def test_windows_hold_every_interval_of_their_half_width(half: float) -> None:
    """Wherever it lies in [-1, 4], and none of them reaches out; they are wider by a sixteenth of what is left."""
    centres, wide = windows(-1.0, 4.0, half)
    slack = rounding(torch.float64, 4.0, 8)
    for centre in torch.linspace(-1 + min(half, 2.5), 4 - min(half, 2.5), 101, dtype=torch.float64).tolist():
        assert bool(((centres - centre).abs() + min(half, 2.5) <= wide + slack).any())
    assert float(centres.min()) - wide >= -1 - slack and float(centres.max()) + wide <= 4 + slack
    assert_close(wide, min(2.5, half + (2.5 - half) / 16), slack)
    assert len(centres) == (1 if half >= 2.5 else 16) and centres.dtype == torch.float64


def test_a_short_interval_takes_fewer_nodes_wherever_it_lies() -> None:
    """1 / (1 + 25 (t - 0.8)^2), which is no polynomial near 0.8 alone: what is left there is what is said to be."""
    like = torch.zeros(1, dtype=torch.float64)

    def h(t: torch.Tensor) -> torch.Tensor:
        return 1 / (1 + 25 * (t - 0.8) ** 2)

    counts = []
    for half in (0.05, 0.2, 1.0):
        n, tail = nodes_for(h, -1.0, 1.0, half, 1e-8, like)
        counts.append(n)
        t = torch.linspace(-half, half, 301, dtype=torch.float64)
        for centre in torch.linspace(half - 1, 1 - half, 41, dtype=torch.float64).tolist():
            values = h(centre + half * chebyshev_nodes(n))
            fitted = values @ interpolation_weights(n, n).T @ chebyshev.chebyshev(t / half, n)
            # the interpolant is off by no more than twice what the coefficients beyond add up to, and rounding
            assert float((fitted - h(centre + t)).abs().max()) <= 2 * tail + rounding(torch.float64, 1.0, n**2)
        assert tail <= 1e-8
    assert counts[0] < counts[1] < counts[2]


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
    few, tail = nodes_for(torch.exp, -1.0, 1.0, 1.0, 1e-12, like)
    many, _ = nodes_for(torch.exp, -10.0, 10.0, 10.0, 1e-12, like)
    assert few < many and 0 < tail <= 1e-12 * 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_function_is_taken_in_its_own_precision(dtype: torch.dtype) -> None:
    seen = set()
    nodes_for(lambda t: (seen.add(t.dtype), t.exp())[1], -1.0, 1.0, 1.0, 1e-3, torch.zeros(1, dtype=dtype))
    assert seen == {dtype}


@pytest.mark.parametrize("degree", [1, 5, 63, 64, 100, 180])
@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (2.0, 5.0)])
def test_a_chebyshev_polynomial_needs_one_node_more_than_its_degree(degree: int, low: float, high: float) -> None:
    """T_k on [low, high], whatever its size; what is left is the rounding of its arguments, k^2 eps at the ends."""
    like = torch.zeros(1, dtype=torch.float64)

    def h(t: torch.Tensor) -> torch.Tensor:
        return 1e3 * torch.cos(degree * torch.acos(((2 * t - low - high) / (high - low)).clamp(-1, 1)))

    n, tail = nodes_for(h, low, high, high - low, 1e-6, like)
    assert n == degree + 1
    assert 0 < tail <= 1e-6 * 1e3


def test_no_more_than_a_thousand_nodes_are_tried() -> None:
    """Twice as many as are taken: 1 / (1 + a^2 t^2) has coefficients that fall as exp(-k asinh(1/a))."""
    like = torch.zeros(1, dtype=torch.float64)
    n, tail = nodes_for(lambda t: 1 / (1 + (30 * t) ** 2), -1.0, 1.0, 1.0, 1e-6, like)
    assert 256 < n <= 512 and 0 < tail <= 1e-6
    with pytest.raises(ToleranceError, match=r"not a polynomial to 1e-06 on \[-1, 1\].* with 1024 nodes"):
        nodes_for(lambda t: 1 / (1 + (60 * t) ** 2), -1.0, 1.0, 1.0, 1e-6, like)


def test_what_the_nodes_leave_out_is_the_sum_of_the_coefficients() -> None:
    """T_3 + 1e-8 (T_6 - T_7), of size 1, to 1e-7 and to 1e-9; a constant has two nodes."""
    like = torch.zeros(1, dtype=torch.float64)

    def h(t: torch.Tensor) -> torch.Tensor:
        return torch.cos(3 * t.acos()) + 1e-8 * (torch.cos(6 * t.acos()) - torch.cos(7 * t.acos()))

    (few, tail), (many, rest) = (nodes_for(h, -1.0, 1.0, 1.0, rtol, like) for rtol in (1e-7, 1e-9))
    assert (few, many) == (4, 8)
    assert_close(tail, 2e-8, rounding(torch.float64, 1.0, 1024))
    assert rest <= rounding(torch.float64, 1.0, 1024)
    assert nodes_for(torch.ones_like, -1.0, 1.0, 1.0, 1e-12, like)[0] == 2


def test_points_that_round_past_the_ends_are_at_the_ends() -> None:
    """T_k(1) = 1, T_k(-1) = (-1)^k."""
    t = torch.tensor([1 + 4e-16, -1 - 4e-16], dtype=torch.float64)
    assert_close(chebyshev_moments(t, 4), [2, 0, 2, 0], rounding(torch.float64, 1.0, 4))
