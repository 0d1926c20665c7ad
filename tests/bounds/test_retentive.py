"""Retentiveness against fine grids of directions, and the class of Mixup's regulariser from both sides."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from msda_theory import losses
from msda_theory.bounds import MixupClass, retentive_level, retentiveness
from msda_theory.bounds.mixup_class import BISECTIONS, RADII
from msda_theory.bounds.retentive import _unit as unit
from msda_theory.bounds.retentive import mean_curvature
from tests.helpers import assert_close
from verify.tolerances import rounding

LOSSES = [losses.Logistic(), losses.Squared(), losses.Poisson()]


def points(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def disc(radius: float, angles: int = 4001, radii: int = 60) -> torch.Tensor:
    turn = torch.linspace(0, 2 * math.pi, angles, dtype=torch.float64)
    unit = torch.stack([turn.cos(), turn.sin()], -1)
    return torch.cat([radius * k / radii * unit for k in range(1, radii + 1)])


def naive_curvature(loss: losses.Loss, outputs: np.ndarray) -> np.ndarray:
    """A'' in plain numpy."""
    second = {
        "Logistic": lambda t: 1 / (2 + np.exp(np.abs(t)) + np.exp(-np.abs(t))),
        "Squared": np.ones_like,
        "Poisson": np.exp,
    }
    return second[type(loss).__name__](outputs).mean(-1)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("clipped", [True, False])
@pytest.mark.parametrize("radius", [0.3, 2.0, 6.0])
def test_the_search_finds_the_least_ratio_of_a_fine_grid(loss: losses.Loss, clipped: bool, radius: float) -> None:
    x = points(12, 2)
    outputs = disc(radius).numpy() @ x.numpy().T
    sizes = (outputs**2).mean(-1)
    naive = (naive_curvature(loss, outputs) ** 2 / (np.minimum(1, sizes) if clipped else sizes)).min()
    found = retentiveness(x, loss, radius, clipped=clipped)
    assert naive * 0.99 <= found.rho <= naive * (1 + 1e-12)
    assert 0 < found.certified <= found.rho
    direction = found.direction.unsqueeze(0)
    size = float((direction @ x.mT).square().mean())
    reached = float(mean_curvature(x, direction, loss)) ** 2 / (min(1.0, size) if clipped else size)
    assert reached == pytest.approx(found.rho, rel=1e-12)
    assert float(found.direction.norm()) <= radius * (1 + 1e-12)


def test_one_coordinate_in_closed_form() -> None:
    """x = +-1: the logistic ratio is least at |v| = r, Poisson's cosh(v)^2 / v^2 where v tanh v = 1."""
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    logistic = retentiveness(x, losses.Logistic(), 3.0)
    expected = (1 / (2 + 2 * math.cosh(3))) ** 2
    assert logistic.rho == pytest.approx(expected, rel=1e-12) and logistic.certified == pytest.approx(
        expected, rel=1e-12
    )
    small = retentiveness(torch.tensor([[2.0], [0.0]], dtype=torch.float64), losses.Logistic(), 0.3)
    curvature = (1 / (2 + 2 * math.cosh(0.6)) + 1 / 4) / 2
    assert small.rho == pytest.approx(curvature**2 / (0.6**2 / 2), rel=1e-12)
    assert small.certified == pytest.approx(small.rho, rel=1e-12)
    v = 1.1996786402577339
    poisson = retentiveness(x, losses.Poisson(), 5.0, clipped=False)
    assert poisson.rho == pytest.approx((math.cosh(v) / v) ** 2, rel=1e-10)
    assert retentiveness(x, losses.Squared(), 0.5).rho == pytest.approx(4.0, rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("clipped", [True, False])
@pytest.mark.parametrize("radius", [0.3, 1.7])
def test_what_is_certified_by_plain_loops(loss: losses.Loss, clipped: bool, radius: float) -> None:
    """The mean of the least A'' on |t| <= r |x_i|, at one end or the other, over the largest E(v.x)^2 on the ball."""
    x = points(7, 3, 2)
    lengths = [math.sqrt(sum(float(v) ** 2 for v in row)) for row in x]
    ends = [naive_curvature(loss, np.array([[radius * s], [-radius * s]])) for s in lengths]
    least = sum(min(end) for end in ends) / len(x)
    size = radius**2 * float(np.linalg.eigvalsh(x.numpy().T @ x.numpy() / len(x)).max())
    found = retentiveness(x, loss, radius, clipped=clipped)
    expected = least**2 / (min(1, size) if clipped else size)
    assert (size < 1) == (radius < 1)
    assert expected < found.rho or isinstance(loss, losses.Squared)
    assert found.certified == pytest.approx(min(expected, found.rho), rel=1e-12)


@pytest.mark.parametrize("radius", [0.3, 2.0])
def test_two_starts_find_the_longest_axis(radius: float) -> None:
    """A'' = 1 without the min: rho = 1 / (r^2 lambda_max)."""
    for seed in range(4):
        x = points(12, 4, seed)
        largest = float(np.linalg.eigvalsh(x.numpy().T @ x.numpy() / len(x)).max())
        found = retentiveness(x, losses.Squared(), radius, clipped=False, starts=2, seed=seed)
        assert found.rho == pytest.approx(1 / (radius**2 * largest), rel=1e-12)


def test_the_seed_decides_and_the_global_generator_is_left_alone() -> None:
    x, before = points(5, 2), torch.random.get_rng_state()
    one, same, other = (retentiveness(x, losses.Poisson(), 2.0, starts=2, seed=s).direction for s in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_defaults_are_those_of_the_signature() -> None:
    x, u = points(5, 2), points(1, 2, 9)[0]
    found, said = (retentiveness(x, losses.Poisson(), 2.0, **o).direction for o in ({}, {"starts": 256, "seed": 0}))
    assert torch.equal(found, said)
    w = MixupClass(x, 0.1, 2.0, losses.Logistic())
    found, said = (w.support_below(u, **o)[1] for o in ({}, {"starts": 64, "seed": 0}))
    assert torch.equal(found, said)


def test_units_have_length_one_or_none() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 0.5]], dtype=torch.float64)
    assert_close(unit(rows), [[0.6, 0.8], [0, 0], [0, 1]], rounding(torch.float64, 1.0, 4))


def test_directions_where_the_curvature_overflows_are_left_where_they_are() -> None:
    """x = +-1, A'' = e^t: of the lengths up to 5000 the ratio is least at v tanh v = 1, and most starts overflow."""
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    found = retentiveness(x, losses.Poisson(), 5000.0, clipped=False, starts=20_000)
    v = 1.1996786402577339
    assert found.rho == pytest.approx((math.cosh(v) / v) ** 2, rel=1e-10)


def test_an_atom_at_zero_keeps_logistic_data_retentive_however_long_v() -> None:
    x = torch.tensor([[0.0], [0.0], [1.0], [-1.0]], dtype=torch.float64)
    assert retentiveness(x, losses.Logistic(), 1e3).rho == pytest.approx((2 / 4 / 4) ** 2, rel=1e-12)
    assert retentiveness(x, losses.Logistic(), 1e3, clipped=False).rho == pytest.approx(
        (2 / 16) ** 2 / (1e6 / 2), rel=1e-9
    )
    assert retentiveness(x[2:], losses.Logistic(), 30.0).rho < 1e-20


def test_levels_are_the_largest_that_the_conditions_allow() -> None:
    """s solves sqrt(rho min{1, s}) s = gamma."""
    for gamma, rho in ((0.01, 0.5), (3.0, 0.1), (0.2, 0.04)):
        s = retentive_level(gamma, rho)
        assert math.sqrt(rho * min(1.0, s)) * s == pytest.approx(gamma, rel=1e-12)
        assert retentive_level(gamma, rho, as_printed=True) >= s


def test_printed_levels_by_hand() -> None:
    """The root of gamma/rho where that is below 1, else gamma/rho itself."""
    assert retentive_level(0.01, 0.04, as_printed=True) == 0.5
    assert retentive_level(2.0, 0.5, as_printed=True) == 4.0


def naive_supremum(w: MixupClass, u: np.ndarray) -> float:
    """SLSQP from forty starts inside the ball; only feasible ends count."""
    x = w.x.numpy()

    def level(t: np.ndarray) -> float:
        outputs = x @ t
        return float(naive_curvature(w.loss, outputs[None])[0] * (outputs**2).mean())

    constraints = [
        {"type": "ineq", "fun": lambda t: w.gamma - level(t)},
        {"type": "ineq", "fun": lambda t: w.largest_norm**2 - t @ t},
    ]
    generator, best = np.random.default_rng(0), 0.0
    for _ in range(40):
        start = generator.normal(size=len(u))
        start *= w.largest_norm * generator.random() / np.linalg.norm(start)
        end = minimize(lambda t: -u @ t, start, method="SLSQP", constraints=constraints).x
        if level(end) <= w.gamma + 1e-9 and np.linalg.norm(end) <= w.largest_norm + 1e-9:
            best = max(best, float(u @ end))
    return best


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize(("gamma", "radius"), [(0.05, 3.0), (0.05, 12.0), (0.5, 1.0)])
def test_mixups_class_is_enclosed(loss: losses.Loss, gamma: float, radius: float) -> None:
    w, u = MixupClass(points(10, 3, 5), gamma, radius, loss), torch.tensor([1.0, 0.5, -0.3], dtype=torch.float64)
    below, theta = w.support_below(u)
    assert float(w.level(theta.unsqueeze(0))) <= gamma * (1 + 1e-12) and float(theta.norm()) <= radius * (1 + 1e-12)
    assert float(below) == pytest.approx(float(theta @ u), rel=1e-12)
    assert float(below) >= naive_supremum(w, u.numpy()) * (1 - 1e-6)
    assert float(below) <= float(w.enclosure.support(u)) * (1 + 1e-9)


def test_the_enclosure_is_tight_for_a_constant_curvature_and_holds_every_point() -> None:
    x, u = points(10, 3, 6), points(1, 3, 7)[0]
    w = MixupClass(x, 0.1, 5.0, losses.Squared())
    assert float(w.support_below(u)[0]) == pytest.approx(float(w.enclosure.support(u)), rel=1e-9)
    w = MixupClass(x, 0.05, 2.0, losses.Logistic())
    theta = 0.5 * points(20000, 3, 8)
    inside = theta[(w.level(theta) <= w.gamma) & (theta.norm(dim=-1) <= w.largest_norm)]
    assert len(inside) > 100
    for e in w.enclosure.ellipsoids:
        assert float(((inside @ e.matrix) * inside).sum(-1).max()) <= e.gamma * (1 + 1e-12)


def test_a_long_theta_is_in_the_logistic_class() -> None:
    """A'' falls faster than theta^2 grows: without a bound on theta the class is not bounded."""
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    w = MixupClass(x, 0.05, 50.0, losses.Logistic())
    below, _ = w.support_below(torch.ones(1, dtype=torch.float64))
    assert float(below) == pytest.approx(50.0, rel=1e-12)
    assert float(w.enclosure.support(torch.ones(1, dtype=torch.float64))) == pytest.approx(50.0, rel=1e-12)
    near = MixupClass(x, 0.05, 1.0, losses.Logistic()).support_below(torch.ones(1, dtype=torch.float64))[0]
    assert float(near) < 0.6


def test_the_radius_is_where_the_level_is_reached() -> None:
    """x = +-1, l = f^2/2: t^2 <= gamma, t <= largest_norm; along no direction at all the ball is its only bound."""
    x = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    along = torch.tensor([[1.0], [-1.0], [0.0]], dtype=torch.float64)
    for gamma, largest, expected in ((0.04, 3.0, 0.2), (4.0, 1.5, 1.5), (2.25, 1.5, 1.5)):
        found = MixupClass(x, gamma, largest, losses.Squared()).radius(along)
        cell = largest / RADII / 2**BISECTIONS
        assert_close(found, [expected, expected, largest], cell + rounding(torch.float64, largest, 8))
        assert gamma < 1 or found[0] == largest, "a ball within the class"
    assert MixupClass(x, 0.25, 64.0, losses.Squared()).radius(along)[0] == 0.5, "a border that bisection meets"


def test_tangents_are_at_right_angles_to_the_border() -> None:
    """To the ball's on the ball, to the level's, along Sigma theta, within; at 0 there is none."""
    x, u = points(6, 3, 4), points(1, 3, 9)[0]
    w, unit_u = MixupClass(x, 0.1, 2.0, losses.Squared()), u / u.norm()
    within = points(1, 3, 5)[0]
    within = within / within.norm()
    normals = torch.stack([within, x.mT @ x @ within, torch.zeros(3, dtype=torch.float64)])
    found = w._tangent(torch.stack([2 * within, within, 0 * within]), u)
    square = normals.square().sum(1).where(normals.any(1), 1.0)
    expected = unit_u - (normals @ unit_u / square).unsqueeze(1) * normals
    assert_close(found, expected, rounding(torch.float64, 1.0, 32))


def test_the_radius_is_found_where_x_is() -> None:
    """And not on the default device, which here holds no numbers."""
    w, along = MixupClass(points(6, 2), 0.1, 2.0, losses.Logistic()), torch.eye(2, dtype=torch.float64)
    with torch.device("meta"):
        found = w.radius(along)
    assert torch.equal(found, w.radius(along))


def test_nothing_is_gained_along_zero() -> None:
    below, theta = MixupClass(points(4, 2), 0.1, 2.0, losses.Logistic()).support_below(torch.zeros(2).double())
    assert float(below) == 0 and not bool(theta.any())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("gamma", "radius"), [(0.1, 5.0), (4.0, 0.5)], ids=["ellipsoid", "ball"])
@pytest.mark.parametrize("length", [1e-3, 1.0, 1e3])
def test_one_start_finds_the_supremum_of_a_convex_class(seed: int, gamma: float, radius: float, length: float) -> None:
    """A'' = 1, and one of the two bodies lies in the other: the support function of the smaller one."""
    x, u = points(10, 3, seed), length * points(1, 3, 50 + seed)[0]
    sigma = x.mT @ x / len(x)
    ends = math.sqrt(gamma * float(u @ torch.linalg.solve(sigma, u))), radius * float(u.norm())
    below, _ = MixupClass(x, gamma, radius, losses.Squared()).support_below(u, starts=1, seed=seed)
    assert float(below) == pytest.approx(min(ends), rel=1e-9)


def test_the_search_within_the_class_is_the_seeds() -> None:
    w, u, before = (
        MixupClass(points(6, 3), 0.1, 2.0, losses.Logistic()),
        points(1, 3, 9)[0],
        torch.random.get_rng_state(),
    )
    one, same, other = (w.support_below(u, starts=2, seed=s)[1] for s in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_bad_input_is_named() -> None:
    x = points(4, 2)
    with pytest.raises(ValueError, match=r"largest_norm=-1.*> 0"):
        retentiveness(x, losses.Logistic(), -1.0)
    with pytest.raises(ValueError, match="x is zero throughout"):
        retentiveness(0 * x, losses.Logistic(), 1.0)
    with pytest.raises(ValueError, match=r"x has shape \(4,\)"):
        retentiveness(x[:, 0], losses.Logistic(), 1.0)
    with pytest.raises(ValueError, match="rho=0"):
        retentive_level(1.0, 0.0)
    with pytest.raises(ValueError, match="gamma=nan"):
        MixupClass(x, math.nan, 1.0, losses.Logistic())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_is_the_callers(dtype: torch.dtype) -> None:
    x = points(8, 2).to(dtype)
    assert retentiveness(x, losses.Logistic(), 2.0).direction.dtype == dtype
    below, theta = MixupClass(x, 0.1, 2.0, losses.Logistic()).support_below(torch.ones(2, dtype=dtype))
    assert below.dtype == theta.dtype == dtype
