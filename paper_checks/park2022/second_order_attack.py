"""Fact 1: the second-order adversarial loss, with its factor d."""

from __future__ import annotations

import torch

from msda_theory.bounds import adversarial_taylor
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from paper_checks.zhang2021.adversarial_lemma import NEAR
from paper_checks.zhang2021.network_adversary import plane_problem, remainder_order
from paper_checks.zhang2021.worst_case_taylor import d, n, taylor_gaps
from verify.tolerances import rounding


@claim("park2022:fact1", fault="the factor 1/2 of the second-order term dropped")
def fact1(trial: Trial) -> Finding:
    """The Taylor coefficients of the exact maximum, where f is linear about x, against the printed ones."""
    printed, p = taylor_gaps(d * n**2), plane_problem(trial.seed)
    slopes = {factor: remainder_order(p, factor) for factor in (1, 2)}
    excess, allowed = _library_excess(trial.seed)
    figures: dict[str, str | float] = {
        "second derivative in eta of the exact maximum, less the printed one": str(printed[2]),
        "order of the remainder, ReLU network in the plane": slopes[2],
        "the library's printed form less its own, less (d-1) eta^2/2 h'' |grad f|^2": excess,
        "allowed": allowed,
    }
    fails = printed[2] != 0 and printed[2].subs(d, 1) == 0 and abs(slopes[2] - 2) < NEAR and excess <= allowed
    factor = trial.plant(1, 2)
    corrected = Corrected(
        "with eta^2/2 for eta^2 d/2: then it is the second-order expansion at every x that is interior to a linear "
        "piece of f; for d = 1 the two agree",
        verdict_of(not any(taylor_gaps(factor * n**2)) and abs(slopes[factor] - 3) < NEAR),
        Evidence(
            "symbolic",
            {
                "Taylor coefficients of the exact maximum less the corrected ones": str(taylor_gaps(factor * n**2)),
                "order of the remainder, ReLU network in the plane": slopes[factor],
            },
        ),
    )
    reason = (
        "eta is the length of the attack, eps sqrt(d) already, so its square brings the d; with another d the "
        "second-order term is d times too large, and the remainder of order 2, for every d > 1"
    )
    return Finding(verdict_of(not fails), reason, Evidence("symbolic", figures), corrected)


def _library_excess(seed: int) -> tuple[float, float]:
    """What the printed form has beyond the derived one, at logistic regression in five dimensions."""
    draw = torch.Generator().manual_seed(seed)
    weight, x = (torch.randn(*shape, generator=draw, dtype=torch.float64) for shape in ((5,), (8, 5)))
    y, eta = torch.arange(8) % 2, 0.5
    found = [adversarial_taylor(lambda z: z @ weight, x, y, eta, as_printed=printed) for printed in (True, False)]
    curvature = torch.sigmoid(x @ weight) * torch.sigmoid(-x @ weight)
    expected = 4 * eta**2 / 2 * curvature * (weight @ weight)
    gap = (found[0] - found[1] - expected).abs().max()
    return float(gap), rounding(torch.float64, float(found[0].max()), 16)
