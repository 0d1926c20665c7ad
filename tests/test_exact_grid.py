"""The weights on a grid against the enumeration; what they are for, and their error."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import msda_theory as mt
from msda_theory.training import ExactObjective, GridObjective
from tests.helpers import TanhNetwork, assert_close, inputs, labels, relu_network
from verify.tolerances import rounding

MIXUP = mt.Augmentation(mt.Beta(0.7, 1.4), mt.masks.Mixup((2,)))
CASES = [
    MIXUP,
    mt.Augmentation(mt.Beta(0.7, 1.4), mt.masks.Bernoulli((2,))),
    mt.Augmentation(mt.Beta(0.7, 1.4), mt.masks.CutMix((1, 2), sampler="inside"), "realised"),
]


@pytest.mark.parametrize("augmentation", CASES, ids=str)
@pytest.mark.parametrize("loss", [mt.losses.Logistic(), mt.losses.SoftmaxCrossEntropy()], ids=repr)
def test_it_is_the_enumeration(augmentation: mt.Augmentation, loss: mt.losses.Loss) -> None:
    outputs = 3 if isinstance(loss, mt.losses.SoftmaxCrossEntropy) else 1
    shape = augmentation.mask.shape
    x, model = inputs(6, *shape), TanhNetwork(shape, outputs)
    y = torch.tensor([0, 2, 1, 1, 0, 2]) if outputs == 3 else labels(loss, 6, 1)
    objective = GridObjective(loss, x, y, augmentation, nodes=40)
    found = objective.exact(model)
    slow = mt.exact_loss(model, loss, x, y, augmentation, rtol=1e-10)
    assert_close(found.value, slow.value, found.error + slow.error)
    assert found.error < 1e-4
    assert_close(objective(model).detach(), found.value, rounding(torch.float64, 10.0, len(objective)))


def test_one_coordinate_and_equal_coordinates() -> None:
    loss = mt.losses.Squared()
    for x in (inputs(5, 1), torch.cat([inputs(5, 1), torch.ones(5, 1, dtype=torch.float64)], 1)):
        shape = tuple(x.shape[1:])
        model, y = TanhNetwork(shape), labels(loss, 5, 1)
        augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup(shape))
        found = GridObjective(loss, x, y, augmentation, nodes=48).exact(model)
        slow = mt.exact_loss(model, loss, x, y, augmentation, rtol=1e-10)
        assert_close(found.value, slow.value, found.error + slow.error)
        assert found.evaluations == 48


SHARPNESS = {"tanh": 1.0, "sharp tanh": 4.0, "relu": 1.0}


@pytest.mark.parametrize("kind", SHARPNESS)
def test_the_error_covers_the_truth_and_is_not_far_above_it(kind: str) -> None:
    """8 networks at 16 and 32 nodes against the enumeration: half of the time no more than forty times the error."""
    x, loss = inputs(8, 2), mt.losses.Logistic()
    y, ratios = labels(loss, 8, 1), []
    grids = [GridObjective(loss, x, y, MIXUP, nodes=nodes) for nodes in (16, 32)]
    for seed in range(8):
        model = relu_network(seed) if kind == "relu" else TanhNetwork((2,), hidden=6, seed=seed)
        for name, parameter in model.named_parameters():
            parameter.data *= SHARPNESS[kind] if name == "inner" else 1
        slow = mt.exact_loss(model, loss, x, y, MIXUP, rtol=1e-6 if kind == "relu" else 1e-9)
        for grid in grids:
            found = grid.exact(model)
            off = abs(found.value - slow.value)
            assert off <= found.error + slow.error
            ratios.append(found.error / (off + slow.error))
    assert float(torch.tensor(ratios).median()) <= 40


def test_the_error_covers_squares_of_networks_on_few_nodes() -> None:
    """Where the distance to three coarser grids, six times over, was a sixth of the error."""
    x, y, loss = 1.5 * inputs(12, 2, seed=5), inputs(12, 1, seed=7), mt.losses.Squared()
    augmentation = mt.Augmentation(mt.Beta(0.3, 0.3), mt.masks.Mixup((2,)))
    grids = [GridObjective(loss, x, y, augmentation, nodes=nodes) for nodes in (16, 28)]
    for seed in (44, 45):
        model = TanhNetwork((2,), hidden=8, seed=seed)
        slow = mt.exact_loss(model, loss, x, y, augmentation, rtol=1e-9)
        for grid in grids:
            found = grid.exact(model)
            assert abs(found.value - slow.value) <= found.error + slow.error


def written_out(
    objective: GridObjective, augmentation: mt.Augmentation, model: nn.Module
) -> tuple[torch.Tensor, torch.Tensor]:
    """c_ab mu_ab and max(a/A, b/B) for all orders a, b: c solves for the values at the grid, mu by enumeration."""
    x, y, table = objective.x, objective.y[:, 0], augmentation.table(64)

    def polynomials(points: torch.Tensor) -> torch.Tensor:
        found = []
        for axis, column in zip(objective.axes, points.unbind(-1), strict=True):
            t = torch.sin(axis.bend * (column - axis.centre) / axis.half) / torch.sin(torch.tensor(axis.bend).double())
            found.append(torch.cos(torch.arange(axis.nodes).double() * t.clamp(-1, 1).acos().unsqueeze(-1)))
        return (found[0].unsqueeze(-1) * found[1].unsqueeze(-2)).flatten(-2)

    points = objective._grid.points
    f = model(points).detach()
    h, f = torch.linalg.solve(polynomials(points), torch.cat([objective.loss.h(f).unsqueeze(-1), f], 1)).unbind(1)
    terms = 0 * h
    for ratio, first, second in zip(table.masks[:, 0], table.first, table.second, strict=True):
        at = polynomials(ratio * x[:, None] + (1 - ratio) * x)
        label = first * y[:, None] + second * y
        terms += (at * ((first + second) * h - label.unsqueeze(-1) * f)).mean((0, 1))
    orders = torch.cartesian_prod(*(torch.arange(axis.nodes) / axis.nodes for axis in objective.axes))
    return terms, orders.amax(1)


@pytest.mark.parametrize(("scale", "fast"), [(0.5, True), (1.0, False)])
def test_what_is_left_out_by_the_terms_written_out(scale: float, fast: bool) -> None:
    """The loss is their sum; those of the highest quarter of the orders, and by how much less they are than before."""
    x, loss, model = scale * inputs(5, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y = labels(loss, 5, 1)
    objective = GridObjective(loss, x, y, MIXUP, nodes=16)
    terms, orders = written_out(objective, MIXUP, model)
    allowed = rounding(torch.float64, 10.0, 16**4)
    assert_close(objective(model).detach(), terms.sum(), allowed)
    highest = terms[orders >= 0.75].abs().sum()
    before = terms[(orders >= 0.5) & (orders < 0.75)].abs().sum()
    ratio = float(highest / before)
    assert (ratio < 0.02) == fast and ratio < 0.4
    ratio = max(ratio, 0.02)
    found = objective._grid.left_out(loss, y, model(objective._grid.points).detach())
    assert_close(found, highest * ratio / (1 - ratio), allowed)


def test_terms_that_hardly_fall_and_terms_that_are_not_there() -> None:
    """A kink through the data: what is left is no more than two thirds of the last terms; a constant leaves nothing."""
    x, loss = inputs(5, 2) - 1, mt.losses.Logistic()
    y = labels(loss, 5, 1)
    objective = GridObjective(loss, x, y, MIXUP, nodes=16)

    def step(points: torch.Tensor) -> torch.Tensor:
        return torch.sign(points[:, :1] - points[:, 1:])

    terms, orders = written_out(objective, MIXUP, step)  # type: ignore[arg-type]
    found = objective._grid.left_out(loss, y, step(objective._grid.points))
    assert_close(found, terms[orders >= 0.75].abs().sum() * 0.4 / 0.6, rounding(torch.float64, 10.0, 16**4))
    still = objective._grid.left_out(loss, y, torch.ones(len(objective), 1, dtype=torch.float64))
    assert still <= rounding(torch.float64, 1.0, 16**2)


def test_a_kink_shows_in_the_error() -> None:
    """ReLU against tanh: what is reported is far larger, and covers the truth for all of the seeds."""
    x, loss = inputs(8, 2), mt.losses.Logistic()
    y = labels(loss, 8, 1)
    objective = GridObjective(loss, x, y, MIXUP, nodes=40)
    smooth = objective.exact(TanhNetwork((2,))).error
    for seed in range(5):
        model = relu_network(seed)
        found, slow = objective.exact(model), mt.exact_loss(model, loss, x, y, MIXUP, rtol=1e-5)
        assert abs(found.value - slow.value) <= found.error + slow.error
        assert found.error > 10 * smooth


def test_it_trains_as_the_exact_objective_does() -> None:
    """Gradients in all parameters, for one network; nothing that was built depends on it."""
    x, loss, model = inputs(6, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y = labels(loss, 6, 1)
    grid, exact = GridObjective(loss, x, y, MIXUP, nodes=56), ExactObjective(loss, x, y, MIXUP, order=32)
    parameters = list(model.parameters())
    found, expected = (torch.autograd.grad(objective(model), parameters) for objective in (grid, exact))
    allowed = 10 * grid.exact(model).error  # derivatives of tanh are of the size of its coefficients times their order
    for a, e in zip(found, expected, strict=True):
        assert_close(a, e, allowed + 1e-9)


def test_float32_in_float32_out() -> None:
    x, loss, model = inputs(4, 2).float(), mt.losses.Logistic(), TanhNetwork((2,)).float()
    objective = GridObjective(loss, x, labels(loss, 4, 1).float(), MIXUP, nodes=16)
    assert objective(model).dtype == torch.float32
    assert objective.exact(model).error > rounding(torch.float32, 0.1, 1)


def test_three_coordinates_are_refused() -> None:
    x, augmentation = inputs(4, 3), mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((3,)))
    with pytest.raises(ValueError, match=r"x has shape \(4, 3\), 3 coordinates a sample: a grid needs at most 2"):
        GridObjective(mt.losses.Logistic(), x, torch.zeros(4), augmentation)


def test_few_nodes_are_refused() -> None:
    with pytest.raises(ValueError, match="nodes=4: needed is an integer >= 8"):
        GridObjective(mt.losses.Logistic(), inputs(4, 2), torch.zeros(4), MIXUP, nodes=4)


def test_a_network_that_depends_on_the_batch_is_refused() -> None:
    objective = GridObjective(mt.losses.Logistic(), inputs(4, 2), torch.zeros(4), MIXUP, nodes=8)
    with pytest.raises(ValueError, match="BatchNorm1d"):
        objective.exact(nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1)).double())
