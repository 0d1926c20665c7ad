"""The cross-entropy: its derivatives, and Corollary 4 with an inverse that exists."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from msda_theory import NoInverseError, approximate_mixup_risk
from msda_theory.general_losses import AutogradLoss, CrossEntropy
from msda_theory.symbolic import corollary4, cross_entropy_derivatives
from paper_checks.carratino2022.terms import LAW, order_in_perturbations, risk_rounding
from paper_checks.findings import DEPENDS, FAILS, ILL_POSED, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.orders import has_stated_order
from paper_checks.park2022.rewriting import derivation_figures
from paper_checks.registry import claim
from verify import tolerances


@claim("carratino2022:ce-derivatives", fault="S(u) + y for S(u) - y")
def cross_entropy(trial: Trial) -> Finding:
    """The five derivatives of log sum e^u - y . u, and of -sum y log S(u); the library's against automatic ones."""
    derivation = cross_entropy_derivatives(fault=trial.plant(None, "label"))
    draw = torch.Generator().manual_seed(trial.seed)
    u = 3 * torch.randn(5, 4, generator=draw, dtype=torch.float64)
    y = torch.softmax(torch.randn(5, 4, generator=draw, dtype=torch.float64), -1)
    closed, automatic = CrossEntropy().derivatives(y, u), AutogradLoss(_log_sum_exp_loss).derivatives(y, u)
    slope = trial.plant(closed.u, closed.u + 2 * y)
    gaps = {
        name: float((getattr(closed, name) - getattr(automatic, name)).abs().max()) for name in ("y", "yy", "yu", "uu")
    }
    gaps["u"] = float((slope - automatic.u).abs().max())
    allowed = tolerances.rounding(torch.float64, float(u.abs().max()), 16)
    other = AutogradLoss(_log_softmax_loss).derivatives(y, u)
    off = {name: float((getattr(closed, name) - getattr(other, name)).abs().max()) for name in ("y", "yu")}
    figures = {
        **derivation_figures(derivation),
        "library, largest gap": max(gaps.values()),
        "its tolerance": allowed,
        "-sum y log S: nabla_y off by": off["y"],
        "-sum y log S: nabla_yu off by": off["yu"],
    }
    reason = (
        "the slide does not write the loss: all five hold for l = log sum e^u - y . u, for every y; for l = -sum y_k "
        "log S_k, the same number where labels sum to one, nabla_u and nabla_uu are as printed there, but nabla_y is "
        "-u + (log sum e^u) 1 and nabla_yu is -I + 1 S^T: they differ from the printed ones only along 1, and "
        "perturbations of labels that sum to one have no part along it, so that Theorem 3 gives the same risk"
    )
    fine = derivation.holds and max(gaps.values()) <= allowed and min(off.values()) > 0
    return Finding(DEPENDS if fine else FAILS, reason, Evidence("symbolic", figures))


def _log_sum_exp_loss(y: Tensor, u: Tensor) -> Tensor:
    return torch.logsumexp(u, -1) - y @ u


def _log_softmax_loss(y: Tensor, u: Tensor) -> Tensor:
    return -(y @ torch.log_softmax(u, -1))


@claim("carratino2022:cor4", fault="diag(S) for diag(1/S)")
def corollary(trial: Trial) -> Finding:
    """H has no inverse; R1..R3 with diag(1/S) in its place, by algebra and in the library."""
    derivation = corollary4(fault=trial.plant(None, "inverse"))
    wide = corollary4(3, 1, fault=trial.plant(None, "inverse"))
    model, x, y = _two_features()
    refused = _is_refused(model, x, y)
    risk = approximate_mixup_risk(model, CrossEntropy(), x, y, LAW)
    gap, allowed = abs(risk.r1 + risk.r3 - risk.jacobian - risk.cross), risk_rounding(risk, 2)
    slope = order_in_perturbations()
    printed = {"H 1": "0 for every u and K", "the library refuses the printed form": str(refused)}
    figures = {
        **derivation_figures(derivation),
        "K = 3, steps that fail": "; ".join(step.title for step in wide.failures) or "none",
        "R1 + R3 less what it stands for": gap,
        "its tolerance": allowed,
        "order of the remainder": slope,
    }
    right = derivation.holds and wide.holds and gap <= allowed and has_stated_order(slope)
    statement = (
        "Corollary 4 with diag(1/S) for H^-1 (or the pseudo-inverse P diag(1/S) P, P = I - 11^T/c), R3 = -1/2n sum_i "
        "tr(Sigma_xx^-1 Sigma_xy diag(1/S) Sigma_yx), for labels that sum to one, and a Moore-Penrose inverse of "
        "Sigma_xx where n <= d; E_Q itself is l + tr(H G Sigma_xx G^T)/2 - tr(Sigma_xy G) + R2 in the mean"
    )
    reason = (
        "H(u) 1 = 0 for every u: H^-1 and H^(-1/2) do not exist for any network, nor Sigma_xx^-1 for n <= d, so that "
        "J, R1 and R3 are not defined as printed"
    )
    evidence = Evidence("symbolic", {**derivation_figures(derivation), **printed})
    corrected = Corrected(statement, verdict_of(right), Evidence("symbolic", figures))
    return Finding(
        ILL_POSED if derivation["H has no inverse"].holds and refused else FAILS, reason, evidence, corrected
    )


@cache
def _two_features() -> tuple[torch.nn.Module, Tensor, Tensor]:
    """A tanh network with three outputs on twelve points of the plane, three uneven classes."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(12, 2, generator=draw, dtype=torch.float64) + 0.7
    y = torch.tensor([0, 1, 2, 0, 0, 1, 0, 2, 0, 0, 1, 0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)).double()
    return model, x, y


def _is_refused(model: torch.nn.Module, x: Tensor, y: Tensor) -> bool:
    try:
        approximate_mixup_risk(model, CrossEntropy(), x, y, LAW, as_printed=True)
    except NoInverseError:
        return True
    return False
