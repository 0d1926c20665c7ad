"""Certificates against closed forms, grids and exact maxima in the plane, attacks, and an enclosure by hand."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from msda_theory.bounds import adversarial_loss_linear, certified_adversarial, projected_gradient
from msda_theory.losses import Logistic, Loss, Poisson, Squared
from tests.helpers import assert_close, inputs, relu_network
from verify.disc_attack import worst_points
from verify.tolerances import rounding

M, INF = 6, math.inf
X, Y = inputs(M, 2, seed=3), torch.tensor([0.0, 1.0, 1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
RADII = torch.tensor([0.1, 0.3, 0.7, 0.02, 1.1, 0.4], dtype=torch.float64)
SLACK = rounding(torch.float64, 100.0, 100)
every_norm = pytest.mark.parametrize("norm", [2, INF])


def drawn(network: nn.Sequential, seed: int = 0) -> nn.Sequential:
    """Normal parameters, divided by the root of the number of inputs, so that no layer grows."""
    generator = torch.Generator().manual_seed(seed)
    for p in network.double().parameters():
        p.data = torch.randn(p.shape, generator=generator, dtype=torch.float64) / p.shape[-1] ** 0.5
    return network


def deep(seed: int, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    body = nn.Sequential(nn.Linear(2, 8), activation(), nn.Linear(8, 7, bias=False), activation())
    return drawn(nn.Sequential(nn.Flatten(), body, nn.Linear(7, 1)), seed)


NETWORKS: dict[str, nn.Sequential] = {
    "one layer": relu_network(0),
    "two layers": deep(1),
    "leaky": deep(2, lambda: nn.LeakyReLU(0.2)),
    "activation first": drawn(nn.Sequential(nn.ReLU(), nn.Linear(2, 5), nn.ReLU(), nn.Linear(5, 1)), 3),
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


def grid(norm: float, points: int = 101) -> Tensor:
    """Points of the unit ball, its sphere among them."""
    side = torch.linspace(-1, 1, points, dtype=torch.float64)
    square = torch.cartesian_prod(side, side)
    return square if norm == INF else square / square.norm(dim=1, keepdim=True).clamp_min(1)


@every_norm
@pytest.mark.parametrize("radius", [0.5, RADII], ids=["one radius", "a radius a sample"])
@pytest.mark.parametrize("loss", [Logistic(), Squared(), Poisson()], ids=repr)
def test_exact_for_a_linear_model(norm: float, radius: float | Tensor, loss: Loss) -> None:
    network = drawn(nn.Sequential(nn.Linear(2, 1)))
    layer = network[0]
    assert isinstance(layer, nn.Linear)
    exact = adversarial_loss_linear(layer.weight[0], X, Y, radius, loss, bias=layer.bias.item(), norm=norm)
    assert_close(certified_adversarial(network, X, Y, radius, loss, norm=norm), exact, SLACK, "linear model")


@every_norm
@every_network
@pytest.mark.parametrize("radius", [0.05, 0.4, 2.0])
@pytest.mark.parametrize("loss", [Logistic(), Squared()], ids=repr)
def test_never_below_a_grid_or_an_attack(norm: float, network: nn.Sequential, radius: float, loss: Loss) -> None:
    points = X.unsqueeze(1) + radius * grid(norm)
    with torch.no_grad():
        losses = loss(network(points.flatten(0, 1)).reshape(M, -1, 1), Y.reshape(M, 1, 1))
    attacked = projected_gradient(network, X, Y, radius, loss, norm=norm, steps=20, restarts=2, seed=0).loss
    certified = certified_adversarial(network, X, Y, radius, loss, norm=norm)
    assert bool((torch.maximum(losses.amax(1), attacked) <= certified + SLACK).all())


@pytest.mark.parametrize("seed", range(5))
def test_attack_truth_certificate_in_order_over_the_radii(seed: int) -> None:
    network, loss, labels = relu_network(seed), Logistic(), Y.unsqueeze(1)
    truths, certificates = [], []
    for radius in (0.05, 0.2, 0.8, 3.2):
        attacked = projected_gradient(network, X, Y, radius, seed=0).loss
        with torch.no_grad():
            truths.append(loss(network(worst_points(network, loss, X, labels, radius)), labels))
        certificates.append(certified_adversarial(network, X, Y, radius))
        assert bool((attacked <= truths[-1] + SLACK).all())
        assert all(bool((truth <= certificates[-1] + SLACK).all()) for truth in truths)  # smaller balls lie inside
    assert all(bool((small <= large + SLACK).all()) for small, large in pairwise(truths))


@every_norm
@every_network
def test_exact_where_no_unit_has_its_kink_in_the_ball(norm: float, network: nn.Sequential) -> None:
    radius, at = 1e-5, X.clone().requires_grad_()
    f = network(at)
    (slope,) = torch.autograd.grad(f.sum(), at)
    reach = radius * torch.linalg.vector_norm(slope, 2 if norm == 2 else 1, dim=1, keepdim=True)
    ends = [Logistic()((f + side * reach).detach(), Y.unsqueeze(1)) for side in (-1, 1)]
    assert_close(certified_adversarial(network, X, Y, radius, norm=norm), torch.maximum(*ends), SLACK, "one piece")


@every_norm
@every_network
def test_never_worse_than_interval_arithmetic(norm: float, network: nn.Sequential) -> None:
    low, high = X - 0.4, X + 0.4
    for layer in (m for m in network.modules() if not isinstance(m, nn.Sequential)):
        if isinstance(layer, nn.Linear):
            columns = torch.stack([low.unsqueeze(1) * layer.weight, high.unsqueeze(1) * layer.weight]).detach()
            bias = 0.0 if layer.bias is None else layer.bias.detach()
            low, high = columns.amin(0).sum(-1) + bias, columns.amax(0).sum(-1) + bias
        else:
            low, high = layer(low), layer(high)
    boxes = torch.maximum(*(Logistic()(end, Y.unsqueeze(1)) for end in (low, high)))
    found = certified_adversarial(network, X, Y, 0.4, norm=norm)
    assert bool((found <= boxes + SLACK).all())


def with_parameters(network: nn.Sequential, *values: list[Any]) -> nn.Sequential:
    for p, given in zip(network.double().parameters(), values, strict=True):
        p.data = torch.tensor(given, dtype=torch.float64)
    return network


@pytest.mark.parametrize("s", [1.0, 0.25])
@pytest.mark.parametrize("c", [1.0, 0.5])
def test_relaxation_by_hand(s: float, c: float) -> None:
    """f = relu(z) - c relu(z) with z = x + s/2 on [-s, 2s]: z is relu(z)'s lower line, 2/3 z + 2s/3 its chord, so f
    lies between z - c (2/3 z + 2s/3) and 2/3 z + 2s/3 - c z, in [-s, s]; interval arithmetic has [-2cs, 2s].
    """
    layers = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1, bias=False))
    network = with_parameters(layers, [[1.0], [1.0]], [s / 2, s / 2], [[1.0, -c]])
    x, y = torch.zeros(2, 1, dtype=torch.float64), torch.tensor([0.0, 1.0])
    expected = torch.full((2,), math.log1p(math.exp(s)), dtype=torch.float64)
    assert_close(certified_adversarial(network, x, y, 1.5 * s), expected, SLACK, "by hand")


def test_intervals_by_hand() -> None:
    """f = relu(z) with z = x + 1/2 on [-1, 2] lies in [0, 2]; the relaxation's line below, z, has -1."""
    network = with_parameters(
        nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)), [[1.0]], [0.5], [[1.0]], [0.0]
    )
    x, y = torch.zeros(2, 1, dtype=torch.float64), torch.tensor([0.0, 1.0])
    expected = [math.log1p(math.exp(2)), math.log(2)]
    assert_close(certified_adversarial(network, x, y, 1.5), expected, SLACK, "by hand")


def test_a_sequence_within_the_network_stands_for_its_layers() -> None:
    first, *rest = (nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3), nn.LeakyReLU(1.0), nn.Linear(3, 1))
    nested, flat = drawn(nn.Sequential(first, nn.Sequential(*rest))), nn.Sequential(first, *rest)
    assert torch.equal(certified_adversarial(nested, X, Y, 0.5), certified_adversarial(flat, X, Y, 0.5))


def test_images_dtype_and_arguments_stay() -> None:
    network = drawn(nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 1))).float()
    x, y = inputs(M, 3, 2, 2).float(), Y.reshape(M, 1)
    before = x.clone()
    found = certified_adversarial(network, x, y, RADII.float())
    assert found.dtype == torch.float32 and found.shape == (M,) and not found.requires_grad
    assert torch.equal(x, before)
    assert bool((found >= projected_gradient(network, x, y, RADII.float(), steps=5, seed=0).loss - 1e-5).all())


def test_radius_zero_is_the_clean_loss() -> None:
    network = deep(1)
    clean = Logistic()(network(X).detach(), Y.unsqueeze(1))
    assert_close(certified_adversarial(network, X, Y, torch.zeros(M).double()), clean, SLACK, "radius 0")


NAMED = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), bend=nn.Tanh(), last=nn.Linear(3, 1))).double()
SIMPLE = nn.Sequential(nn.Linear(2, 1)).double()
BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"network": NAMED}, TypeError, r"layer 'bend' is Tanh\(\): needed are Linear, ReLU"),
    ({"network": nn.Linear(2, 1).double()}, TypeError, "network is a Linear: needed is an nn.Sequential"),
    ({"network": nn.Sequential(nn.Flatten(0), nn.Linear(12, 1))}, TypeError, "layer '0' is Flatten"),
    ({"network": drawn(nn.Sequential(nn.Linear(2, 2)))}, ValueError, r"returned shape \(6, 2\)"),
    ({"network": deep(0, lambda: nn.LeakyReLU(2.0))}, ValueError, "negative_slope=2.0"),
    ({"radius": 0.0}, ValueError, "radius=0.0"),
    ({"radius": -RADII}, ValueError, r"radius\[0\] = -0.1"),
    ({"norm": 3}, ValueError, "norm=3"),
    ({"loss": 1}, TypeError, "loss is 1"),
]


@pytest.mark.parametrize(("change", "error", "words"), BAD)
def test_refuses(change: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        certified_adversarial(**{"network": SIMPLE, "x": X, "y": Y, "radius": 0.5} | change)
