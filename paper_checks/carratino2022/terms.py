"""The second-order risk: the Taylor polynomial l_Q, and Theorem 3 with its inverses and without."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import torch
from flint import fmpq
from torch import Tensor

from msda_theory import (
    ApproximateRisk,
    Augmentation,
    Beta,
    CancellingTermsWarning,
    approximate_mixup_risk,
    exact_loss,
)
from msda_theory.general_losses import AutogradLoss, CrossEntropy, GeneralLoss
from msda_theory.losses import Squared
from msda_theory.masks import Mixup
from msda_theory.symbolic import perturbed_second_order, perturbed_terms
from paper_checks.carratino2022.printed import LAWS, ZERO, bent, merged_risk, printed_risk, straight, with_curvature
from paper_checks.exact_cases import readable
from paper_checks.findings import FAILS, ILL_POSED, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.orders import has_stated_order, smooth_digits
from paper_checks.park2022.rewriting import derivation_figures
from paper_checks.registry import claim
from verify import tolerances
from verify.exact_problems import QUADRATURE_RTOL, exact_problems
from verify.perturbed_order import perturbed_order
from verify.tiny_perturbed import Perturbed, TinyMixup, mixup_loss

LAW = Beta(0.3, 2.0)
FEW_LAWS = LAWS[2:]  # asymmetric, with mass at 1/2, and both
IMAGE = (4, 3)
#: l_uu that is singular, zero, or indefinite
CURVATURES = {
    "singular": [[fmpq(1), fmpq(1)], [fmpq(1), fmpq(1)]],
    "zero": [[ZERO, ZERO], [ZERO, ZERO]],
    "indefinite": [[fmpq(1), fmpq(2)], [fmpq(2), fmpq(1)]],
}


@claim("carratino2022:taylor", fault="a factor 1/2 with the mixed term in epsilon and delta")
def taylor(trial: Trial) -> Finding:
    """Every derivative of l(y + s eps, f(x + s delta)) at s = 0 up to the second; averaged, in rationals; its order."""
    derivation = perturbed_second_order(fault=trial.plant(None, "cross"))
    gaps = _coefficient_gaps([bent(2), bent(3)], trial)
    slope = order_in_perturbations(halved=trial.faulty)
    figures = {
        **derivation_figures(derivation),
        "rational coefficients": len(gaps),
        "largest gap": readable(max(gaps, key=abs)),
        "order of the remainder in the size of (delta, epsilon), tanh network on digits": slope,
    }
    holds = derivation.holds and all(g == 0 for g in gaps) and has_stated_order(slope)
    reason = "for every twice differentiable l and f; nabla_u l nabla^2 f is the sum over outputs, as the slide notes"
    return Finding(verdict_of(holds), reason, Evidence("symbolic", figures))


def _coefficient_gaps(problems: list[TinyMixup], trial: Trial) -> list[fmpq]:
    """What multiplies 1, s and s^2 in the perturbed loss less l, 0 and the second-order terms without inverses."""
    gaps = []
    for law in FEW_LAWS:
        for p in problems:
            perturbed = Perturbed(p, law.folded())
            risk, found = merged_risk(perturbed, halved=trial.faulty), perturbed.coefficients()
            gaps += [found[0] - risk.standard, found[1], found[2] - risk.merged]
    return gaps


@cache
def order_in_perturbations(*, halved: bool = False) -> float:
    """The slope of the remainder for the cross-entropy as delta and epsilon are scaled to zero about (x~, y~)."""
    model, x, y = smooth_digits(IMAGE)
    loss, risk = CrossEntropy(), _silently(model, CrossEntropy(), x, y)
    if halved:
        risk = replace(risk, cross=risk.cross / 2)
    labels = loss.prepare(y, model(x))
    return perturbed_order(model, loss, x, labels, LAW, risk).slope


def _silently(model: torch.nn.Module, loss: GeneralLoss, x: Tensor, y: Tensor) -> ApproximateRisk:
    """The library's risk, where that R1 and R3 cancel is expected."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CancellingTermsWarning)
        return approximate_mixup_risk(model, loss, x, y, LAW)


@claim("carratino2022:thm3", fault="a factor 1/2 with the cross term; J without its minus sign")
def theorem3(trial: Trial) -> Finding:
    """The terms where the inverses exist, cases in which they do not, and the form without inverses for all of them."""
    derivation = perturbed_terms(fault=trial.plant(None, "sign"))
    regular = [Perturbed(bent(4), law.folded()) for law in LAWS[:3]]
    gaps = [p.coefficients()[2] - printed_risk(p, unsigned=trial.faulty).printed for p in regular]
    missing = {name: _lacks_inverse(p) for name, p in _irregular()}
    figures = {
        **derivation_figures(derivation),
        "inverses exist, rational cases": len(gaps),
        "largest gap": readable(max(gaps, key=abs)),
        **{f"no inverse, {name}": str(lacks) for name, lacks in missing.items()},
    }
    fine = derivation.holds and all(g == 0 for g in gaps)
    reason = (
        "where Sigma_xx and l_uu have inverses, and l_uu a square root, the terms are right; but Sigma_xx has rank "
        "below d for n <= d, and l_uu is not positive definite for every twice differentiable loss: J, R1 and R3 are "
        "then not defined, while the risk is"
    )
    verdict = ILL_POSED if fine and all(missing.values()) else FAILS
    return Finding(verdict, reason, Evidence("symbolic", figures), _without_inverses(trial))


def _irregular() -> Iterator[tuple[str, TinyMixup]]:
    yield "n = 2 samples in d = 2", bent(2)
    for name, curvature in CURVATURES.items():
        if name != "indefinite":
            yield f"l_uu {name}", with_curvature(bent(4), curvature)


def _lacks_inverse(p: TinyMixup) -> bool:
    try:
        printed_risk(Perturbed(p, LAWS[0].folded()))
    except ZeroDivisionError:
        return True
    return False


def _without_inverses(trial: Trial) -> Corrected:
    """E_Q = l + 1/2 tr(l_uu G Sxx G^T) + tr(Sxy l_yu G) + R2 + R4 on regular and irregular problems."""
    problems = [bent(3), *(with_curvature(bent(2), U) for U in CURVATURES.values())]
    gaps = _coefficient_gaps(problems, trial)
    quadratic = [(p, law) for p in (straight(2), straight(4)) for law in FEW_LAWS]
    risks = [merged_risk(Perturbed(p, law.folded()), halved=trial.faulty) for p, law in quadratic]
    whole = [mixup_loss(*of) - risk.standard - risk.merged for of, risk in zip(quadratic, risks, strict=True)]
    library = _library_gaps(trial)
    derivation = perturbed_terms(fault=trial.plant(None, "cross"))
    slope = order_in_perturbations(halved=trial.faulty)
    figures = {
        **derivation_figures(derivation),
        "rational coefficients": len(gaps),
        "largest gap": readable(max(gaps, key=abs)),
        "loss quadratic in the mixed point, rational cases": len(whole),
        "its largest gap": readable(max(whole, key=abs)),
        **{f"library, {name}: gap / tolerance": gap / allowed for name, gap, allowed in library},
        "order of the remainder": slope,
    }
    right = derivation.holds and all(g == 0 for g in (*gaps, *whole)) and has_stated_order(slope)
    right = right and all(gap <= allowed for _, gap, allowed in library)
    statement = (
        "E_Q = 1/n sum_i [ l + tr(l_uu G Sigma_xx G^T)/2 + tr(Sigma_xy l_yu G) ] + R2 + R4, G = nabla f(x~_i), for "
        "every twice differentiable l and f; the two traces are R1 + R3 with Moore-Penrose inverses where the columns "
        "of l_uy Sigma_yx lie in the range of l_uu"
    )
    return Corrected(statement, verdict_of(right), Evidence("symbolic", figures))


def _library_gaps(trial: Trial) -> list[tuple[str, float, float]]:
    """The library against the oracle, against rationals, and R1 + R3 against what it stands for, with tolerances."""
    gaps = []
    for shape in ((2,), (3, 4)):  # six samples: Sigma_xx is regular, and is not
        p = next(exact_problems(shape, centred=False, seed=trial.seed))
        exact = exact_loss(p.model, Squared(), p.x, p.y, Augmentation(LAW, Mixup(shape)), rtol=QUADRATURE_RTOL)
        risk = _planted(approximate_mixup_risk(p.model, Squared(), p.x, p.y, LAW), trial)
        allowed = exact.error + risk_rounding(risk, p.x[0].numel())
        gaps.append((f"linear f, squared loss, d = {p.x[0].numel()}", abs(exact.value - risk.total), allowed))
        gaps.append((f"R1 + R3, d = {p.x[0].numel()}", abs(risk.r1 + risk.r3 - risk.jacobian - risk.cross), allowed))
    tiny, uniform = bent(3), LAWS[0]
    model, loss, x, y = in_torch(tiny)
    risk = _planted(approximate_mixup_risk(model, loss, x, y, Beta(1.0, 1.0)), trial)
    rational = merged_risk(Perturbed(tiny, uniform.folded()))
    gap = abs(risk.total - float(rational.standard + rational.merged))
    return [*gaps, ("general loss, against rationals", gap, risk_rounding(risk, 4))]


def _planted(risk: ApproximateRisk, trial: Trial) -> ApproximateRisk:
    return replace(risk, cross=trial.plant(risk.cross, risk.cross / 2))


def risk_rounding(risk: ApproximateRisk, size: int) -> float:
    scale = max(abs(getattr(risk, name)) for name in ("standard", "r1", "r2", "r3", "r4", "jacobian", "cross"))
    return tolerances.rounding(torch.float64, scale, 16 + size**2)


def in_torch(p: TinyMixup) -> tuple[torch.nn.Module, AutogradLoss, Tensor, Tensor]:
    """A tiny problem in float64, its loss left to automatic differentiation."""

    def tensor(values: object) -> Tensor:
        return torch.tensor(_floats(values), dtype=torch.float64)

    w, Q, linear, own, U, Y, N = (tensor(v) for v in (p.w, p.Q, p.p, p.r, p.U, p.Y, p.N))

    class Model(torch.nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x @ w.T + torch.einsum("ni,kij,nj->nk", x, Q, x) / 2

    def loss(y: Tensor, u: Tensor) -> Tensor:
        return linear @ u + own @ y + (u @ U @ u + y @ Y @ y) / 2 + y @ N @ u

    return Model(), AutogradLoss(loss), tensor(p.x), tensor(p.y)


def _floats(values: object) -> object:
    return [_floats(v) for v in values] if isinstance(values, list | tuple) else float(values)  # type: ignore[arg-type]
