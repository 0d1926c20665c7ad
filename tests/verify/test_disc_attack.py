"""The exact attack in the plane against a dense search, closed forms, and differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from msda_theory.bounds import adversarial_loss_linear
from msda_theory.losses import Logistic, Loss, Squared
from tests.helpers import assert_close, inputs, relu_network
from verify.disc_attack import WorstCase, worst_points
from verify.problems import network
from verify.tolerances import difference_quotient, rounding

X = inputs(5, 2, seed=3)
Y = torch.tensor([[0.0], [1.0], [1.0], [0.0], [0.4]], dtype=torch.float64)
TURNS, RINGS = 1000, 40


def losses(model: nn.Module, loss: Loss, points: Tensor) -> Tensor:
    with torch.no_grad():
        return loss(model(points), Y)


def searched(model: nn.Module, loss: Loss, radius: float) -> Tensor:
    """The largest loss over rings of points about each sample."""
    angles = torch.arange(TURNS, dtype=torch.float64) * (2 * math.pi / TURNS)
    rim = torch.stack([angles.cos(), angles.sin()], 1)
    moves = radius * (torch.linspace(0, 1, RINGS, dtype=torch.float64)[:, None, None] * rim).flatten(0, 1)
    with torch.no_grad():
        f = model((X.unsqueeze(1) + moves).flatten(0, 1)).reshape(len(X), -1, 1)
        return loss(f, Y.unsqueeze(1)).amax(1)


@pytest.mark.parametrize("loss", [Logistic(), Squared()], ids=repr)
@pytest.mark.parametrize("radius", [0.1, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_at_least_and_nearly_what_a_dense_search_finds(seed: int, radius: float, loss: Loss) -> None:
    """A point of the search lies within a cell of the worst one; f has the largest slope |v| |W| of the network."""
    model = relu_network(seed)
    points = worst_points(model, loss, X, Y, radius)
    assert bool(((points - X).norm(dim=1) <= radius * (1 + 1e-12)).all())
    exact, found = losses(model, loss, points), searched(model, loss, radius)
    cell = radius * (math.pi / TURNS + 0.5 / (RINGS - 1))
    assert isinstance(model, nn.Sequential)
    slope = math.prod(float(torch.linalg.matrix_norm(model[k].weight.detach(), 2)) for k in (0, 2))
    with torch.no_grad():
        steepest = slope * (float((loss.h1(model(points)) - Y).abs().max()) + slope * cell)  # |h''| <= 1
    assert bool((exact >= found - rounding(torch.float64, 100.0, 100)).all())
    assert bool((exact <= found + steepest * cell).all())


@pytest.mark.parametrize("radius", [1e-3, 0.5, 10.0])
def test_affine_network_has_the_closed_form(radius: float) -> None:
    model = network("logistic", (2,), 1, seed=1)
    weight, bias = (p.detach() for p in model.parameters())
    exact = adversarial_loss_linear(weight[0], X, Y, radius, bias=bias.item())
    assert_close(losses(model, Logistic(), worst_points(model, Logistic(), X, Y, radius)), exact, 1e-12, "affine")


def test_units_that_are_dead_parallel_or_doubled_do_no_harm() -> None:
    model = relu_network(0)
    with torch.no_grad():
        model[0].weight[1], model[0].weight[3] = 0.0, 2 * model[0].weight[2]
        model[0].weight[5], model[0].bias[5] = model[0].weight[4], model[0].bias[4]
    exact = losses(model, Logistic(), worst_points(model, Logistic(), X, Y, 1.0))
    assert bool((exact >= searched(model, Logistic(), 1.0) - 1e-12).all())


def test_gradient_is_that_of_the_worst_case() -> None:
    model, step = relu_network(4), 1e-5
    objective = WorstCase(Logistic(), X, Y[:, 0], 0.7)
    objective(model).backward()
    for p in model.parameters():
        at = p.detach().reshape(-1)

        def quotient(k: int, h: float, at: Tensor = at) -> float:
            values = []
            for side in (h, -h):
                at[k] += side
                values.append(float(objective(model).detach()))
                at[k] -= side
            return (values[0] - values[1]) / (2 * h)

        fine, coarse = quotient(0, step), quotient(0, 2 * step)
        assert_close(p.grad.reshape(-1)[0], fine, 10 * difference_quotient(fine, coarse, step, 10.0), "gradient")


@pytest.mark.parametrize("model", [network("mlp-tanh", (2,), 1), network("mlp-relu", (3,), 1)], ids=["tanh", "space"])
def test_refuses_other_networks(model: nn.Sequential) -> None:
    with pytest.raises(ValueError, match="needed is Linear, or Linear, ReLU, Linear, on inputs in the plane"):
        worst_points(model, Logistic(), X, Y, 1.0)
