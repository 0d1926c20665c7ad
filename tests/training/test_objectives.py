"""Objectives as one trains with them: the losses they stand for, and gradients by differences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import msda_theory as mt
from msda_theory.training import ExactObjective, TaylorObjective
from tests.helpers import TanhNetwork, assert_close, inputs, labels
from verify.tolerances import difference_quotient, rounding

X, LOSS = inputs(4, 2, 2), mt.losses.Logistic()
Y = labels(LOSS, 4, 1)
BOX = mt.Augmentation(mt.Beta(0.3, 2.0), mt.masks.CutMix((2, 2), sampler="inside"))
MIXUP = mt.Augmentation(mt.Beta(0.3, 2.0), mt.masks.Mixup((2, 2)))
OBJECTIVES: dict[str, Callable[[], Callable[[nn.Module], Tensor]]] = {
    "exact": lambda: ExactObjective(LOSS, X, Y, BOX),
    "taylor": lambda: TaylorObjective(LOSS, X, Y, BOX),
    "printed": lambda: TaylorObjective(LOSS, X, Y, BOX, as_printed=True),
}
every_objective = pytest.mark.parametrize("name", OBJECTIVES)


@pytest.mark.parametrize("augmentation", [BOX, MIXUP], ids=["CutMix", "Mixup"])
def test_values_are_the_losses(augmentation: mt.Augmentation) -> None:
    model, allowed = TanhNetwork((2, 2)), rounding(torch.float64, 50.0, 200)
    exact = mt.exact_loss(model, LOSS, X, Y, augmentation, rtol=1e-10)
    assert_close(ExactObjective(LOSS, X, Y, augmentation)(model), exact.value, exact.error + allowed)
    for as_printed in (False, True):
        theory = mt.taylor_loss(model, LOSS, X, Y, augmentation, as_printed=as_printed)
        objective = TaylorObjective(LOSS, X, Y, augmentation, as_printed=as_printed)
        assert_close(objective(model), theory.total, allowed)


def test_a_pair_is_mixed_once_by_masks_that_mirror_each_other() -> None:
    symmetric = mt.Augmentation(mt.Beta(0.7, 0.7), mt.masks.Mixup((2, 2)))
    assert len(symmetric.table(16)) == 2 * len(ExactObjective(LOSS, X, Y, symmetric).table)


def test_the_printed_objective_is_another() -> None:
    model = TanhNetwork((2, 2))
    assert abs(OBJECTIVES["taylor"]()(model) - OBJECTIVES["printed"]()(model)) > 1e-3


@every_objective
def test_gradients_by_differences(name: str) -> None:
    """In every parameter, at two steps."""
    model, objective = TanhNetwork((2, 2)), OBJECTIVES[name]()
    gradients = torch.autograd.grad(objective(model), list(model.parameters()))
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        for index in range(parameter.numel()):
            fine, coarse = (slope(objective, model, parameter.data.view(-1), index, step) for step in (1e-4, 2e-4))
            allowed = difference_quotient(fine, coarse, 1e-4, 50.0)
            assert_close(gradient.view(-1)[index], fine, allowed, f"entry {index} of {tuple(parameter.shape)}")


def slope(objective: Callable[[nn.Module], Tensor], model: nn.Module, values: Tensor, index: int, step: float) -> float:
    before = values[index].clone()
    found = []
    for shift in (step, -step):
        values[index] = before + shift
        found.append(float(objective(model).detach()))
    values[index] = before
    return (found[0] - found[1]) / (2 * step)


@every_objective
def test_one_objective_serves_many_models(name: str) -> None:
    """What it keeps does not depend on the model that it was called with first."""
    objective, models = OBJECTIVES[name](), [TanhNetwork((2, 2), seed=seed) for seed in range(3)]
    together = [float(objective(model).detach()) for model in models]
    apart = [float(OBJECTIVES[name]()(model).detach()) for model in models]
    assert together == apart
    assert len(set(together)) == 3


@every_objective
def test_a_few_steps_lower_it(name: str) -> None:
    model, objective = TanhNetwork((2, 2)), OBJECTIVES[name]()
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    values = []
    for _ in range(5):
        optimiser.zero_grad()
        value = objective(model)
        value.backward()
        optimiser.step()
        values.append(float(value.detach()))
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_objective
def test_a_scalar_of_the_data_s_dtype(name: str, dtype: torch.dtype) -> None:
    kinds = {"exact": ExactObjective, "taylor": TaylorObjective, "printed": TaylorObjective}
    value = kinds[name](LOSS, X.to(dtype), Y.to(dtype), BOX)(TanhNetwork((2, 2)).to(dtype))
    assert value.shape == ()
    assert value.dtype == dtype


@pytest.mark.parametrize("make", [ExactObjective, TaylorObjective])
def test_bad_data_are_refused_before_training(make: type) -> None:
    bad = X.clone()
    bad[1, 0, 1] = float("nan")
    with pytest.raises(ValueError, match=r"x has 1 entry that is NaN or inf, the first \(nan\) at \(1, 0, 1\)"):
        make(LOSS, bad, Y, BOX)
    with pytest.raises(ValueError, match="x holds 1 sample"):
        make(LOSS, X[:1], Y[:1], BOX)
    with pytest.raises(TypeError, match="augmentation is a CutMix: needed is an Augmentation"):
        make(LOSS, X, Y, BOX.mask)
