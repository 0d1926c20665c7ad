"""The expansion to any order: against rationals, the second-order expansion and the oracle, and what it refuses."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from flint import fmpq, fmpq_mpoly
from torch import Tensor, nn

import msda_theory as mt
from msda_theory.expansions import all_orders
from msda_theory.expansions.all_orders import FORMS, Share, directional_terms
from msda_theory.expansions.directions import derivatives_at_zero, output_derivatives
from msda_theory.losses import Loss
from paper_checks.mixupe2023.cases import DEGREES, problem
from tests.helpers import LOSSES, Quadratic, TanhNetwork, assert_close, inputs, labels, relu_network
from verify.directional_order import directional_remainder_order
from verify.tiny_all_orders import BetaLaw, expansion, mixup_loss
from verify.tolerances import difference_quotient, rounding

RATIOS = [
    mt.Beta(1.0, 1.0),
    mt.Beta(0.3, 2.0),
    mt.Discrete((0.2, 0.5, 1.0), (0.5, 0.25, 0.25)),
    mt.Mixture((0.25, 0.75), (mt.Beta(0.5, 0.5), mt.Beta(4.0, 1.0))),
]
every_ratio = pytest.mark.parametrize("ratio", RATIOS, ids=repr)
every_form = pytest.mark.parametrize("form", FORMS)


def as_function(polynomials: tuple[fmpq_mpoly, ...]) -> Callable[[Tensor], Tensor]:
    def value(polynomial: fmpq_mpoly, u: Tensor) -> Tensor:
        total = torch.zeros_like(u[..., 0])
        for exponents, c in polynomial.to_dict().items():
            powers = [u[..., k] ** int(e) for k, e in enumerate(exponents) if int(e)]
            total = total + float(Fraction(str(c))) * math.prod(powers, start=torch.ones_like(total))
        return total

    return lambda u: torch.stack([value(p, u) for p in polynomials], -1)


class PolynomialLoss(Loss):
    """h of a rational problem; h' and h'' are not asked for."""

    def __init__(self, h: fmpq_mpoly) -> None:
        self.values = as_function((h,))

    def h(self, f: Tensor) -> Tensor:
        return self.values(f)[..., 0]

    def h1(self, f: Tensor) -> Tensor:
        raise AssertionError

    h2 = h1


def floats(rows: object) -> Tensor:
    return torch.tensor([[float(Fraction(str(v))) for v in row] for row in rows], dtype=torch.float64)  # type: ignore[attr-defined]


@every_form
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize(("degree_f", "degree_h"), DEGREES)
def test_every_order_against_rationals(form: str, outputs: int, degree_f: int, degree_h: int) -> None:
    p, law = problem(outputs, degree_f, degree_h), BetaLaw(fmpq(1, 3), fmpq(2))
    data = as_function(p.f), PolynomialLoss(p.h), floats(p.x), floats(p.y), mt.Beta(1 / 3, 2.0)
    for order in (1, 3):
        found = mt.directional_loss(*data, order, form=form)
        exact = float(Fraction(str(expansion(p, law, order, form))))
        assert_close(found.total, exact, rounding(torch.float64, 10 + sum(map(abs, found.terms)), 1000), f"{order}")
        assert len(found.terms) == order


@every_form
def test_order_six_against_rationals(form: str) -> None:
    p, law = problem(1, 3, 2), BetaLaw(fmpq(1), fmpq(1))
    found = mt.directional_loss(
        as_function(p.f), PolynomialLoss(p.h), floats(p.x), floats(p.y), mt.Beta(1.0, 1.0), 6, form=form
    )
    exact = float(Fraction(str(expansion(p, law, 6, form))))
    assert_close(found.total, exact, rounding(torch.float64, 10 + sum(map(abs, found.terms)), 1000))


@pytest.mark.parametrize("degrees", [d for d in DEGREES if math.prod(d) < 6])
def test_exact_where_f_and_h_are_polynomials(degrees: tuple[int, int]) -> None:
    """The plain form at J = deg f deg h, the nested one at the larger degree; the rational oracle is the library's."""
    p, law = problem(2, *degrees), BetaLaw(fmpq(1, 3), fmpq(2))
    data = as_function(p.f), PolynomialLoss(p.h), floats(p.x), floats(p.y)
    ratio = mt.Beta(1 / 3, 2.0)
    exact = mt.exact_loss(*data, mt.Augmentation(ratio, mt.masks.Mixup((2,))), rtol=1e-11)
    assert_close(exact.value, float(Fraction(str(mixup_loss(p, law)))), exact.error + 1e-13)
    for form, order in (("plain", math.prod(degrees)), ("nested", max(degrees))):
        found = mt.directional_loss(*data, ratio, order, form=form)
        assert_close(found.total, exact.value, exact.error + rounding(torch.float64, 100.0, 1000))


@every_ratio
@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_order_two_is_the_second_order_expansion(ratio: mt.RatioLaw, loss: Loss) -> None:
    model, x = TanhNetwork((2, 3), 2), inputs(4, 2, 3)
    y = labels(loss, 4, 2)
    found = mt.directional_loss(model, loss, x, y, ratio, 2)
    theory = mt.taylor_loss(model, loss, x, y, mt.Augmentation(ratio, mt.masks.Mixup((2, 3))))
    expected = theory.standard, theory.r1, theory.r2 + theory.r3
    allowed = rounding(torch.float64, 10.0, 1000)
    assert_close((found.standard, *found.terms), expected, allowed)


@pytest.mark.parametrize("form", ["plain", "nested"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_remainder_is_of_the_next_order(form: str, order: int) -> None:
    x, loss = inputs(3, 2) / 4, mt.losses.Logistic()
    data = TanhNetwork((2,), seed=1), loss, x, labels(loss, 3, 1), mt.Beta(1.0, 0.5), order
    assert directional_remainder_order(*data, form=form).slope == pytest.approx(order + 1, abs=0.1)
    assert directional_remainder_order(*data, form=form, factor=0.5).slope == pytest.approx(order, abs=0.1)


def test_with_the_mean_within_the_remainder_stays_of_second_order() -> None:
    x, loss = inputs(3, 2) / 4, mt.losses.Logistic()
    data = TanhNetwork((2,), seed=1), loss, x, labels(loss, 3, 1), mt.Beta(1.0, 0.5)
    for order in (1, 2, 3):
        assert directional_remainder_order(*data, order, form="averaged").slope == pytest.approx(2, abs=0.1)


def test_to_first_order_the_forms_agree_up_to_what_the_loss_bends() -> None:
    """Order 1 of h in "nested" is a whole derivative of h, linear in Delta: "averaged" has the same."""
    x, loss = inputs(3, 2), mt.losses.SoftmaxCrossEntropy()
    data = TanhNetwork((2,), 3), loss, x, labels(loss, 3, 3), mt.Beta(0.7, 2.0)
    plain, nested, averaged = (mt.directional_loss(*data, 1, form=form).terms[0] for form in FORMS)
    assert_close((plain, averaged), (nested, nested), rounding(torch.float64, 10.0, 100))


@every_ratio
def test_moments_of_the_share(ratio: mt.RatioLaw) -> None:
    share = Share.of(ratio, 6)
    for power in range(1, 7):
        assert share.moments[power - 1] == pytest.approx(ratio.tilted().moment(0, power), rel=1e-12)
    for power in range(37):
        found = float(share.weights @ share.values**power)
        assert found == pytest.approx(ratio.tilted().moment(0, power), rel=1e-10)


def test_derivatives_of_known_functions() -> None:
    like = torch.zeros((), dtype=torch.float64)
    found = derivatives_at_zero(lambda a: torch.stack([torch.exp(2 * a), torch.sin(a)]), 6, like)
    assert_close(found[:, 0], [2.0**k for k in range(7)], 1e-12)
    assert_close(found[:, 1], [0, 1, 0, -1, 0, 1, 0], 1e-12)


def test_derivatives_along_every_pair() -> None:
    """f = u^3 v: along a move (s, t) the third derivative is 6 s^3 v + 18 s^2 u t."""
    x = inputs(4, 2)
    found = output_derivatives(lambda z: z[:, 0] ** 3 * z[:, 1], x, 3, torch.tensor([1, 3]))
    u, v = x[[1, 3], 0].unsqueeze(1), x[[1, 3], 1].unsqueeze(1)
    s, t = x[:, 0] - u, x[:, 1] - v
    assert found.shape == (4, 2, 4, 1)
    assert_close(found[3, ..., 0], 6 * s**3 * v + 18 * s**2 * u * t, 1e-11)


@pytest.mark.parametrize("form", FORMS)
def test_terms_are_differentiable_in_the_parameters(form: str) -> None:
    model, loss, x = TanhNetwork((2,)), mt.losses.Logistic(), inputs(3, 2) / 3
    y, share = labels(loss, 3, 1), Share.of(mt.Beta(1.0, 2.0), 3)

    def value() -> Tensor:
        return directional_terms(output_derivatives(model, x, 3, torch.arange(3)), loss, y, share, form).sum()

    (gradient,) = torch.autograd.grad(value(), [model.inner])
    entry, quotients = model.inner.data.view(-1), []
    before = entry[1].clone()
    for step in (1e-4, 2e-4):
        found = []
        for shift in (step, -step):
            entry[1] = before + shift
            found.append(float(value().detach()))
        quotients.append((found[0] - found[1]) / (2 * step))
    entry[1] = before
    fine, coarse = quotients
    assert_close(gradient.view(-1)[1], fine, difference_quotient(fine, coarse, 1e-4, 20.0))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, loss = inputs(5, 2, 3), mt.losses.Squared()
    data = TanhNetwork((2, 3), 2), loss, x, labels(loss, 5, 2), mt.Beta(1.0, 2.0), 3
    whole = [mt.directional_loss(*data, form=form) for form in FORMS]
    monkeypatch.setattr(all_orders, "CHUNK_ELEMENTS", 1)
    monkeypatch.setattr("msda_theory.expansions.directions.CHUNK_ELEMENTS", 100)
    for form, expected in zip(FORMS, whole, strict=True):
        found = mt.directional_loss(*data, form=form)
        assert_close(found.terms, expected.terms, rounding(torch.float64, 1e3, 1000))


def test_single_precision_and_arguments_left_alone() -> None:
    x, loss, model = inputs(3, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y = labels(loss, 3, 1)
    double = mt.directional_loss(model, loss, x, y, mt.Beta(1.0, 1.0), 3)
    given = x.float(), y.float()
    copies = [v.clone() for v in given]
    single = mt.directional_loss(model.float(), loss, *given, mt.Beta(1.0, 1.0), 3)
    assert_close(single.terms, double.terms, 1e-4)
    assert all(torch.equal(a, b) for a, b in zip(given, copies, strict=True))


def test_as_text() -> None:
    found = mt.DirectionalLoss(1.0, (0.5, -0.25), "plain")
    assert str(found) == "1.25 (standard 1, order 1 0.5, order 2 -0.25; plain form)"


# -- notices and errors

LOSS = mt.losses.Logistic()
X, Y = inputs(3, 2), labels(LOSS, 3, 1)


@every_form
def test_kinks_are_told(form: str) -> None:
    with pytest.warns(mt.ZeroHessianNotice, match="derivatives of order 2 are zero at every sample") as told:
        mt.directional_loss(relu_network(0), LOSS, X, Y, mt.Beta(1.0, 1.0), 3, form=form)
    assert told[0].filename == __file__


@pytest.mark.parametrize(
    ("model", "order"), [(Quadratic((2,), curved=False), 2), (Quadratic((2,)), 3), (TanhNetwork((2,)), 4)]
)
def test_smooth_networks_are_not_told_of(model: nn.Module, order: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mt.directional_loss(model, LOSS, X, Y, mt.Beta(1.0, 1.0), order)


def test_a_derivative_that_is_not_finite_is_named() -> None:
    """|x|^(5/2) at a sample 0: two derivatives and no third."""
    x, loss = torch.tensor([[1.0], [0.0], [-2.0]]).double(), mt.losses.Squared()
    data = (lambda z: z.abs() ** 2.5), loss, x, torch.ones(3).double(), mt.Beta(1.0, 1.0)
    assert math.isfinite(mt.directional_loss(*data, 2).total)
    with pytest.raises(ValueError, match=r"order=3: .* derivative of order 3 .* not finite at sample 1; needed is"):
        mt.directional_loss(*data, 3)


class OnlyReverse(torch.autograd.Function):
    """An operation without forward differentiation."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.sum(1)

    @staticmethod
    def setup_context(ctx: object, inputs: tuple[Tensor], output: Tensor) -> None: ...

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient.unsqueeze(1).expand(-1, 2)


def test_a_model_that_torch_cannot_differentiate_is_refused() -> None:
    with pytest.raises(mt.TransformRefusedError, match="model: "):
        mt.directional_loss(OnlyReverse.apply, LOSS, X, Y, mt.Beta(1.0, 1.0), 2)


@pytest.mark.parametrize("order", [0, -1, 1.5, True, "2", None])
def test_orders_that_are_none(order: object) -> None:
    with pytest.raises(ValueError, match=r"order=.*: needed is an integer >= 1"):
        mt.directional_loss(TanhNetwork((2,)), LOSS, X, Y, mt.Beta(1.0, 1.0), order)  # type: ignore[arg-type]


class MustNotRun(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise AssertionError("the model was called")


BAD = [
    ({"form": "printed"}, ValueError, r"form='printed': needed is one of 'plain', 'nested', 'averaged'"),
    ({"ratio": 0.5}, TypeError, "ratio is 0.5: needed is a RatioLaw"),
    ({"loss": mt.losses.Logistic}, TypeError, "loss is the class Logistic: needed is a Loss"),
    ({"x": X[:1], "y": Y[:1]}, ValueError, "x holds 1 sample"),
    ({"y": Y[:2]}, ValueError, "x holds 3 samples and y has shape"),
    ({"x": X.long()}, TypeError, "x has dtype torch.int64"),
    ({"model": nn.Sequential(nn.Dropout(), nn.Linear(2, 1))}, ValueError, "Dropout '0' is in train mode"),
]


@pytest.mark.parametrize(("changed", "error", "said"), BAD, ids=[str(said)[:40] for _, _, said in BAD])
def test_bad_input_before_any_work(changed: dict[str, object], error: type[Exception], said: str) -> None:
    given = {"model": MustNotRun(), "loss": LOSS, "x": X, "y": Y, "ratio": mt.Beta(1.0, 1.0), "order": 2} | changed
    with pytest.raises(error, match=said):
        mt.directional_loss(**given)  # type: ignore[arg-type]
