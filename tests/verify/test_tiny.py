"""The exact-arithmetic oracle against closed forms, and the library against the oracle."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from flint import acb, fmpq
from scipy import integrate, stats

from msda_theory import Augmentation, Beta, exact_loss, masks, taylor_loss
from msda_theory.losses import ElementwiseLoss
from msda_theory.masks import MaskLaw
from paper_checks.exact_cases import problem
from verify.tiny_laws import Cell, TinyLaw, bernoulli, cutmix, exact_area, gmix, hmix, mixup, stochastic
from verify.tiny_problems import BetaInt, TinyProblem, average, expansion, msda_loss, two_role_moments

HALF = fmpq(1, 2)
LAWS: list[tuple[TinyLaw, Callable[[], MaskLaw]]] = [
    (mixup(4), lambda: masks.Mixup((2, 2))),
    (bernoulli(4), lambda: masks.Bernoulli((2, 2))),
    *((cutmix(2, 3, s), lambda s=s: masks.CutMix((2, 3), sampler=s)) for s in masks.SAMPLERS),  # type: ignore[misc]
    *((hmix(2, 3, HALF, s), lambda s=s: masks.HMix((2, 3), r=0.5, sampler=s)) for s in masks.SAMPLERS),  # type: ignore[misc]
    (gmix(2, 2), lambda: masks.GMix((2, 2), kernel="printed")),
    (stochastic(2, 3, fmpq(1, 4), "inside"), lambda: masks.Stochastic((2, 3), q=0.25, sampler="inside")),
]


class TinyLoss(ElementwiseLoss):
    """h(u) = p u + q u^2/2 of a TinyProblem."""

    def __init__(self, p: float, q: float) -> None:
        self.p, self.q = p, q

    def scalar(self, f: torch.Tensor, order: int) -> torch.Tensor:
        return (self.p * f + self.q * f**2 / 2, self.p + self.q * f, torch.full_like(f, self.q))[order]


def as_float(value: object) -> float:
    return float(value.real.mid()) if isinstance(value, acb) else float(Fraction(str(value)))


def as_tensor(value: object) -> torch.Tensor:
    rows = [[as_float(v) for v in row] if isinstance(row, list | tuple) else as_float(row) for row in value]  # type: ignore[attr-defined]
    return torch.tensor(rows, dtype=torch.float64)


def network(p: TinyProblem, shape: tuple[int, ...]) -> Callable[[torch.Tensor], torch.Tensor]:
    w, bend = as_tensor(p.w), as_tensor(p.Q)

    def f(z: torch.Tensor) -> torch.Tensor:
        flat = z.flatten(1)
        return flat @ w + torch.einsum("nj,jk,nk->n", flat, bend, flat) / 2

    return f


@pytest.mark.parametrize(("a", "b"), [(1, 1), (2, 1), (1, 3), (3, 2)])
def test_densities_are_the_beta_laws(a: int, b: int) -> None:
    ratio, total = BetaInt(a, b), a + b
    for k in range(1, 10):
        t = fmpq(k, 10)
        mix = a / total * stats.beta(a + 1, b).pdf(k / 10) + b / total * stats.beta(b + 1, a).pdf(k / 10)
        assert as_float(ratio.density(t)) == pytest.approx(stats.beta(a, b).pdf(k / 10), rel=1e-13)
        assert as_float(ratio.tilted_density(t)) == pytest.approx(mix, rel=1e-13)
    assert average(mixup(1), ratio.density, lambda lam, mask: 1) == 1
    assert average(mixup(1), ratio.tilted_density, lambda lam, mask: 1) == 1


@pytest.mark.parametrize("degree", range(14))
def test_rational_integrals_are_exact(degree: int) -> None:
    def power(lam: fmpq) -> fmpq:
        return lam**degree if degree else fmpq(1)

    left, right = fmpq(1, 3), fmpq(4, 5)
    cell = Cell(left, right, lambda lam: [(1, [lam])])
    found = average(TinyLaw("one cell", 1, (cell,)), power, lambda lam, mask: 1)
    assert found == (right ** (degree + 1) - left ** (degree + 1)) / (degree + 1)


def test_ball_integrals_enclose_the_truth() -> None:
    """E[1-M_1] of the printed GMix on 2 x 2 pixels, lambda uniform, against adaptive quadrature."""
    from math import exp, pi

    truth = integrate.quad(lambda t: sum(exp(-pi * d / (8 * (1 - t))) for d in (0, 1, 1, 2)) / 4, 0, 1)[0]
    ball = average(gmix(2, 2), BetaInt(1, 1).density, lambda lam, mask: 1 - mask[0]).real
    assert abs(float(ball.mid()) - truth) <= float(ball.rad()) + 1e-10
    assert float(ball.rad()) < 1e-6


def test_the_exact_area_law_meets_its_assumption() -> None:
    for law in (exact_area(3, fmpq(1)), exact_area(3, HALF)):
        for cell in law.cells:
            lam = (2 * cell.left + cell.right) / 3
            atoms = cell.atoms(lam)
            assert sum(p for p, _ in atoms) == 1 and all(p >= 0 for p, _ in atoms)
            assert all(sum(p * m[j] for p, m in atoms) == lam for j in range(9))


@pytest.mark.parametrize(("tiny", "make"), LAWS, ids=lambda v: getattr(v, "name", ""))
def test_library_atoms_are_the_tiny_atoms(tiny: TinyLaw, make: Callable[[], MaskLaw]) -> None:
    law = make()
    for cell in tiny.cells:
        lam = (cell.left + 2 * cell.right) / 3
        mean = as_tensor([sum(p * m[j] for p, m in cell.atoms(lam)) for j in range(tiny.size)])
        difference = (law.mean(as_float(lam)).flatten() - mean).abs().max()
        assert float(difference) <= 64 * torch.finfo(torch.float64).eps


@pytest.mark.parametrize(("tiny", "make"), LAWS, ids=lambda v: getattr(v, "name", ""))
@pytest.mark.parametrize("linear", [True, False])
def test_exact_loss_and_expansion_against_exact_arithmetic(
    tiny: TinyLaw, make: Callable[[], MaskLaw], linear: bool
) -> None:
    """exact_loss and taylor_loss against (4) and the two-role terms, in rationals or balls."""
    ratio, p, law = BetaInt(2, 1), problem(tiny.size, 2, linear=linear, centred=False), make()
    x, y = as_tensor(p.x).reshape(-1, *law.shape), as_tensor(p.y)
    loss, model = TinyLoss(as_float(p.p), as_float(p.q)), network(p, law.shape)
    augmentation = Augmentation(Beta(2.0, 1.0), law)
    truth = msda_loss(p, tiny, ratio)
    radius = float(truth.real.rad()) if isinstance(truth, acb) else 0.0
    exact = exact_loss(model, loss, x, y, augmentation, rtol=1e-12)
    slack = radius + 1e3 * torch.finfo(torch.float64).eps * max(1.0, abs(exact.value))
    assert abs(exact.value - as_float(truth)) <= exact.error + slack
    terms, theory = expansion(p, two_role_moments(tiny, ratio)), taylor_loss(model, loss, x, y, augmentation)
    for name in ("standard", "r1", "r2", "r3"):
        stated = getattr(terms, name)
        off = float(stated.real.rad()) if isinstance(stated, acb) else 0.0
        assert abs(getattr(theory, name) - as_float(stated)) <= 4 * off + slack, name
