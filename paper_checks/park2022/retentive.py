"""App. D.1: rho-retentiveness without the min, and the constraint on a product that is drawn from it.

With a = E A''(theta.x), s = theta^T Sigma theta and t = theta^T Sigma^(M) theta: a^2 >= rho s and a t <= gamma.
"""

from __future__ import annotations

from typing import Any

import sympy as sp
import torch
from torch import Tensor

from msda_theory.bounds import retentiveness
from msda_theory.losses import Logistic, Poisson
from paper_checks.counterexamples import load
from paper_checks.counterexamples.recheck import refutes, sides
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.finite_laws import CASE, logistic_forms
from paper_checks.registry import claim
from verify.tolerances import rounding
from verify.violations import search

RADII = (1.0, 4.0, 16.0)


def constraint_terms(power: int) -> list[sp.Expr]:
    """The coefficients of (gamma^power / rho - s t^power) rho in a, t and the slacks e = a^2 - rho s, g = gamma - a t.

    All four are >= 0, so coefficients >= 0 prove s t^power <= gamma^power / rho.
    """
    a, t, e, g = sp.symbols("a t e g", nonnegative=True)
    return [c for _, c in sp.Poly((a * t + g) ** power - (a**2 - e) * t**power, a, t, e, g).terms()]


def scaled_product_terms() -> list[sp.Expr]:
    """The same for a gamma / rho - s t: the product is at most gamma / rho where a <= 1."""
    a, t, e, g = sp.symbols("a t e g", nonnegative=True)
    return [c for _, c in sp.Poly(a * (a * t + g) - (a**2 - e) * t, a, t, e, g).terms()]


def poisson_gap() -> sp.Expr:
    """(1 + v^2/2)^2 - 2 v^2 - (1 - v^2/2)^2: 0, so that cosh(v)^2 >= 2 v^2, as cosh v >= 1 + v^2/2."""
    v = sp.Symbol("v", real=True)
    return sp.expand((1 + v**2 / 2) ** 2 - 2 * v**2 - (1 - v**2 / 2) ** 2)


def _sides(rows: Tensor, scale: float, power: int) -> tuple[Tensor, Tensor]:
    """s t^power at the first of five theta and gamma^power / rho, gamma = a t there and rho the least of all five."""
    a, s, t = logistic_forms(rows, scale)
    return s[:, 0] * t[:, 0] ** power, (a * t)[:, 0] ** power / (a**2 / s).amin(-1)


def _largest_rhos() -> dict[str, Any]:
    """The largest rho over |v| <= r for logistic data in the plane, which falls to 0, and for Poisson on x = +-1."""
    x = torch.tensor([[1.0, 0.5], [-0.5, 1.0], [-0.5, -1.5]], dtype=torch.float64)
    line = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    found = {r: retentiveness(x, Logistic(), r, clipped=False) for r in RADII}
    known = {
        f"logistic, |v| <= {r:g}: rho certified, searched": f"{v.certified:.3g}, {v.rho:.3g}" for r, v in found.items()
    }
    return {
        **known,
        "falls and stays above 0": all(v.certified > 0 for v in found.values())
        and found[16.0].rho < found[4.0].rho < found[1.0].rho,
        "Poisson, x = +-1: largest rho": retentiveness(line, Poisson(), 10.0, clipped=False).rho,
    }


@claim("park2022:retentive", fault="the square of theta^T Sigma^(M) theta dropped")
def product_constraint(trial: Trial) -> Finding:
    example = load("park2022:retentive")
    left, right = sides(example)
    steep = search(lambda rows: _sides(rows, 16.0, 1), CASE, trials=500, steps=100, seed=trial.seed)
    rhos = _largest_rhos()
    figures = {
        "counterexample, gamma/rho and the product": f"{left.str(6)}, {right.str(6)}",
        "its retentiveness for all v": "an identity" if poisson_gap() == 0 else "no identity",
        **rhos,
        **steep.figures("printed product, A = 16 log(1 + e^t)"),
    }
    poisson = rhos["Poisson, x = +-1: largest rho"]
    refuted = refutes(example) and poisson_gap() == 0 and poisson >= 2 and steep.worst > 0
    reason = (
        "for bounded A'' the left side stays bounded and the right grows with v, so no rho > 0 will do unless v is "
        "bounded (Zhang et al. have min{1, .} there): read for v in a bounded Theta it can be met.  But a^2 >= rho s "
        "and a t <= gamma, a = E A'', s = theta^T Sigma theta, t = theta^T Sigma^(M) theta, give s t^2 <= gamma^2/rho, "
        "not s t <= gamma/rho, which fails for Poisson regression and for binomial models of many trials; it follows "
        "where a <= 1, as for the logistic and the squared loss"
    )
    fails = refuted and rhos["falls and stays above 0"]
    return Finding(verdict_of(not fails), reason, Evidence("enclosure", figures), _squared(trial))


def _squared(trial: Trial) -> Corrected:
    power = trial.plant(2, 1)
    terms, scaled = constraint_terms(power), scaled_product_terms()
    found = search(lambda rows: _sides(rows, 16.0, power), CASE, trials=500, steps=100, seed=trial.seed)
    plain = search(lambda rows: _sides(rows, 1.0, 1), CASE, trials=500, steps=100, seed=trial.seed)
    figures = {
        f"coefficients of (gamma^{power}/rho - s t^{power}) rho": ", ".join(map(str, terms)),
        "coefficients of a gamma - rho s t": ", ".join(map(str, scaled)),
        **found.figures("corrected constraint, A = 16 log(1 + e^t)"),
        **plain.figures("printed product, A = log(1 + e^t)"),
    }
    slack = rounding(torch.float64, 1.0, 256)
    proved = all(c >= 0 for c in (*terms, *scaled))
    holds = proved and found.worst <= slack and plain.worst <= slack
    statement = (
        "for v in a bounded Theta: (theta^T Sigma theta)(theta^T Sigma^(M) theta)^2 <= gamma^2/rho, so that one of the "
        "two forms is at most (gamma^2/rho)^(1/3); the product itself is at most gamma E[A''(theta.x)] / rho"
    )
    return Corrected(statement, verdict_of(holds), Evidence("symbolic", figures))
