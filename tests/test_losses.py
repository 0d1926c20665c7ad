"""h, h' and h'': differences at two step sizes, closed forms in high precision far out, and what labels are allowed."""

from __future__ import annotations

from collections.abc import Callable

import mpmath
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from msda_theory.losses import ElementwiseLoss, Logistic, Loss, Poisson, SoftmaxCrossEntropy, Squared
from tests import oracles
from tests.helpers import LOSSES, LinearLoss, assert_close, labels
from verify.tolerances import difference_quotient, rounding

every_loss = pytest.mark.parametrize("loss", [*LOSSES, LinearLoss()], ids=repr)
STEP = 1e-4
Function = Callable[[Tensor], Tensor]
FAR = 700.0


def points(outputs: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 2 * torch.randn(5, outputs, generator=generator, dtype=torch.float64)


def central(g: Function, f: Tensor, direction: Tensor, step: float) -> Tensor:
    return (g(f + step * direction) - g(f - step * direction)) / (2 * step)


def assert_derivative(g: Function, derivative: Tensor, f: Tensor, what: str) -> None:
    """derivative[..., k] = d g / d f_k by central differences at two steps."""
    for k in range(f.shape[-1]):
        direction = torch.eye(f.shape[-1], dtype=f.dtype)[k]
        fine, coarse = (central(g, f, direction, step) for step in (STEP, 2 * STEP))
        tolerance = difference_quotient(fine, coarse, STEP, float(g(f).abs().max()))
        assert_close(derivative[..., k], fine, tolerance, f"{what}, k = {k}")


@every_loss
def test_h1_is_the_gradient_of_h(loss: Loss) -> None:
    f = points()
    assert_derivative(loss.h, loss.h1(f), f, "h'")


@every_loss
def test_h2_is_the_gradient_of_h1(loss: Loss) -> None:
    f = points()
    assert_derivative(loss.h1, loss.h2(f), f, "h''")


@every_loss
def test_h2_is_symmetric_and_positive_semi_definite(loss: Loss) -> None:
    second = loss.h2(points())
    assert_close(second, second.mT, 0.0)
    assert torch.linalg.eigvalsh(second).min() >= -rounding(torch.float64, float(second.abs().max()), 3 * 3)


@every_loss
def test_values_against_plain_python(loss: Loss) -> None:
    f, y = points(), labels(loss, 5, 3)
    h = oracles.H[type(loss).__name__]
    expected = [h(out) - oracles.dot(target, out) for out, target in zip(f.tolist(), y.tolist(), strict=True)]
    assert_close(loss(f, y), expected, rounding(torch.float64, float(loss.h(f).abs().max() + f.abs().sum()), 8))


@every_loss
def test_the_loss_is_affine_in_the_labels(loss: Loss) -> None:
    """What the whole theory rests on: l(f, w y + (1-w) z) = w l(f, y) + (1-w) l(f, z)."""
    f, y, z = points(), labels(loss, 5, 3, seed=0), labels(loss, 5, 3, seed=1)
    mixed = 0.3 * loss(f, y) + 0.7 * loss(f, z)
    assert_close(loss(f, 0.3 * y + 0.7 * z), mixed, rounding(torch.float64, float(loss.h(f).abs().max()) + 20, 8))


def test_known_losses_up_to_functions_of_the_label() -> None:
    f, y = points(), labels(SoftmaxCrossEntropy(), 5, 3)
    functional = torch.nn.functional
    binary = functional.binary_cross_entropy_with_logits(f, y, reduction="none").sum(-1)
    assert_close(Logistic()(f, y), binary, rounding(torch.float64, 20.0, 8))
    entropy = functional.cross_entropy(f, y, reduction="none")
    assert_close(SoftmaxCrossEntropy()(f, y), entropy, rounding(torch.float64, 20.0, 8))
    assert_close(Squared()(f, y) + (y**2).sum(-1) / 2, ((f - y) ** 2).sum(-1) / 2, rounding(torch.float64, 50.0, 8))
    poisson = functional.poisson_nll_loss(f, y, log_input=True, full=False, reduction="none").sum(-1)
    assert_close(Poisson()(f, y), poisson, rounding(torch.float64, float(f.exp().max()) * 3, 8))


# -- far out


def logistic_truth(f: float) -> tuple[float, float, float]:
    with mpmath.workdps(700):
        e = mpmath.exp(-mpmath.mpf(f))
        return float(mpmath.log1p(1 / e)), float(1 / (1 + e)), float(e / (1 + e) ** 2)


@pytest.mark.parametrize("f", [-FAR, -50.0, -40.0, -1e-3, 0.0, 1e-3, 19.9, 20.1, 30.0, 39.9, 40.1, 50.0, FAR])
def test_logistic_keeps_all_digits_far_out(f: float) -> None:
    """Relative to the value itself: h at -700 is 1e-304, h'' at 700 too."""
    found = [float(Logistic().scalar(torch.tensor(f, dtype=torch.float64), order)) for order in range(3)]
    for value, expected in zip(found, logistic_truth(f), strict=True):
        assert value == pytest.approx(expected, rel=rounding(torch.float64, 1.0, 8), abs=0)


@pytest.mark.parametrize("gap", [1.0, 20.0, 37.0, 40.0, 300.0, 700.0])
@pytest.mark.parametrize("shift", [-FAR, 0.0, FAR])
def test_softmax_far_out_is_the_logistic(gap: float, shift: float) -> None:
    """Two outputs: h = f_1 + softplus(gap), p_2 = g, h'' = g(1-g) [[1, -1], [-1, 1]], also where p_2 rounds to one."""
    f = torch.tensor([[shift, shift + gap]], dtype=torch.float64)
    _, p, curvature = logistic_truth(gap)
    loss = SoftmaxCrossEntropy()
    assert float(loss.h(f)) == pytest.approx(shift + logistic_truth(gap)[0], rel=1e-15, abs=1e-13)
    assert_close(loss.h1(f)[0], [logistic_truth(-gap)[1], p], rounding(torch.float64, 1.0, 4))
    expected = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64) * curvature
    # a gap of two numbers of size |shift| is good to eps |shift|
    relative = rounding(torch.float64, 1.0, 16) + rounding(torch.float64, abs(shift), 1)
    assert_close(loss.h2(f)[0], expected, relative * curvature)


@pytest.mark.parametrize("f", [-FAR, 0.0, FAR])
def test_poisson_and_squared_far_out(f: float) -> None:
    value = torch.tensor([[f]], dtype=torch.float64)
    for order in range(3):
        assert float(Poisson().scalar(value, order)) == pytest.approx(float(mpmath.exp(f)), rel=1e-13, abs=0)
    assert [float(Squared().scalar(value, order)) for order in range(3)] == [f * f / 2, f, 1.0]


@every_loss
@pytest.mark.parametrize("f", [-FAR, FAR])
def test_nothing_is_nan_far_out(loss: Loss, f: float) -> None:
    out = torch.full((2, 3), f, dtype=torch.float64)
    for value in (loss.h(out), loss.h1(out), loss.h2(out)):
        assert torch.isfinite(value).all()


@given(st.floats(-700, 700), st.floats(-700, 700))
def test_logistic_symmetry(f: float, y: float) -> None:
    """h(f) - h(-f) = f, h'(f) + h'(-f) = 1."""
    out = torch.tensor([[f]], dtype=torch.float64)
    loss = Logistic()
    assert_close(loss.h(out) - loss.h(-out), [f], rounding(torch.float64, abs(f) + 1, 4))
    assert_close(loss.h1(out) + loss.h1(-out), [[1.0]], rounding(torch.float64, 1.0, 4))


# -- labels


def prepared(loss: Loss, y: Tensor, outputs: int) -> Tensor:
    return loss.prepare(y, torch.zeros(len(y), outputs, dtype=torch.float64))


def test_labels_become_a_matrix_of_the_outputs_dtype() -> None:
    assert prepared(Logistic(), torch.tensor([0, 1, 1]), 1).tolist() == [[0.0], [1.0], [1.0]]
    assert prepared(Logistic(), torch.tensor([True, False]), 1).tolist() == [[1.0], [0.0]]
    assert prepared(SoftmaxCrossEntropy(), torch.tensor([2, 0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert prepared(SoftmaxCrossEntropy(), torch.tensor([2.0, 0.0]), 3).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert prepared(SoftmaxCrossEntropy(), torch.tensor([1, 0]), 4).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]
    assert prepared(SoftmaxCrossEntropy(), torch.tensor([[0, 1], [1, 0]]), 2).dtype == torch.float64
    assert prepared(Squared(), torch.tensor([[-3.0, 1e9]]), 2).tolist() == [[-3.0, 1e9]]


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_soft_labels_in_float32_fit_a_float64_network(classes: int) -> None:
    """Their rows sum to one as float32 does, which is 1e-7 off in float64."""
    generator = torch.Generator().manual_seed(0)
    y = torch.softmax(torch.randn(20, classes, generator=generator), -1)
    assert y.dtype == torch.float32
    assert prepared(SoftmaxCrossEntropy(), y, classes).dtype == torch.float64


@pytest.mark.parametrize(("samples", "classes"), [(1, 10), (100, 2)])
def test_rows_may_miss_one_by_their_rounding_alone(samples: int, classes: int) -> None:
    """8 eps a class, of however many samples."""
    y = torch.full((samples, classes), 1 / classes, dtype=torch.float64)
    y[0, 0] += 4 * classes * torch.finfo(torch.float64).eps
    assert prepared(SoftmaxCrossEntropy(), y, classes).shape == y.shape
    y[0, 0] += 12 * classes * torch.finfo(torch.float64).eps
    with pytest.raises(ValueError, match="its rows sum to"):
        prepared(SoftmaxCrossEntropy(), y, classes)


REFUSED = [
    (Logistic(), [1.5, 0.0], 1, r"y lies in \[0, 1.5\]: Logistic\(\) needs labels in \[0, 1\]"),
    (Logistic(), [-1, 1], 1, r"y lies in \[-1, 1\]: Logistic\(\) needs labels in \[0, 1\]"),
    (Logistic(), [[0.0, 1.0], [0.0, 1.0]], 1, r"outputs have shape \(2, 1\) and y \(2, 2\)"),
    (Logistic(), [0.0, 1.0], 2, r"outputs have shape \(2, 2\) and y \(2,\)"),
    (Poisson(), [-0.5, 1.0], 1, r"y lies in \[-0.5, 1\]: Poisson\(\) needs labels >= 0"),
    (Squared(), [float("nan"), 1.0], 1, r"y has 1 entry that is NaN or inf, the first \(nan\) at \(0, 0\)"),
    (SoftmaxCrossEntropy(), [0, 3], 3, r"y lies in \[0, 3\]: .*integers in 0..2"),
    (SoftmaxCrossEntropy(), [-1, 1], 3, r"y lies in \[-1, 1\]: .*integers in 0..2"),
    (SoftmaxCrossEntropy(), [0.5, 1.0], 3, r"y lies in \[0.5, 1\]: .*integers in 0..2"),
    (SoftmaxCrossEntropy(), [0, 0], 1, r"outputs have shape \(2, 1\).*K >= 2.*use Logistic\(\)"),
    (SoftmaxCrossEntropy(), [[0.5, 0.6]], 2, r"its rows sum to 1.1 .*needs class indices, or rows"),
    (SoftmaxCrossEntropy(), [[1.5, -0.5]], 2, r"y lies in \[-0.5, 1.5\].*non-negative"),
    (SoftmaxCrossEntropy(), [[2, -1]], 2, r"y lies in \[-1, 2\].*non-negative"),
    (SoftmaxCrossEntropy(), [[1, 1], [0, 1]], 2, r"its rows sum to 1 .. 2: .*sum to one"),
    (SoftmaxCrossEntropy(), [[0, 0], [0, 1]], 2, r"its rows sum to 0 .. 1: .*sum to one"),
]


@pytest.mark.parametrize(("loss", "y", "outputs", "message"), REFUSED)
def test_labels_outside_what_the_loss_allows(loss: Loss, y: list, outputs: int, message: str) -> None:
    y_tensor = torch.tensor(y, dtype=torch.float64 if isinstance(torch.tensor(y).sum().item(), float) else None)
    with pytest.raises(ValueError, match=message):
        prepared(loss, y_tensor, outputs)


def test_outputs_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match=r"the model's outputs has 1 entry that is NaN or inf|the model's outputs"):
        Squared().prepare(torch.zeros(2), torch.tensor([[0.0], [float("inf")]]))


def test_elementwise_losses_are_sums_over_outputs() -> None:
    f = points()
    for loss in (Logistic(), Squared(), Poisson()):
        assert isinstance(loss, ElementwiseLoss)
        assert_close(loss.h(f), sum(loss.h(f[:, k : k + 1]) for k in range(3)), rounding(torch.float64, 100.0, 4))
        assert_close(loss.h2(f), torch.diag_embed(loss.h1(f) * 0 + loss.scalar(f, 2)), 0.0)
