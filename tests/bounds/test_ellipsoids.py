"""Support functions of ellipsoids, intersections and unions, against scipy's constrained maximiser and closed forms."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from msda_theory.bounds import Ball, Body, Ellipsoid, Intersection, Maximum, Union
from verify.tolerances import rounding

P = 4
#: SLSQP stops at a relative change of 1e-14; its points are then feasible and optimal to about the root of that
SLSQP = 1e-7
EPS = torch.finfo(torch.float64).eps


def matrix(rank: int, seed: int, size: int = P) -> torch.Tensor:
    z = torch.randn(size, rank, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return z @ z.mT


def rows(count: int, seed: int = 7, size: int = P) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive_support(ellipsoids: list[Ellipsoid], u: np.ndarray) -> float:
    """max u . theta under theta^T A theta <= gamma, from three starts."""
    constraints = [
        {
            "type": "ineq",
            "fun": lambda t, e=e: e.gamma - t @ e.matrix.numpy() @ t,
            "jac": lambda t, e=e: -2 * e.matrix.numpy() @ t,
        }
        for e in ellipsoids
    ]
    starts = [0.1 * np.random.default_rng(s).normal(size=len(u)) for s in range(3)]
    options = {"ftol": 1e-14, "maxiter": 500}
    found = [
        minimize(lambda t: -u @ t, s, jac=lambda t: -u, method="SLSQP", constraints=constraints, options=options)
        for s in starts
    ]
    return max(-f.fun for f in found)


@pytest.mark.parametrize("ranks", [(4,), (4, 4), (4, 2), (2, 2), (4, 2, 3), (2, 1, 4, 3)])
def test_suprema_agree_with_a_constrained_maximiser(ranks: tuple[int, ...]) -> None:
    ellipsoids = [Ellipsoid(matrix(r, 10 + k), 0.5 + k) for k, r in enumerate(ranks)]
    u = rows(4)
    found = Intersection(ellipsoids).maximum(u)
    naive = torch.tensor([naive_support(ellipsoids, row) for row in u.numpy()])
    torch.testing.assert_close(found.value, naive, rtol=SLSQP, atol=0)


@pytest.mark.parametrize("ranks", [(4,), (4, 4), (4, 2), (2, 2), (4, 2, 3)])
def test_the_point_is_feasible_and_the_gap_is_what_it_misses(ranks: tuple[int, ...]) -> None:
    ellipsoids = [Ellipsoid(matrix(r, 20 + k), 0.5 + k) for k, r in enumerate(ranks)]
    u = rows(30)
    found = Intersection(ellipsoids).maximum(u)
    for e in ellipsoids:
        assert float(((found.at @ e.matrix) * found.at).sum(-1).max()) <= e.gamma * (1 + 1e4 * EPS)
    torch.testing.assert_close((u * found.at).sum(-1), found.value - found.gap, rtol=1e4 * EPS, atol=0)
    exact = len(ranks) < 3  # else the weights keep a distance of sqrt(eps) from the simplex's border
    assert float((found.gap / found.value).max()) <= (1e4 * EPS if exact else 1e4 * math.sqrt(EPS))


def test_an_ellipsoid_in_closed_form() -> None:
    a, u = matrix(P, 1), rows(9)
    expected = (2.5 * (u * torch.linalg.solve(a, u.mT).mT).sum(-1)).sqrt()
    torch.testing.assert_close(Ellipsoid(a, 2.5).support(u), expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(Ball(2.5, P).support(u), 2.5**0.5 * u.norm(dim=-1))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_singular_matrix_is_infinite_off_its_range_and_right_on_it(rank: int) -> None:
    a = matrix(rank, 3)
    ellipsoid = Ellipsoid(a, 1.0)
    assert ellipsoid.rank == rank
    inside = rows(5) @ a
    expected = (inside @ torch.linalg.pinv(a, hermitian=True) * inside).sum(-1).sqrt()
    torch.testing.assert_close(ellipsoid.support(inside), expected, rtol=1e-9, atol=0)
    found = ellipsoid.maximum(rows(5))
    assert bool(torch.isinf(found.value).all()) and bool(found.at.isnan().all()) and not bool(found.gap.any())


def test_a_short_axis_of_the_range_is_in_it() -> None:
    """A = 1, 1e-9 and 0 in a turned basis, rounded: eps / 1e-9 is how far the axes, and the values, may be off."""
    axes = torch.linalg.qr(rows(3, size=3)).Q.mT
    ellipsoid = Ellipsoid(axes.mT @ torch.diag(torch.tensor([1, 1e-9, 0], dtype=torch.float64)) @ axes, 1.0)
    found = ellipsoid.support(axes)
    torch.testing.assert_close(found, torch.tensor([1, 1e9**0.5, torch.inf], dtype=torch.float64), rtol=1e-5, atol=0)


def test_a_row_leaves_the_range_whatever_the_others() -> None:
    flat = Ellipsoid(torch.diag(torch.tensor([4.0, 1.0, 0.0], dtype=torch.float64)), 1.0)
    u = torch.tensor([[1e20, 0.0, 0.0], [0.0, 0.0, 1e-20], [0.0, 0.0, 0.0]], dtype=torch.float64)
    assert flat.support(u).tolist() == [0.5e20, math.inf, 0.0]


def test_a_matrix_of_zeros_bounds_nothing() -> None:
    whole = Ellipsoid(torch.zeros(2, 2, dtype=torch.float64), 1.0)
    assert whole.rank == 0
    assert whole.support(torch.tensor([[0.0, 1.0], [0.0, 0.0]], dtype=torch.float64)).tolist() == [math.inf, 0.0]


def test_an_intersection_is_infinite_only_where_all_ellipsoids_are() -> None:
    flat = [Ellipsoid(torch.diag(torch.tensor(d, dtype=torch.float64)), 1.0) for d in ([1, 0, 0, 0], [0, 4, 0, 0])]
    u = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [3, 4, 0, 0], [0, 0, 1, 0]], dtype=torch.float64)
    expected = torch.tensor([1, 0.5, 5, torch.inf], dtype=torch.float64)
    torch.testing.assert_close(Intersection(flat).support(u), expected)
    assert bool(torch.isinf(Union(flat).support(u)[[0, 1, 2, 3]]).all())


@pytest.mark.parametrize("count", [1, 2, 3])
def test_suprema_grow_with_the_length_of_u_from_zero_on(count: int) -> None:
    both = Intersection([Ellipsoid(matrix(P, 30 + k), 1.0) for k in range(count)])
    found = both.maximum(torch.zeros(2, P, dtype=torch.float64))
    assert not bool(found.value.any()) and not bool(found.at.any()) and not bool(found.gap.any())
    u = rows(6)
    balls = Intersection([Ball(float(count), P)] * count)
    torch.testing.assert_close(balls.support(torch.eye(P).double()), torch.full((P,), count**0.5, dtype=torch.float64))
    for length in (1e-9, 1e9):
        torch.testing.assert_close(both.support(length * u) / length, both.support(u), rtol=1e-9, atol=0)


def test_a_redundant_ellipsoid_changes_nothing() -> None:
    u, small = rows(6), Ellipsoid(matrix(P, 5), 1.0)
    wide = Ellipsoid(0.01 * small.matrix, 1.0)
    for pair in ([small, wide], [wide, small], [small, small]):
        torch.testing.assert_close(Intersection(pair).support(u), small.support(u), rtol=1e3 * EPS, atol=0)


def test_a_union_is_the_larger_and_an_intersection_at_most_the_smaller() -> None:
    bodies = [Ellipsoid(matrix(P, 6), 1.0), Ellipsoid(matrix(P, 8), 1.0)]
    u = rows(20)
    supports = torch.stack([b.support(u) for b in bodies])
    both = Union([Intersection(bodies), *bodies]).maximum(u)
    torch.testing.assert_close(both.value, supports.amax(0))
    torch.testing.assert_close((u * both.at).sum(-1), both.value)
    assert bool((Intersection(bodies).support(u) < supports.amin(0)).all())


class Enclosed(Body):
    """A set in R of which a supremum is known to lie in [value - gap, value]."""

    def __init__(self, value: float, gap: float) -> None:
        self.value, self.gap = value, gap

    @property
    def dimension(self) -> int:
        return 1

    def _maximum(self, u: torch.Tensor) -> Maximum:
        return Maximum(self.value * u[:, 0], (self.value - self.gap) * u, self.gap * u[:, 0])


def test_a_union_has_the_largest_bound_and_the_best_point() -> None:
    """Of a supremum in [1, 2] and one in [1.5, 1.75]: all that is known is [1.5, 2]."""
    found = Union([Enclosed(2.0, 1.0), Enclosed(1.75, 0.25)]).maximum(torch.ones(2, 1))
    assert found.value.tolist() == [2, 2] and found.at.tolist() == [[1.5], [1.5]] and found.gap.tolist() == [0.5, 0.5]
    union, u = Union([Ball(1.0, P), Ball(2.0, P)]), rows(3)
    with torch.device("meta"):  # the default, on which there are no numbers
        at = union.maximum(u).at
    assert torch.equal(at, union.maximum(u).at)
    assert Union([Enclosed(math.inf, 0.0), Enclosed(1.0, 0.0)]).maximum(torch.ones(1, 1)).gap.tolist() == [0]


def test_expected_square_is_the_mean_of_squared_supports() -> None:
    points, ellipsoid = rows(50), Ellipsoid(matrix(P, 4), 1.5)
    mean = float(ellipsoid.support(points).square().mean())
    assert ellipsoid.expected_square(points.mT @ points / 50) == pytest.approx(mean, rel=1e-10)
    assert Ellipsoid(matrix(2, 4), 1.0).expected_square(matrix(P, 5)) == math.inf
    on_range = matrix(2, 4)
    assert Ellipsoid(on_range, 3.0).expected_square(on_range) == pytest.approx(3 * 2, rel=1e-10)
    single = ellipsoid.expected_square((points.mT @ points / 50).float())
    assert single == pytest.approx(mean, rel=rounding(torch.float32, float(torch.linalg.cond(ellipsoid.matrix)), 50))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_and_leading_axes_are_the_callers(dtype: torch.dtype) -> None:
    bodies = [Ellipsoid(matrix(P, 1), 1.0), Ball(0.3, P)]
    u = rows(6).reshape(2, 3, P)
    three = Intersection([*bodies, Ellipsoid(matrix(P, 2), 1.0)])
    for body in (bodies[0], Intersection(bodies), three, Union(bodies)):
        found = body.maximum(u.to(dtype))
        assert found.value.dtype == found.at.dtype == found.gap.dtype == dtype
        assert found.value.shape == found.gap.shape == (2, 3) and found.at.shape == u.shape
        conditioning = float(torch.linalg.cond(bodies[0].matrix))
        slack = rounding(dtype, 1.0, 64) * conditioning
        torch.testing.assert_close(found.value.double(), body.support(u), rtol=slack, atol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_is_the_callers() -> None:
    bodies = [Ellipsoid(matrix(P, 1), 1.0), Ball(0.3, P), Ellipsoid(matrix(2, 2), 1.0)]
    u = rows(6)
    for body in (bodies[0], Intersection(bodies[:2]), Intersection(bodies), Union(bodies[:2])):
        found = body.maximum(u.cuda())
        assert found.value.is_cuda and found.at.is_cuda and found.gap.is_cuda
        torch.testing.assert_close(found.value.cpu(), body.support(u), rtol=1e-9, atol=0)


def test_bad_input_is_named() -> None:
    a = matrix(P, 1)
    with pytest.raises(ValueError, match=r"gamma=0.*> 0"):
        Ellipsoid(a, 0)
    with pytest.raises(ValueError, match=r"matrix has the eigenvalue -.*positive semidefinite"):
        Ellipsoid(-a, 1.0)
    with pytest.raises(ValueError, match="matrix differs from its transpose"):
        Ellipsoid(a.triu(), 1.0)
    with pytest.raises(ValueError, match=r"matrix has shape \(4, 3\)"):
        Ellipsoid(a[:, :3], 1.0)
    with pytest.raises(ValueError, match=r"matrix has shape \(2, 2\), torch.int64: needed is a floating"):
        Ellipsoid(torch.eye(2, dtype=torch.int64), 1.0)
    with pytest.raises(ValueError, match="matrix has 1 entry that is NaN"):
        Ellipsoid(torch.tensor([[math.nan]]), 1.0)
    with pytest.raises(ValueError, match=r"u has shape \(2, 3\).*\(\.\.\., 4\)"):
        Ball(1.0, P).support(torch.ones(2, 3))
    with pytest.raises(ValueError, match=r"ellipsoids\[1\] has dimension 3"):
        Intersection([Ball(1.0, P), Ball(1.0, 3)])
    with pytest.raises(ValueError, match="bodies is empty"):
        Union([])
    with pytest.raises(TypeError, match=r"ellipsoids\[0\] is .*needed is an Ellipsoid"):
        Intersection([Union([Ball(1.0, P)])])  # type: ignore[list-item]
