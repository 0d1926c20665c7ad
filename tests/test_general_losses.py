"""General losses: closed forms against automatic differentiation, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import msda_theory as mt
from msda_theory.general_losses import AutogradLoss, CrossEntropy, GeneralLoss, LinearInLabel, SquaredError, as_general
from tests.helpers import assert_close
from verify.tolerances import rounding

Y = torch.softmax(torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64), -1)
U = 2 * torch.randn(5, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
CLOSED: dict[str, tuple[GeneralLoss, object]] = {
    "squared": (SquaredError(), lambda y, u: (u - y).square().sum() / 2),
    "cross-entropy": (CrossEntropy(), lambda y, u: torch.logsumexp(u, -1) - y @ u),
    "logistic": (LinearInLabel(mt.losses.Logistic()), lambda y, u: torch.nn.functional.softplus(u).sum() - y @ u),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_against_autograd(name: str) -> None:
    loss, function = CLOSED[name]
    closed, automatic = loss.derivatives(Y, U), AutogradLoss(function).derivatives(Y, U)
    assert_close(loss(Y, U), automatic.value, rounding(torch.float64, 8.0, 16))
    for part in ("value", "y", "u", "yy", "yu", "uu"):
        assert_close(getattr(closed, part), getattr(automatic, part), rounding(torch.float64, 8.0, 16), part)


@pytest.mark.parametrize("name", CLOSED)
def test_derivatives_are_made_where_the_outputs_are(name: str) -> None:
    """And not on the default device, which here holds no numbers."""
    loss, _ = CLOSED[name]
    with torch.device("meta"):
        found = loss.derivatives(Y, U)
    assert {getattr(found, part).device for part in ("value", "y", "u", "yy", "yu", "uu")} == {U.device}


@pytest.mark.parametrize("loss", [SquaredError(), AutogradLoss(lambda y, u: (u - y).square().sum())], ids=repr)
def test_labels_of_one_axis_are_a_column_of_the_outputs_dtype(loss: GeneralLoss) -> None:
    prepared = loss.prepare(torch.tensor([0, 1, 2, 3, 4]), U[:, :1])
    assert prepared.tolist() == [[0.0], [1.0], [2.0], [3.0], [4.0]] and prepared.dtype == U.dtype


def test_labels_may_have_another_size_than_outputs() -> None:
    loss = AutogradLoss(lambda y, u: (y.sum() * u[0]).sin() + u @ u)
    d = loss.derivatives(Y[:, :2], U)
    assert d.yu.shape == (5, 2, 3) and d.yy.shape == (5, 2, 2) and d.uu.shape == (5, 3, 3)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_the_inverse_of_the_softmax_hessian(scale: float) -> None:
    """H^+ H = I - 11^T/K even where H is far below eps of one; H^+ is symmetric, and 0 along 1 as H is."""
    H, plus = (
        f(Y, scale * U / 4)
        for f in (lambda y, u: CrossEntropy().derivatives(y, u).uu, CrossEntropy().inverse_curvature)
    )
    projection = torch.eye(3, dtype=torch.float64) - 1 / 3
    size = float((H.abs().amax((1, 2)) * plus.abs().amax((1, 2))).max())
    assert_close(plus @ H, projection.expand(5, 3, 3), rounding(torch.float64, size, 32))
    largest = float(plus.abs().max())
    assert_close(plus, plus.mT, rounding(torch.float64, largest, 8))
    assert_close(plus.sum(-1), torch.zeros(5, 3), rounding(torch.float64, largest, 16))


def test_the_default_inverse_is_moore_penrose() -> None:
    loss = AutogradLoss(lambda y, u: (u[0] + u[1] - y[0]) ** 2 + u[2] * y[1])
    H, plus = loss.derivatives(Y, U).uu, loss.inverse_curvature(Y, U)
    assert_close(H @ plus @ H, H, rounding(torch.float64, 8.0, 32))


def test_members_of_the_class_are_adapted() -> None:
    assert isinstance(as_general(mt.losses.SoftmaxCrossEntropy()), CrossEntropy)
    assert isinstance(as_general(mt.losses.Squared()), LinearInLabel)
    assert as_general(SquaredError()).__class__ is SquaredError
    with pytest.raises(TypeError, match="loss is 'mse': needed is a GeneralLoss"):
        as_general("mse")  # type: ignore[arg-type]


def test_losses_name_themselves() -> None:
    class Bent:
        def __call__(self, y: Tensor, u: Tensor) -> Tensor:
            return (u - y).square().sum()

    names = [repr(loss) for loss in (CrossEntropy(), SquaredError(), AutogradLoss(hinge), AutogradLoss(Bent()))]
    assert names == ["CrossEntropy()", "SquaredError()", "AutogradLoss(hinge)", "AutogradLoss(Bent)"]
    assert repr(as_general(mt.losses.Poisson())) == "LinearInLabel(Poisson())"


def hinge(y: Tensor, u: Tensor) -> Tensor:
    return (1 - u * (2 * y - 1)).relu().sum()


def absolute(y: Tensor, u: Tensor) -> Tensor:
    return (u - y).abs().sum()


def step(y: Tensor, u: Tensor) -> Tensor:
    return ((u > 0) != (y > 0.4)).double().sum()


@pytest.mark.parametrize("function", [hinge, absolute, step])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_a_loss_without_second_derivatives_is_refused(function: Callable[..., Tensor], size: float) -> None:
    with pytest.raises(ValueError, match="no derivatives that the theory can use"):
        AutogradLoss(lambda y, u: size * function(y, u)).prepare(Y, U)


def test_a_loss_that_nothing_changes_is_smooth() -> None:
    AutogradLoss(lambda y, u: 0 * (y.sum() + u.sum())).prepare(Y, U)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_smooth_losses_are_not_refused(dtype: torch.dtype) -> None:
    for function in (
        lambda y, u: (1 + (u - y) ** 2).sqrt().sum(),
        lambda y, u: torch.nn.functional.softplus(20 * (u - y)).sum(),
        lambda y, u: torch.nn.functional.huber_loss(u, y),
        lambda y, u: (5 * u).exp().sum() - y.sum(),
    ):
        AutogradLoss(function).prepare(Y.to(dtype), U.to(dtype))


def test_more_bad_losses() -> None:
    with pytest.raises(TypeError, match="function is a str: needed is a callable"):
        AutogradLoss("mse")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="another thing than one number"):
        AutogradLoss(lambda y, u: u - y).prepare(Y, U)
    with pytest.raises(ValueError, match="torch cannot evaluate it"):
        AutogradLoss(lambda y, u: u.sum().item() * y.sum()).prepare(Y, U)
    with pytest.raises(ValueError, match="needs one label an output"):
        SquaredError().prepare(Y[:, :2], U)
    with pytest.raises(ValueError, match="sum to"):
        CrossEntropy().prepare(2 * Y, U)
    with pytest.raises(ValueError, match="y has 1 entry that is NaN"):
        SquaredError().prepare(torch.where(Y[0, 0] == Y, torch.nan, Y), U)
    with pytest.raises(ValueError, match=r"y has shape \(4, 3\)"):
        AutogradLoss(hinge).prepare(Y[:4], U)
