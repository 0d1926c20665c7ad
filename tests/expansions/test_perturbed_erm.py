"""Theorem 1 and Lemma 2 against the exact loss and enumeration; Theorem 3 where it is exact, and where it cancels."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import msda_theory as mt
from msda_theory import CancellingTermsWarning, NoInverseError, ZeroHessianNotice
from msda_theory.expansions import (
    ApproximateRisk,
    PerturbedData,
    completed_square,
    perturbed_data,
    perturbed_terms,
    printed_square,
)
from msda_theory.expansions.approximate_risk import _warn_of_cancellation
from msda_theory.general_losses import AutogradLoss, CrossEntropy, LinearInLabel, SquaredError
from msda_theory.masks import Mixup
from tests.helpers import LinearLoss, Quadratic, TanhNetwork, assert_close, inputs, labels, relu_network
from verify.perturbed_order import mixed_pairs, perturbed_at
from verify.tolerances import rounding

ATOM = mt.Mixture((0.5, 0.5), (mt.Beta(1.0, 1.0), mt.Discrete((0.5, 0.2), (0.5, 0.5))))
LAWS: list[mt.RatioLaw] = [mt.Beta(0.5, 0.5), mt.Beta(0.3, 2.0), mt.Beta(8.0, 8.0), ATOM, mt.Discrete((0.3,), (1.0,))]
every_law = pytest.mark.parametrize("law", LAWS, ids=repr)
PARTS = ("standard", "jacobian", "cross", "r2", "r4", "r1", "r3")


def general(y: Tensor, u: Tensor) -> Tensor:
    """A loss with every second derivative, not constant, and labels of another size than the outputs."""
    return (u.square().sum() + u[0] * y[0]).exp().log1p() + (y @ y) * u[1] / 4 + (y[1] * y[2]).sin()


def data(samples: int, d: int, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    return inputs(samples, d, seed=seed), labels(mt.losses.SoftmaxCrossEntropy(), samples, classes, seed)


# -- Theorem 1


@every_law
def test_the_rewriting_is_the_exact_loss(law: mt.RatioLaw) -> None:
    (x, y), model, loss = data(5, 4), TanhNetwork((4,), 3), mt.losses.SoftmaxCrossEntropy()
    exact = mt.exact_loss(model, loss, x, y, mt.Augmentation(law, Mixup((4,))), rtol=1e-11)
    found = mt.perturbed_loss(model, loss, x, y, law, rtol=1e-11)
    assert_close(found.value, exact.value, found.error + exact.error + rounding(torch.float64, abs(exact.value), 128))


@every_law
def test_the_rewriting_for_a_general_loss(law: mt.RatioLaw) -> None:
    """Against the sum over pairs and nodes of the ratio law itself, which knows no folded moments."""
    (x, y), model, loss = data(4, 2), TanhNetwork((2,), 2), AutogradLoss(general)
    expected = perturbed_at(model, loss, mixed_pairs(x, y, law), 1.0)
    found = mt.perturbed_loss(model, loss, x, y, law, rtol=1e-9)
    assert_close(found.value, expected.value, found.error + 1e-9 * expected.size)


@every_law
def test_perturbations_have_mean_zero_and_the_covariances_of_lemma_2(law: mt.RatioLaw) -> None:
    x, y = data(4, 3)
    at = perturbed_data(x.reshape(4, 1, 3), y, law)
    rule = at.theta.rule(16)
    theta, mass = torch.from_numpy(rule.ratio), torch.from_numpy(rule.mass) / len(x)
    found, allowed = at.covariances(), rounding(torch.float64, 16.0, 512)
    for i in range(len(x)):
        pairs = [at.perturbation(theta, torch.full((len(theta),), i), torch.full((len(theta),), j)) for j in range(4)]
        for delta_or_eps in (0, 1):
            mean = sum(mass @ pair[delta_or_eps] for pair in pairs)
            assert_close(mean, torch.zeros(3), allowed)
        for name, (a, b) in {"xx": (0, 0), "xy": (0, 1), "yy": (1, 1)}.items():
            mean = sum(torch.einsum("n,na,nb->ab", mass, pair[a], pair[b]) for pair in pairs)
            assert_close(getattr(found, name)[i], mean, allowed, name)


def test_labels_of_one_axis_are_a_column_of_numbers() -> None:
    x, y = inputs(3, 2), torch.tensor([0, 1, 1])
    flat, column = (perturbed_data(x, given, mt.Beta(1.0, 1.0)) for given in (y, y.unsqueeze(-1)))
    assert flat.y.shape == (3, 1) and flat.y.dtype == x.dtype
    assert torch.equal(flat.y, column.y)


def test_modified_samples_by_hand() -> None:
    at = perturbed_data(torch.tensor([[0.0], [4.0]]).double(), torch.tensor([0.0, 1.0]), mt.Discrete((0.25,), (1.0,)))
    assert at.x.flatten().tolist() == [0.5, 3.5] and at.y.flatten().tolist() == [0.125, 0.875]
    assert (at.mean, at.var, at.square) == (0.75, 0.0, 0.0625)


# -- Theorem 3


@every_law
@pytest.mark.parametrize("d", [2, 6], ids=["more samples than inputs", "fewer"])
def test_no_remainder_where_the_loss_is_quadratic(law: mt.RatioLaw, d: int) -> None:
    """Affine f: squared loss of the class, the whole squared error, and a quadratic loss left to autograd."""
    x, y = data(5, d)
    model = Quadratic((d,), 3, curved=False)
    quadratic = AutogradLoss(lambda y, u: (u[0] - y[1]) ** 2 + u[1] * y[0] - u[2] * u[0] + y[2] ** 2)
    for loss in (LinearInLabel(mt.losses.Squared()), SquaredError(), quadratic):
        expected = perturbed_at(model, loss, mixed_pairs(x, y, law), 1.0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CancellingTermsWarning)  # the third loss has an indefinite curvature
            risk = mt.approximate_mixup_risk(model, loss, x, y, law)
        scale = max(abs(getattr(risk, name)) for name in PARTS)
        assert_close(risk.total, expected.value, rounding(torch.float64, scale, 256), repr(loss))


@every_law
def test_no_remainder_for_a_bent_network_and_equal_labels(law: mt.RatioLaw) -> None:
    x, loss = inputs(5, 3), LinearLoss()
    y = torch.full((5, 1), 0.25, dtype=torch.float64)
    exact = mt.exact_loss(Quadratic((3,)), loss, x, y, mt.Augmentation(law, Mixup((3,))), rtol=1e-11)
    risk = mt.approximate_mixup_risk(Quadratic((3,)), loss, x, y, law)
    assert_close(risk.total, exact.value, exact.error + rounding(torch.float64, abs(risk.r2) + 8, 64))


@pytest.mark.parametrize("loss", [CrossEntropy(), SquaredError(), AutogradLoss(general)], ids=repr)
def test_second_order_terms_are_half_the_second_derivative(loss: object) -> None:
    """d^2/ds^2 of the enumerated loss at s = 0, by automatic differentiation along the perturbations."""
    outputs = 2 if isinstance(loss, AutogradLoss) else 3
    (x, y), model, law = data(5, 2), TanhNetwork((2,), outputs), LAWS[1]
    pairs = mixed_pairs(x, y, law)

    def value(s: Tensor) -> Tensor:
        return pairs.weights @ loss(pairs.y + s * pairs.eps, model(pairs.x + s * pairs.delta))  # type: ignore[operator]

    slope, zero = torch.func.grad(value), torch.zeros((), dtype=torch.float64)
    risk = mt.approximate_mixup_risk(model, loss, x, y, law)  # type: ignore[arg-type]
    assert_close(slope(zero), 0.0, 1e-12)
    assert_close(risk.total - risk.standard, torch.func.grad(slope)(zero) / 2, 1e-12)
    assert_close(risk.standard, value(zero), 1e-13)


@pytest.mark.parametrize(
    "loss", [CrossEntropy(), SquaredError(), AutogradLoss(lambda y, u: (u - y[:2]).cosh().sum())], ids=repr
)
@pytest.mark.parametrize("d", [2, 7], ids=["more samples than inputs", "fewer"])
def test_r1_and_r3_add_up_to_what_they_stand_for(loss: object, d: int) -> None:
    outputs = 2 if isinstance(loss, AutogradLoss) else 3
    (x, y), model = data(6, d), TanhNetwork((d,), outputs)
    risk = mt.approximate_mixup_risk(model, loss, x, y, LAWS[1])  # type: ignore[arg-type]
    assert risk.r1 >= 0 >= risk.r3
    assert_close(risk.r1 + risk.r3, risk.jacobian + risk.cross, rounding(torch.float64, risk.r1 - risk.r3, 512))


def test_the_printed_form_where_its_inverses_exist() -> None:
    (x, y), model, law = data(8, 2), TanhNetwork((2,), 3), LAWS[1]
    default = mt.approximate_mixup_risk(model, SquaredError(), x, y, law)
    printed = mt.approximate_mixup_risk(model, SquaredError(), x, y, law, as_printed=True)
    assert (default.form, printed.form) == ("default", "printed")
    for name in (*PARTS, "total"):
        assert_close(getattr(printed, name), getattr(default, name), 1e-11, name)
    at = PerturbedData.of(x, y, law)
    target, other = (f(model, SquaredError(), at).target for f in (completed_square, printed_square))
    assert_close(target, other, 1e-10, "J")


def test_the_printed_form_where_the_curvature_is_small() -> None:
    """That of the logistic loss is 1/4 at most, and has a root."""
    (x, y), model, loss = data(8, 2), TanhNetwork((2,), 3), LinearInLabel(mt.losses.Logistic())
    default, printed = (mt.approximate_mixup_risk(model, loss, x, y, LAWS[1], as_printed=p) for p in (False, True))
    assert_close(printed.total, default.total, 1e-10)


def test_the_target_is_the_regression_of_labels_on_inputs() -> None:
    """For the squared error J_i = Sigma_yx Sigma_xx^+: the slope that fits eps by delta with least squares."""
    x, y = data(4, 6)
    at = PerturbedData.of(x, y, LAWS[0])
    d, e = at.design()
    fitted = torch.linalg.lstsq(d[0], e[0], driver="gelsd").solution.T
    assert_close(completed_square(TanhNetwork((6,), 3), SquaredError(), at).target[0], fitted, 1e-10)


@pytest.mark.parametrize(
    ("loss", "d", "what"),
    [
        (CrossEntropy(), 2, "nabla_uu l of sample . is 3 x 3 of rank 2"),
        (SquaredError(), 9, "Sigma_xx of sample . is 9 x 9 of rank"),
        (AutogradLoss(lambda y, u: y @ u - u.square().sum()), 2, "eigenvalue -2"),
    ],
)
def test_the_printed_form_is_refused_where_it_is_not_defined(loss: object, d: int, what: str) -> None:
    x, y = data(6, d)
    with pytest.raises(NoInverseError, match=what):
        mt.approximate_mixup_risk(TanhNetwork((d,), 3), loss, x, y, LAWS[0], as_printed=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [30.0, 300.0])
def test_a_confident_network_keeps_its_total(scale: float) -> None:
    """Logits in the tens and hundreds: H is 1e-30 and less, R1 and R3 are lost, and the total is not.

    The cross term does not know H: it is linear in the outputs.
    """
    x, y = data(6, 3)
    hard, model = y.argmax(-1), Quadratic((3,), 3, curved=False)
    with pytest.warns(CancellingTermsWarning, match=r"has lost half of its digits|nan"):
        risk = mt.approximate_mixup_risk(lambda z: scale * model(z), CrossEntropy(), x, hard, LAWS[0])
    unit = perturbed_terms(model, CrossEntropy(), PerturbedData.of(x, nn.functional.one_hot(hard, 3).double(), LAWS[0]))
    assert math.isfinite(risk.total) and not risk.cancellation < 1e8
    assert_close(risk.cross, scale * float(unit.cross.detach()), 1e-12 * scale)


def test_a_square_that_cannot_be_completed_is_told() -> None:
    """l = -y . u: l_uu = 0, so R1 and R3 are 0 with pseudo-inverses, and the cross term is not."""
    x, y = data(5, 2)
    with pytest.warns(CancellingTermsWarning, match=r"range of nabla_uu l"):
        risk = mt.approximate_mixup_risk(Quadratic((2,), 3), LinearInLabel(LinearLoss(0.0)), x, y, LAWS[0])
    assert risk.r1 == risk.r3 == 0.0 and risk.cross != 0


def told(r1: float, r3: float, jacobian: float, cross: float, eps: float) -> list[str]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        _warn_of_cancellation(ApproximateRisk(1.0, r1, 0.0, r3, 0.0, jacobian, cross, "default"), eps)
    assert all(warning.category is CancellingTermsWarning for warning in seen)
    return [str(warning.message) for warning in seen]


def test_half_of_the_digits_are_the_border() -> None:
    """eps = 2^-10: the warning begins above (|r1| + |r3|) / |sum| = 32, and above a gap of a 32nd of |r1| + |r3|."""
    eps = 2.0**-10
    assert told(8.25, -7.75, 0.25, 0.25, eps) == []
    (cancelled,) = told(8.5, -8.0, 0.75, -0.25, eps)
    assert cancelled == (
        "r1 = 8.5 and r3 = -8 cancel: 3e+01 times the sum that they stand for, 0.5, so that r1 + r3 has lost half of "
        "its digits or more; use total, jacobian and cross"
    )
    assert told(1.0, 1.0, 1.0, 1.0625, eps) == told(1.0, 1.0, 1.0, 0.9375, eps) == []
    (off,) = told(1.0, 1.0, 1.5, 0.75, eps)
    assert off.startswith("r1 + r3 is off the sum that it stands for, 2.25, by -0.25: nabla_uy l Sigma_yx does not lie")
    assert told(1.0, 1.0, 1.0, 0.5, eps)[0].startswith("r1 + r3 is off the sum that it stands for, 1.5, by 0.5: ")
    assert "cancel: inf times" in told(1.0, -1.0, 0.5, -0.5, eps)[0]
    assert told(0.0, 0.0, 0.0, 0.0, eps) == []


# -- how it is used


def test_terms_are_differentiable_in_the_parameters() -> None:
    (x, y), model = data(4, 2), TanhNetwork((2,), 3)
    at = PerturbedData.of(x, y, LAWS[0])
    perturbed_terms(model, CrossEntropy(), at).total.backward()
    parameter, step = model.inner, 1e-5
    found, moved = parameter.grad[0, 0].item(), []
    for sign in (1, -1):
        with torch.no_grad():
            parameter[0, 0] += sign * step
            moved.append(float(perturbed_terms(model, CrossEntropy(), at).total))
            parameter[0, 0] -= sign * step
    assert found == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=1e-6)


def test_class_indices_and_one_hot_labels_agree_and_dtypes_are_kept() -> None:
    x, model = inputs(6, 2), TanhNetwork((2,), 3)
    y = torch.tensor([0, 0, 1, 2, 0, 1])
    law, loss = LAWS[0], mt.losses.SoftmaxCrossEntropy()
    of_classes = mt.approximate_mixup_risk(model, loss, x, y, law)
    assert of_classes == mt.approximate_mixup_risk(model, loss, x, nn.functional.one_hot(y, 3), law)
    single = mt.approximate_mixup_risk(model.float(), loss, x.float(), y, law)
    assert_close(single.total, of_classes.total, rounding(torch.float32, abs(of_classes.total) + 8, 64))
    assert PerturbedData.of(x.float(), nn.functional.one_hot(y, 3).float(), law).x.dtype == torch.float32


def test_arguments_are_not_changed() -> None:
    (x, y), model = data(4, 2), TanhNetwork((2,), 3)
    before = [v.clone() for v in (x, y, *model.parameters())]
    mt.approximate_mixup_risk(model, SquaredError(), x, y, LAWS[1])
    mt.perturbed_loss(model, SquaredError(), x, y, LAWS[1])
    assert all(torch.equal(a, b) for a, b in zip(before, (x, y, *model.parameters()), strict=True))


def test_a_relu_network_is_told() -> None:
    x, y = data(5, 2, classes=1)
    with pytest.warns(ZeroHessianNotice, match=r"^the Hessian is zero at every sample \(a ReLU network\?\): R2 is 0"):
        mt.approximate_mixup_risk(relu_network(0), SquaredError(), x, y, LAWS[0])


def test_other_networks_are_not() -> None:
    x, y = data(5, 2, classes=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ZeroHessianNotice)
        for model in (TanhNetwork((2,)), nn.Linear(2, 1).double()):
            mt.approximate_mixup_risk(model, SquaredError(), x, y, LAWS[0])


def test_no_mixing_leaves_the_standard_loss() -> None:
    (x, y), model = data(5, 2), TanhNetwork((2,), 3)
    risk = mt.approximate_mixup_risk(model, SquaredError(), x, y, mt.Discrete((0.0, 1.0), (0.5, 0.5)))
    assert risk.total == risk.standard == pytest.approx(float(SquaredError()(y, model(x)).mean().detach()), rel=1e-14)
    assert risk.cancellation == 1.0


def test_str_gives_the_total_the_terms_and_the_form() -> None:
    risk = ApproximateRisk(1.0, 0.5, 0.25, -0.25, 0.125, 0.375, -0.125, "default")
    terms = "standard 1, r1 0.5, r2 0.25, r3 -0.25, r4 0.125, jacobian 0.375, cross -0.125"
    assert str(risk) == f"1.625 ({terms}; default form)"
    assert replace(risk, r1=0.75, form="printed").total == 1.875
    assert risk.cancellation == 3.0


def test_bad_input_is_refused() -> None:
    (x, y), model, law = data(4, 2), TanhNetwork((2,), 3), LAWS[0]
    with pytest.raises(TypeError, match=r"law is 0\.5: needed is a RatioLaw"):
        mt.approximate_mixup_risk(model, SquaredError(), x, y, 0.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"loss is .*: needed is a GeneralLoss"):
        mt.perturbed_loss(model, nn.MSELoss(), x, y, law)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="rows sum to"):
        mt.approximate_mixup_risk(model, CrossEntropy(), x, 2 * y, law)
    with pytest.raises(ValueError, match="one label a sample"):
        mt.approximate_mixup_risk(model, SquaredError(), x, y[:3], law)
    with pytest.raises(ValueError, match="x holds 1 sample"):
        mt.perturbed_loss(model, SquaredError(), x[:1], y[:1], law)
    with pytest.raises(ValueError, match=r"rtol=0: needed is a finite number > 0"):
        mt.perturbed_loss(model, SquaredError(), x, y, law, rtol=0)
    with pytest.raises(ValueError, match="train mode"):
        mt.approximate_mixup_risk(nn.Sequential(nn.Dropout(), model).train(), SquaredError(), x, y, law)
    with pytest.raises(ValueError, match=r"y has shape \(4, 1, 3\)"):
        perturbed_data(x, y.unsqueeze(1), law)
