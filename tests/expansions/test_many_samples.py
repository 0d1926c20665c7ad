"""Theorem 5 where it must be exact, term by term against rationals, and where the printed form is another."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from fractions import Fraction
from itertools import product

import pytest
import torch
from flint import fmpq
from torch import Tensor

import msda_theory as mt
from msda_theory.expansions import PartnerMoments, partner_moments, partner_terms
from msda_theory.losses import Loss
from paper_checks.exact_cases import problem
from tests.helpers import LOSSES, LinearLoss, Quadratic, TanhNetwork, assert_close, inputs, labels, relu_network
from verify.tiny_many import n_mixup_expansion
from verify.tolerances import rounding

LAWS = [
    mt.Dirichlet((0.3, 2.0)),
    mt.Dirichlet((1.0, 1.0, 1.0)),
    mt.Dirichlet((0.3, 2.0, 0.7)),
    mt.Dirichlet((0.5, 1.0, 2.0, 3.0)),
]
every_law = pytest.mark.parametrize("law", LAWS, ids=repr)
TERMS = ("standard", "r1", "r2", "r3")


def values(terms: object) -> list[float]:
    return [float(getattr(terms, name)) for name in TERMS]


EXACT_CASES: list[tuple[Callable[..., Quadratic], Loss]] = [
    (lambda outputs: Quadratic((2, 3), outputs, curved=False), mt.losses.Squared()),
    (lambda outputs: Quadratic((2, 3), outputs), LinearLoss()),
]


@every_law
@pytest.mark.parametrize(("make", "loss"), EXACT_CASES, ids=["affine, squared", "quadratic, linear"])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("samples", [2, 3, 4])
def test_no_remainder_where_there_is_none(
    law: mt.Dirichlet, make: Callable[..., Quadratic], loss: Loss, outputs: int, samples: int
) -> None:
    """Uncentred data, any n against any m; and as printed none only where m = n."""
    x, model = inputs(samples, 2, 3), make(outputs)
    y = labels(loss, samples, outputs)
    exact = mt.n_mixup_loss(model, loss, x, y, law, rtol=1e-11)
    theory = mt.n_mixup_terms(model, loss, x, y, law)
    allowed = exact.error + rounding(torch.float64, max(map(abs, values(theory))) + abs(exact.value), 6**2 + 100)
    assert_close(theory.total, exact.value, allowed)
    printed = mt.n_mixup_terms(model, loss, x, y, law, as_printed=True)
    assert (abs(printed.total - exact.value) <= allowed) is (samples == len(law))
    assert (theory.form, printed.form) == ("default", "printed")


class RationalLoss(LinearLoss):
    """h(u) = p u + q u^2/2 of a tiny problem."""

    def __init__(self, p: float, q: float) -> None:
        super().__init__(p)
        self.q = q

    def scalar(self, f: Tensor, order: int) -> Tensor:
        return super().scalar(f, order) + (self.q * f**2 / 2, self.q * f, torch.full_like(f, self.q))[order]


def floats(rows: object) -> Tensor:
    return torch.tensor(
        [[float(Fraction(str(v))) for v in (row if isinstance(row, list) else [row])] for row in rows],  # type: ignore[attr-defined]
        dtype=torch.float64,
    )


@pytest.mark.parametrize("alpha", [(3, 1), (1, 1, 1), (1, 2, 4), (1, 2, 1, 3)])
@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("as_printed", [False, True], ids=["default", "printed"])
def test_every_term_against_rationals(alpha: tuple[int, ...], linear: bool, as_printed: bool) -> None:
    p = problem(3, 3, linear=linear, centred=False)
    w, bend = floats(p.w)[:, 0], floats(p.Q)

    def model(z: Tensor) -> Tensor:
        return z @ w + torch.einsum("nj,jk,nk->n", z, bend, z) / 2

    loss = RationalLoss(float(Fraction(str(p.p))), float(Fraction(str(p.q))))
    stated = n_mixup_expansion(p, tuple(map(fmpq, alpha)), 3 if as_printed else len(alpha))
    law = mt.Dirichlet(tuple(map(float, alpha)))
    theory = mt.n_mixup_terms(model, loss, floats(p.x), floats(p.y), law, as_printed=as_printed)
    expected = [float(Fraction(str(getattr(stated, name)))) for name in TERMS]
    assert_close(values(theory), expected, rounding(torch.float64, max(map(abs, expected)), 200))


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.3, 2.0)])
def test_two_samples_are_mixup(loss: Loss, a: float, b: float) -> None:
    """A network of two outputs, and the expansion that knows of pairs alone."""
    x, model = inputs(5, 2, 3), TanhNetwork((2, 3), 2)
    y, augmentation = labels(loss, 5, 2), mt.Augmentation(mt.Beta(a, b), mt.masks.Mixup((2, 3)))
    found = values(mt.n_mixup_terms(model, loss, x, y, mt.Dirichlet((a, b))))
    expected = values(mt.taylor_loss(model, loss, x, y, augmentation))
    seen = augmentation.seen()
    relative = seen.error / float(seen.second.min())  # R2 and R3 are proportional to the second moment
    allowed = rounding(torch.float64, max(map(abs, expected)), 100) + relative * max(map(abs, expected))
    assert_close(found, expected, allowed)


@every_law
def test_moments_in_closed_form(law: mt.Dirichlet) -> None:
    """sum_k a(A-a)/(A)_2, sum_k a(a+1)(A-a)/(A)_3, sum_k a(A-a)(A-2a)/(A)_3 with a = alpha_k: 1-lambda_k is Beta."""
    total, found = law.total, partner_moments(law, range(1, len(law)))
    two, three = total * (total + 1), total * (total + 1) * (total + 2)
    assert found.first == pytest.approx(sum(a * (total - a) for a in law.alpha) / two, rel=1e-13)
    assert found.same == pytest.approx(sum(a * (a + 1) * (total - a) for a in law.alpha) / three, rel=1e-13)
    cross = sum(a * (total - a) * (total - 2 * a) for a in law.alpha) / three
    assert found.cross == pytest.approx(cross, rel=1e-12, abs=1e-15)
    if len(law) == 2:
        assert found.cross == 0


def test_masks_that_draw_each_pixel_from_one_of_n_samples() -> None:
    """n-sample mixing beyond n-Mixup: one-hot shares, independent over pixels given the ratios, by enumeration."""
    law, pixels, loss = LAWS[2], 2, LinearLoss()
    x, model, n = inputs(3, pixels), Quadratic((pixels,)), 3
    y = labels(loss, 3, 1)
    ratio = partner_moments(law, range(1, n))
    eye = torch.eye(pixels, dtype=torch.float64)
    first = ratio.first * torch.ones(pixels, dtype=torch.float64)
    moments = PartnerMoments(first, ratio.same * (1 - eye) + ratio.first * eye, ratio.cross * (1 - eye))
    rule, exact = law.rule(3), torch.zeros((), dtype=torch.float64)
    for sources in product(range(n), repeat=pixels):
        chance = torch.ones(len(rule), dtype=torch.float64)
        for source in sources:
            chance = chance * torch.from_numpy(rule.ratios)[:, source]
        weights = torch.from_numpy(rule.weights) * chance
        for indices in product(range(3), repeat=n):
            mixed = torch.stack([x[indices[source], p] for p, source in enumerate(sources)])
            label = torch.from_numpy(rule.ratios) @ y[list(indices)]
            exact = exact + (weights * loss(model(mixed[None]).expand(len(rule), 1), label)).sum() / 3**n
    with torch.no_grad():
        terms = partner_terms(model, loss, x, y, moments)
    assert_close(terms.total, exact, rounding(torch.float64, max(map(abs, values(terms))), 300))


def test_terms_are_differentiable_in_the_parameters() -> None:
    x, loss, model = inputs(3, 2), mt.losses.Logistic(), TanhNetwork((2,))
    y = labels(loss, 3, 1)
    partner_terms(model, loss, x, y, partner_moments(LAWS[2], range(1, 3))).total.backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in model.parameters())


def test_single_precision_stays_what_it_is() -> None:
    x, loss, model = inputs(3, 2).float(), mt.losses.Logistic(), TanhNetwork((2,)).float()
    y = labels(loss, 3, 1).float()
    assert partner_terms(model, loss, x, y, partner_moments(LAWS[2], range(1, 3))).total.dtype == torch.float32


def test_a_network_without_a_hessian_is_said() -> None:
    x, loss = inputs(4, 2), mt.losses.Logistic()
    with pytest.warns(mt.ZeroHessianNotice) as caught:
        mt.n_mixup_terms(relu_network(0), loss, x, labels(loss, 4, 1), LAWS[1])
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mt.n_mixup_terms(Quadratic((2,), curved=False), loss, x, labels(loss, 4, 1), LAWS[1])
