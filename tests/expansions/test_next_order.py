"""The third order against differences of the enumerated loss, and when none is given."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import msda_theory as mt
from msda_theory.expansions import NextOrder, Trust, leading_moments, next_order, radius_of_trust
from msda_theory.expansions.next_order import DRAWS, draw_pairs, third_about_data, third_about_mean_points
from tests.expansions.test_mean_point import ATOMS, BOX, Pairs
from tests.helpers import LOSSES, Quadratic, TanhNetwork, assert_close, inputs, labels, relu_network
from verify.scaled_loss import scaled_loss, shares
from verify.tolerances import FALSE_ALARM, monte_carlo

STEP = 0.02


def third(curve: Callable[[float], float]) -> float:
    """curve'''(0)/6 by a central difference, one Richardson step: truncation STEP^4, rounding 1e-16/STEP^3 = 1e-11."""

    def at(h: float) -> float:
        return (curve(2 * h) - 2 * curve(h) + 2 * curve(-h) - curve(-2 * h)) / (12 * h**3)

    return (4 * at(STEP) - at(2 * STEP)) / 3


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize("label", ["nominal", "realised"])
def test_both_third_orders_against_enumeration(loss: mt.losses.Loss, label: str) -> None:
    x, y, model = inputs(4, 2, 3) / 2, labels(loss, 4, 2), TanhNetwork((2, 3), 2)
    augmentation = mt.Augmentation(ATOMS, BOX, label)
    draw, law, pairs = draw_pairs(x, augmentation, 20_000, 1), shares(augmentation), Pairs(x, y, label)
    with torch.no_grad():
        data = third_about_data(model, loss, x, y, draw)
        mean = third_about_mean_points(model, loss, x, y, leading_moments(augmentation), draw)
        truth = third(lambda eps: scaled_loss(model, loss, x, y, law, eps).value)
    of_pairs = third(lambda eps: pairs.loss(model, loss, eps))
    for (value, error), stated in ((data, truth), (mean, of_pairs)):
        tolerance = monte_carlo(error, FALSE_ALARM, comparisons=16)
        assert_close(value, stated, tolerance + 1e-4 * abs(stated))
        assert 0 < error < 0.2


def trusted(model: Callable[[Tensor], Tensor], loss: mt.losses.Loss, x: Tensor) -> Trust:
    y, augmentation = labels(loss, len(x), 1), mt.Augmentation(mt.Beta(0.5, 2.0), mt.masks.Mixup(tuple(x.shape[1:])))
    return mt.compare(model, loss, x, y, augmentation, rtol=1e-2).trust


def test_it_is_the_same_each_time() -> None:
    first, second = (trusted(TanhNetwork((3,)), mt.losses.Logistic(), inputs(5, 3)) for _ in range(2))
    assert first == second and first.data is not None and first.mean_points is not None
    assert 0 < first.mean_points.ratio < first.data.ratio
    assert first.data.radius == pytest.approx(1 / first.data.ratio)
    assert 0 < first.data.ratio_error < first.data.ratio


def test_no_third_order_where_the_loss_is_quadratic() -> None:
    trust = trusted(Quadratic((3,), curved=False), mt.losses.Squared(), inputs(5, 3))
    assert trust.data is not None and trust.mean_points is not None
    assert max(trust.data.ratio, trust.mean_points.ratio) < 1e-12 and trust.data.radius > 1e12


def test_an_affine_network_has_one_and_a_piecewise_linear_none() -> None:
    assert trusted(nn.Linear(2, 1).double(), mt.losses.Logistic(), inputs(5, 2)).data is not None
    with pytest.warns(mt.ZeroHessianNotice):
        trust = trusted(relu_network(0), mt.losses.Logistic(), inputs(5, 2))
    assert trust.data is trust.mean_points is None
    assert trust.reason == "none, the network is piecewise linear: its derivatives miss the kinks"


class Refused(nn.Module):
    """torch has no second forward derivative of silu."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.silu(x.flatten(1)).sum(1)


def test_what_torch_cannot_differentiate_three_times_has_none() -> None:
    theory, mean = mt.TaylorLoss(1.0, 0.1, 0.1, 0.1, "default"), mt.MeanPointLoss(1.0, 0.1, 0.1, 0.1)
    x, loss = inputs(4, 2), mt.losses.Logistic()
    problem = (Refused(), loss, x, labels(loss, 4, 1), mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,))))
    trust = radius_of_trust(*problem, theory, mean)
    assert trust.data is None and trust.reason.startswith("none, torch cannot differentiate the model three times")
    assert "silu" in trust.reason and "\n" not in trust.reason


def test_of_what_torch_says_the_first_line_is_kept() -> None:
    theory, mean = mt.TaylorLoss(1.0, 0.1, 0.1, 0.1, "default"), mt.MeanPointLoss(1.0, 0.1, 0.1, 0.1)
    x, loss, called = inputs(4, 2), mt.losses.Logistic(), []

    def model(v: Tensor) -> Tensor:
        called.append(v)
        if len(called) > 1:
            raise RuntimeError("no rule\nand a trace")
        return v.sum(1)

    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,)))
    trust = radius_of_trust(model, loss, x, labels(loss, 4, 1), augmentation, theory, mean)
    assert trust.reason == "none, torch cannot differentiate the model three times: no rule"


def test_both_orders_stand_side_by_side() -> None:
    """The second is that of the expansions given, the third that of the draws which are the same in every call."""
    theory, mean = mt.TaylorLoss(1.0, 0.5, 0.25, 0.125, "default"), mt.MeanPointLoss(1.0, 0.5, 0.25, 0.0625)
    x, loss, model = inputs(4, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y, augmentation = labels(loss, 4, 1), mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,)))
    trust, draw = radius_of_trust(model, loss, x, y, augmentation, theory, mean), draw_pairs(x, augmentation)
    with torch.no_grad():
        data = third_about_data(model, loss, x, y, draw)
        points = third_about_mean_points(model, loss, x, y, leading_moments(augmentation), draw)
    assert trust == Trust(NextOrder(*data, 0.375), NextOrder(*points, mean.second))


@pytest.mark.parametrize(("numbers", "sizes"), [(1, [1] * 8), (48, [3, 3, 2])])
def test_as_many_draws_at_a_time_as_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, numbers: int, sizes: list[int]
) -> None:
    """Eight times the two numbers of a sample, for three derivatives one in the other; and one draw at least."""
    x, loss, shown = inputs(4, 2), mt.losses.Logistic(), []
    monkeypatch.setattr(next_order, "CHUNK_ELEMENTS", numbers)
    monkeypatch.setattr(next_order, "track", lambda parts, name: (shown.append((name, parts)), parts)[1])
    draw = draw_pairs(x, mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Mixup((2,))), 8)
    with torch.no_grad():
        third_about_data(TanhNetwork((2,)), loss, x, labels(loss, 4, 1), draw)
    ((name, parts),) = shown
    assert name == "third order" and [len(part.i) for part in parts] == sizes


def test_definitions_and_corners() -> None:
    order = NextOrder(third=-0.2, error=0.01, second=0.4)
    assert (order.ratio, order.ratio_error, order.radius) == pytest.approx((0.5, 0.025, 2.0))
    assert NextOrder(0.1, 0.0, 0.0).ratio == math.inf
    assert NextOrder(0.0, 0.0, 0.4).radius == math.inf
    assert math.isnan(NextOrder(0.0, 0.0, 0.0).ratio)


def test_draws_are_few_and_fit_the_data() -> None:
    x = inputs(4, 3, 2, 3).float()
    draw = draw_pairs(x, mt.Augmentation(ATOMS, BOX, "realised"))
    assert DRAWS <= 1000 and draw.masks.shape == (DRAWS, 1, 2, 3) and draw.masks.dtype == torch.float32
    assert draw.ratio.dtype == draw.weight.dtype == torch.float32
    assert_close(draw.weight, draw.masks.flatten(1).mean(1, keepdim=True), 1e-6)
    assert set(draw.ratio.flatten().tolist()) <= {torch.tensor(v).item() for v in ATOMS.values}
