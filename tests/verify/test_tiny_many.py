"""The rational oracle of n samples against that of two, closed forms and the library; and the order test on n."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from flint import fmpq
from torch import Tensor

import msda_theory as mt
from paper_checks.exact_cases import problem
from tests.helpers import Quadratic, TanhNetwork, assert_close, inputs, labels
from verify.many_order import n_remainder_order, scaled_n_loss
from verify.tiny_laws import mixup
from verify.tiny_many import average, label_weighted_average, n_mixup_expansion, n_mixup_loss, ratios, role_loss
from verify.tiny_problems import BetaInt, Matrix, expansion, msda_loss, tilted_moments
from verify.tolerances import rounding

HALF = fmpq(1, 2)
ALPHAS = [(fmpq(1), fmpq(1)), (fmpq(3), fmpq(1)), (HALF, fmpq(2), fmpq(1)), (fmpq(1), HALF, fmpq(3), fmpq(2))]
every_alpha = pytest.mark.parametrize("alpha", ALPHAS, ids=str)
kinds = pytest.mark.parametrize("linear", [True, False], ids=["linear", "quadratic"])
LAW = mt.Dirichlet((0.3, 2.0, 0.7))


@every_alpha
def test_averages_are_the_library_moments(alpha: tuple[fmpq, ...]) -> None:
    lam, law = ratios(len(alpha)), mt.Dirichlet(tuple(float(Fraction(str(a))) for a in alpha))
    for mean, moment in ((average, law.moment), (label_weighted_average, law.label_weighted().moment)):
        for powers in ((2, 1), (0, 3), (1, 0)):
            raised = [*powers, *[0] * (len(alpha) - 2)]
            found = float(Fraction(str(mean(lam[0] ** powers[0] * lam[1] ** powers[1], alpha))))
            assert found == pytest.approx(moment(raised), rel=1e-12)
    assert average(sum(lam), alpha) == label_weighted_average(sum(lam), alpha) == 1


@kinds
@pytest.mark.parametrize("ratio", [BetaInt(1, 1), BetaInt(3, 1), BetaInt(1, 2)], ids=str)
def test_two_samples_are_mixup(ratio: BetaInt, linear: bool) -> None:
    """The loss by polynomials against the loss by integration; the terms one by one."""
    p, alpha = problem(2, 3, linear=linear, centred=False), (fmpq(ratio.a), fmpq(ratio.b))
    assert n_mixup_loss(p, alpha) == msda_loss(p, mixup(2), ratio)
    ours, theirs = n_mixup_expansion(p, alpha, 2), expansion(p, tilted_moments(mixup(2), ratio.tilted_density))
    assert all(getattr(ours, k) == getattr(theirs, k) for k in ("standard", "r1", "r2", "r3"))


@every_alpha
@kinds
@pytest.mark.parametrize("samples", [2, 3])
def test_the_theorem_is_exact_with_n_and_m_in_their_places(alpha: tuple[fmpq, ...], linear: bool, samples: int) -> None:
    p = problem(2, samples, linear=linear, centred=False)
    exact = n_mixup_loss(p, alpha)
    assert exact == role_loss(p, alpha, samples) == n_mixup_expansion(p, alpha, len(alpha)).total
    assert (exact == n_mixup_expansion(p, alpha, samples).total) is (samples == len(alpha))
    if len(alpha) < samples:
        assert exact != role_loss(p, alpha, len(alpha))
    assert exact != n_mixup_expansion(p, alpha, len(alpha), mean=average).total


def test_the_library_enumerates_the_same() -> None:
    p = problem(2, 3, linear=True, centred=False)
    x, y, w = floats(p.x), floats([p.y])[0], floats([p.w])[0]

    def model(z: Tensor) -> Tensor:
        return z @ w

    class Own(mt.losses.Squared):
        def scalar(self, f: Tensor, order: int) -> Tensor:
            return super().scalar(f, order) + (5 * f / 3, torch.full_like(f, 5 / 3), 0 * f)[order]

    law = mt.Dirichlet((0.5, 2.0, 1.0))
    found = mt.n_mixup_loss(model, Own(), x, y, law)
    exact = float(Fraction(str(n_mixup_loss(p, ALPHAS[2]))))
    assert_close(found.value, exact, found.error + rounding(torch.float64, 4.0, 100))


def floats(rows: Matrix) -> Tensor:
    return torch.tensor([[float(Fraction(str(v))) for v in row] for row in rows], dtype=torch.float64)


# -- the order of the remainder


def test_phi_at_one_is_the_loss_and_at_zero_the_standard_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    """At eps = 1 with as many nodes as the enumeration converges with."""
    monkeypatch.setattr("verify.many_order.ORDER", 64)
    x, loss, model = inputs(3, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y = labels(loss, 3, 1)
    with torch.no_grad():
        exact = mt.n_mixup_loss(model, loss, x, y, LAW, rtol=1e-9)
        one, zero = (scaled_n_loss(model, loss, x, y, LAW, eps).value for eps in (1.0, 0.0))
        assert_close(one, exact.value, exact.error + rounding(torch.float64, 4.0, 1000))
        assert_close(zero, loss(model(x), y).mean(), rounding(torch.float64, 4.0, 1000))


@pytest.mark.parametrize("alpha", [(1.0, 1.0), (1.0, 1.0, 1.0), (0.3, 2.0, 0.7), (0.5, 1.0, 2.0, 3.0)], ids=str)
def test_the_remainder_is_of_third_order(alpha: tuple[float, ...]) -> None:
    """And of second order where R2, or the cross part alone as with one partner, is wrong; of first where R1 is."""
    x, loss, model, law = inputs(3, 2), mt.losses.Logistic(), TanhNetwork((2,)), mt.Dirichlet(alpha)
    data = model, loss, x, labels(loss, 3, 1), law
    theory = mt.n_mixup_terms(*data)
    assert n_remainder_order(*data).slope == pytest.approx(3, abs=0.1)
    assert n_remainder_order(*data, theory=replace(theory, r2=theory.r2 / 2)).slope == pytest.approx(2, abs=0.1)
    assert n_remainder_order(*data, theory=replace(theory, r1=-theory.r1)).slope == pytest.approx(1, abs=0.1)
    if len(alpha) != len(x):
        printed = mt.n_mixup_terms(*data, as_printed=True)
        assert n_remainder_order(*data, theory=printed).slope == pytest.approx(2, abs=0.1)


def test_no_remainder_is_said() -> None:
    x, loss, model = inputs(3, 2), mt.losses.Squared(), Quadratic((2,), curved=False)
    fitted = n_remainder_order(model, loss, x, labels(loss, 3, 1), LAW)
    assert "the expansion is exact" in str(fitted)


def test_what_the_order_test_refuses() -> None:
    x, loss = inputs(40, 2), mt.losses.Logistic()
    y, theory = labels(loss, 40, 1), mt.TaylorLoss(0.0, 0.0, 0.0, 0.0, "none")
    law = mt.Dirichlet((1.0,) * 4)
    with pytest.raises(ValueError, match="40 samples mixed 4 at a time needs"):
        n_remainder_order(TanhNetwork((2,)), loss, x, y, law, theory=theory)
    with pytest.raises(TypeError, match=r"x has dtype torch.float32"):
        n_remainder_order(TanhNetwork((2,)).float(), loss, x[:3].float(), y[:3].float(), LAW)
