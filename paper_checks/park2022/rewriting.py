"""Appendix A up to (14): conjugacy, and the MSDA loss as a loss on moved inputs with their own labels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msda_theory.symbolic import Derivation, conjugacy, tilted_form_bernoulli, tilted_form_mixup, two_role_form
from paper_checks.exact_cases import (
    described,
    evidence_kind,
    exact_cases,
    is_nonzero,
    is_zero,
    problem,
    readable,
    tiny_laws,
)
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from verify.tiny_laws import TinyLaw
from verify.tiny_problems import BetaInt, msda_loss, tilted_loss, two_role_loss

TWO_ROLES = (
    "L = 1/m sum_i E_r E_{lambda~D} E_M [ lambda l(M x_i + (1-M) r, y_i) + (1-lambda) l((1-M) x_i + M r, "
    "y_i) ]: as the "
    "second of its pair, sample i sees M and not 1-M of the partner; (13)-(14) follow where 1-M(1-lambda) "
    "has the law of "
    "M(lambda)"
)


def derivation_figures(derivation: Derivation) -> dict[str, str | int]:
    """How many steps were reduced to zero, and which were not."""
    failed = "; ".join(step.title for step in derivation.failures)
    return {"derivation": derivation.name, "steps": len(derivation), "steps that fail": failed or "none"}


@claim("park2022:conjugacy", fault="Beta(a, b+1-B) for Beta(a+B, b+1-B)")
def conjugate(trial: Trial) -> Finding:
    derivation = conjugacy(fault=trial.plant(None, "shape"))
    reason = "the joint density of (lambda, B) factorises both ways, for all a, b > 0 (the paper's Bin is Bernoulli)"
    return Finding(verdict_of(derivation.holds), reason, Evidence("symbolic", derivation_figures(derivation)))


def rewriting_holds(name: str, derive: Callable[..., Derivation], trial: Trial) -> Finding:
    """(13)-(14) by algebra for every loss, and in rationals on tiny problems with unequal alpha and beta."""
    derivation = derive(fault=trial.plant(None, "swap"))
    gaps = [
        msda_loss(p, law, ratio) - tilted_loss(p, law, trial.plant(ratio.tilted_density, ratio.density))
        for law in tiny_laws(name)
        for p, ratio in exact_cases(law, centred=False)
    ]
    figures = {
        **derivation_figures(derivation),
        "rational cases": len(gaps),
        "largest gap": readable(max(gaps, key=abs)),
    }
    holds = derivation.holds and all(is_zero(g) for g in gaps)
    reason = (
        "the share of the partner, over both roles of a sample, has the law of 1-M under D~, for all alpha and beta"
    )
    return Finding(verdict_of(holds), reason, Evidence("symbolic", figures))


@claim("park2022:eq13-14[mixup]", fault="D for D~, and lambda for 1-lambda in the derivation")
def rewriting_mixup(trial: Trial) -> Finding:
    return rewriting_holds("mixup", tilted_form_mixup, trial)


@claim("park2022:eq13-14[bernoulli]", fault="D for D~, and lambda for 1-lambda in the derivation")
def rewriting_bernoulli(trial: Trial) -> Finding:
    return rewriting_holds("bernoulli", tilted_form_bernoulli, trial)


def _rewriting_fails(name: str, trial: Trial) -> Finding:
    """The gap between (4) and (14) on a tiny problem, for every sampler; and the two-role form on the same."""
    laws, ratio = tiny_laws(name), BetaInt(1, 1)
    cases = [(law, problem(law.size, 2, linear=True, centred=False)) for law in laws]
    exact = [msda_loss(p, law, ratio) for law, p in cases]
    gaps = [a - tilted_loss(p, law, ratio.tilted_density) for a, (law, p) in zip(exact, cases, strict=True)]
    figures = {f"(4) - (14), {law.name}": readable(g) for law, g in zip(laws, gaps, strict=True)}
    figures["counterexample"] = described(*cases[0], ratio)
    reason = (
        "as second of a pair a sample sees M, and 1-M(1-lambda) has not the law of M(lambda): "
        "a box is no complement of a box"
    )
    if name == "gmix":
        reason = (
            "as second of a pair a sample sees M, and 1-M(1-lambda) has not the law of M(lambda) for the printed kernel"
        )
    verdict = verdict_of(not all(is_nonzero(g) for g in gaps))
    return Finding(verdict, reason, Evidence(evidence_kind(laws[0]), figures), _two_roles(laws, trial))


def _two_roles(laws: list[TinyLaw], trial: Trial) -> Corrected:
    derivation = two_role_form(fault=trial.plant(None, "label"))
    gaps = [
        msda_loss(p, law, ratio) - two_role_loss(p, law, ratio, faulty=trial.faulty)
        for law in laws
        for p, ratio in exact_cases(law, centred=False)
    ]
    holds = derivation.holds and all(is_zero(g) for g in gaps)
    figures = {
        **derivation_figures(derivation),
        "cases": len(gaps),
        "gaps": ", ".join(sorted(set(map(readable, gaps)))),
    }
    return Corrected(TWO_ROLES, verdict_of(holds), Evidence("symbolic", figures))


for _name in ("cutmix", "hmix", "gmix", "stochastic"):
    claim(f"park2022:eq13-14[{_name}]", fault="the two label weights swapped in the two-role form")(
        partial(_rewriting_fails, _name)
    )
