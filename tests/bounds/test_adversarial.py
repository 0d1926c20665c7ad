"""The second-order adversarial loss against a dense search, the exact one for linear models, Theta and homogeneity."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import pytest
import sympy as sp
import torch
from torch import Tensor, nn

from msda_theory.bounds import adversarial_loss_linear, adversarial_taylor, in_theta, require_homogeneous
from msda_theory.losses import Logistic, Loss, Poisson, SoftmaxCrossEntropy, Squared
from tests.helpers import TanhNetwork, assert_close, inputs, relu_network
from verify.tolerances import rounding

DIRECTIONS = 4000
#: the nearest of the directions is off by at most pi/DIRECTIONS, and cos falls by half its square
LOST = (math.pi / DIRECTIONS) ** 2
X = inputs(6, 2, seed=3)
Y = torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
NETWORK = relu_network(1)
WEIGHT, BIAS = torch.tensor([1.5, -0.7], dtype=torch.float64), 0.3
RADII = torch.tensor([0.1, 0.3, 0.7, 0.02, 1.1, 0.4], dtype=torch.float64)
SINGLE = (Logistic(), Squared(), Poisson())
every_loss = pytest.mark.parametrize("loss", SINGLE, ids=repr)


def circle() -> Tensor:
    angles = torch.arange(DIRECTIONS, dtype=torch.float64) * (2 * math.pi / DIRECTIONS)
    return torch.stack([angles.cos(), angles.sin()], 1)


def slope_by_differences(model: Callable[[Tensor], Tensor], x: Tensor, step: float = 1e-6) -> Tensor:
    """f is affine near every sample, so a difference is its slope, to rounding."""
    moves = step * torch.eye(2, dtype=x.dtype)
    return torch.cat([(model(x + move) - model(x - move)) / (2 * step) for move in moves], 1).detach()


@every_loss
def test_taylor_is_the_largest_value_of_the_second_order_expansion_on_the_ball(loss: Loss) -> None:
    f, slope = NETWORK(X).detach(), slope_by_differences(NETWORK, X)
    labels = Y.unsqueeze(-1)
    sizes = RADII[:, None, None] * torch.linspace(0, 1, 11, dtype=torch.float64)[:, None]
    moved = torch.einsum("md,kd->mk", slope, circle()).unsqueeze(1) * sizes
    value = loss(f, labels)[:, None, None] + (loss.h1(f) - labels).unsqueeze(-1) * moved + loss.h2(f) * moved**2 / 2
    largest = value.flatten(1).amax(1)
    found = adversarial_taylor(NETWORK, X, Y, RADII, loss)
    gain = (largest - loss(f, labels)).abs()
    assert_close(found, largest, LOST * gain + 1e-8 * (1 + gain), "l~_adv")  # differences round to eps / step


def test_one_sample_is_enough() -> None:
    """Nothing is mixed, and each sample's loss is its own."""
    for loss_of in (
        lambda some: adversarial_taylor(NETWORK, X[some], Y[some], RADII[some]),
        lambda some: adversarial_loss_linear(WEIGHT, X[some], Y[some], 0.3, bias=BIAS),
    ):
        assert_close(loss_of(slice(0, 1)), loss_of(slice(0, 6))[:1], rounding(torch.float64, 1.0, 100))


def test_taylor_is_the_series_of_the_loss_along_the_attack() -> None:
    eta, f, size = sp.symbols("eta f size", positive=True)
    at = {f: sp.Rational(3, 7), size: sp.Rational(5, 4)}
    weight = torch.tensor([0.75, -1.0], dtype=torch.float64)  # of norm 5/4
    x = torch.tensor([[4.0, 3.0], [0.0, 0.0]], dtype=torch.float64)
    for y in (0, 1):
        loss = sp.log(1 + sp.exp(f)) - y * f
        series = sum(sp.diff(loss, f, k) * ((1 - 2 * y) * eta * size) ** k / sp.factorial(k) for k in range(3))
        expected = float(series.subs(at).subs(eta, sp.Rational(1, 3)))
        found = adversarial_taylor(lambda v: v @ weight + 3 / 7, x, torch.full((2,), float(y)), 1 / 3)
        assert_close(found, [expected] * 2, rounding(torch.float64, 2.0, 20), f"class {y}")


def test_printed_has_the_dimension_in_its_last_term() -> None:
    x, y = inputs(5, 2, 3), torch.tensor([0, 1, 1, 0, 1])
    weight = torch.linspace(-1, 1, 6, dtype=torch.float64)

    def model(v: Tensor) -> Tensor:
        return v.flatten(1) @ weight

    derived, printed = (adversarial_taylor(model, x, y, 0.5, as_printed=flag) for flag in (False, True))
    for i, sample in enumerate(x):
        g = 1 / (1 + math.exp(-float(weight @ sample.flatten())))
        last = 0.5**2 / 2 * g * (1 - g) * float(weight @ weight)
        assert_close(printed[i] - derived[i], 5 * last, rounding(torch.float64, 4.0, 40), f"sample {i}")


def attacked(loss: Loss, moves: Tensor) -> Tensor:
    """The largest loss over the moves (k, d), scaled by the radius of each sample."""
    points = X.unsqueeze(1) + RADII[:, None, None] * moves
    f = (points @ WEIGHT + BIAS).flatten().unsqueeze(-1)
    return loss(f, Y.repeat_interleave(len(moves)).unsqueeze(-1)).reshape(len(X), -1).amax(1)


@every_loss
@pytest.mark.parametrize("norm", [2, math.inf])
def test_linear_is_the_largest_loss_on_the_ball(loss: Loss, norm: float) -> None:
    found = adversarial_loss_linear(WEIGHT, X, Y, RADII, loss, bias=BIAS, norm=norm)
    corners = torch.tensor(list(product((-1.0, 1.0), repeat=2)), dtype=torch.float64)
    best = attacked(loss, circle() if norm == 2 else corners)
    inner = torch.cat([circle() * t if norm == 2 else circle().clamp(-0.6, 0.6) * t for t in (0.2, 0.5, 0.9)])
    slack = rounding(torch.float64, float(found.abs().max()) + 1, 40)
    # the loss at a maximum on a circle falls by at most its slope times the loss of length in the nearest direction
    f = X @ WEIGHT + BIAS
    steepest = loss.h1((f.abs() + RADII * WEIGHT.norm()).unsqueeze(-1)).squeeze(-1).abs() + 1
    assert_close(found, best, slack + (norm == 2) * LOST * steepest * RADII * WEIGHT.norm(), "maximum")
    assert (attacked(loss, inner) <= found + slack).all()


def test_linear_is_above_its_expansion_only_to_third_order() -> None:
    gaps = []
    for radius in (1e-2, 2e-2):
        exact = adversarial_loss_linear(WEIGHT, X, Y, radius, bias=BIAS)
        gaps.append((exact - adversarial_taylor(lambda v: v @ WEIGHT + BIAS, X, Y, radius)).abs())
    assert_close(torch.log2(gaps[1] / gaps[0]), torch.full((6,), 3.0), 0.1, "order")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_keep_the_dtype_and_leave_the_arguments(dtype: torch.dtype) -> None:
    x, y, radius, weight = X.to(dtype), Y.to(dtype), RADII.to(dtype), WEIGHT.to(dtype)
    model = relu_network(1).to(dtype)
    given = [v.clone() for v in (x, y, radius, weight)]
    found = adversarial_taylor(model, x, y, radius)
    exact = adversarial_loss_linear(weight, x, y.unsqueeze(-1), radius)
    assert found.dtype == exact.dtype == dtype and found.shape == exact.shape == (6,)
    assert in_theta(model, x, y).dtype == torch.bool
    assert all(torch.equal(a, b) for a, b in zip(given, (x, y, radius, weight), strict=True))
    reference = adversarial_taylor(NETWORK, X, Y, RADII).detach()
    assert_close(found, reference, rounding(dtype, float(reference.abs().max()), 100))


def test_the_dtype_is_that_of_x_whatever_the_weights() -> None:
    found = adversarial_loss_linear(WEIGHT, X.float(), Y, RADII)
    reference = adversarial_loss_linear(WEIGHT, X, Y, RADII, bias=0.0)
    assert found.dtype == torch.float32
    assert_close(found, reference, rounding(torch.float32, float(reference.abs().max()) + 1, 40))


def test_the_ball_is_where_x_is() -> None:
    """And not on the default device, which here holds no numbers."""
    with torch.device("meta"):
        found = adversarial_loss_linear(WEIGHT, X, Y, 0.3)
    assert torch.equal(found, adversarial_loss_linear(WEIGHT, X, Y, 0.3))


def test_taylor_has_a_gradient_in_the_parameters() -> None:
    model = relu_network(2)
    adversarial_taylor(model, X, Y, 0.1).mean().backward()
    first = next(model.parameters()).grad
    assert first is not None and bool(first.any())


def test_theta_asks_for_the_right_side_of_zero() -> None:
    f = torch.tensor([-2.0, -2.0, 0.0, 0.0, 3.0, 3.0], dtype=torch.float64)
    found = in_theta(lambda v: v[:, 0], f.unsqueeze(-1), torch.tensor([0, 1, 0, 1, 0, 1]))
    assert found.tolist() == [True, False, True, True, False, True]


def homogeneous_networks() -> list[nn.Module]:
    torch.manual_seed(0)
    relu = nn.Sequential(nn.Linear(64, 300, bias=False), nn.ReLU(), nn.Linear(300, 1, bias=False))
    leaky = nn.Sequential(nn.Linear(64, 9, bias=False), nn.LeakyReLU(0.1), nn.Linear(9, 1, bias=False))
    conv, flat = nn.Conv2d(1, 3, 3, bias=False), nn.Linear(27, 1, bias=False)
    pooled = nn.Sequential(nn.Unflatten(1, (1, 8, 8)), conv, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), flat)
    return [relu, leaky, pooled, nn.Linear(64, 1, bias=False)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("index", range(4))
def test_homogeneous_networks_are_let_through(index: int, dtype: torch.dtype) -> None:
    require_homogeneous(homogeneous_networks()[index].to(dtype), inputs(20, 64).to(dtype))


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e9])
def test_homogeneous_networks_are_let_through_at_any_scale(scale: float) -> None:
    for network in homogeneous_networks():
        require_homogeneous(network.double(), scale * inputs(5, 64))


def test_a_bias_is_seen_beside_larger_samples() -> None:
    """f - grad f . x = 1 at both samples, below the rounding of 1e20 at the first."""
    x = torch.tensor([[1e20, 0.0], [1.0, 2.0]], dtype=torch.float64)
    with pytest.raises(ValueError, match=r"f = 4 and grad f . x = 3 at sample 1;"):
        require_homogeneous(shifted, x)


def test_a_function_that_is_not_homogeneous_is_named() -> None:
    with pytest.raises(ValueError, match="model: shifted has f = "):
        require_homogeneous(shifted, X)


def shifted(v: Tensor) -> Tensor:
    return v.sum(1) + 1


def with_bias(size: float) -> nn.Module:
    network = nn.Linear(2, 1).double()
    nn.init.constant_(network.bias, size)
    return network


@pytest.mark.parametrize("network", [with_bias(1.0), with_bias(1e-8), NETWORK, TanhNetwork((2,))], ids=repr)
def test_a_network_that_is_not_homogeneous_is_named(network: nn.Module) -> None:
    with pytest.raises(ValueError, match=f"model: {type(network).__name__} has f = .*positively homogeneous"):
        require_homogeneous(network, X)


@pytest.mark.parametrize(
    ("radius", "said"),
    [
        (0, "radius=0: needed is a finite number > 0"),
        (-0.1, "radius=-0.1"),
        (math.nan, "radius=nan"),
        (math.inf, "radius=inf"),
        (torch.tensor([0.0, 0.1, -0.2, 0.1, -0.3, 0.1]), r"radius\[2\] = -0.2"),
        (torch.ones(3), r"radius has shape \(3,\)"),
    ],
)
def test_a_radius_that_is_none_is_refused(radius: float | Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        adversarial_taylor(NETWORK, X, Y, radius)
    with pytest.raises(ValueError, match=said):
        adversarial_loss_linear(WEIGHT, X, Y, radius)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="model: it has 3 outputs"):
        adversarial_taylor(nn.Linear(2, 3).double(), X, Y, 0.1)
    with pytest.raises(ValueError, match=r"y lies in \[0, 2\]"):
        adversarial_taylor(NETWORK, X, 2 * Y, 0.1)
    with pytest.raises(ValueError, match=r"y\[0\] = 0.5: needed are labels 0 and 1"):
        in_theta(NETWORK, X, Y / 2 + 0.5)
    with pytest.raises(ValueError, match=r"weight has shape \(3,\): needed is \(2,\)"):
        adversarial_loss_linear(torch.ones(3), X, Y, 0.1)
    with pytest.raises(ValueError, match="norm=1: needed is 2 or inf"):
        adversarial_loss_linear(WEIGHT, X, Y, 0.1, norm=1)
    with pytest.raises(TypeError, match="loss is 'logistic': needed is a Loss"):
        adversarial_taylor(NETWORK, X, Y, 0.1, "logistic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs K >= 2 outputs"):
        adversarial_taylor(NETWORK, X, Y, 0.1, SoftmaxCrossEntropy())
    with pytest.raises(ValueError, match="is in train mode"):
        require_homogeneous(nn.Sequential(nn.Dropout(), nn.Linear(2, 1)).double(), X)
