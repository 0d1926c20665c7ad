"""Lemma 3.1: Mixup as input perturbation under D~, its three regularisers, and its remainder."""

from __future__ import annotations

from msda_theory import Beta, masks
from msda_theory.symbolic import theorem1, tilted_form_mixup
from paper_checks.exact_cases import exact_cases, is_zero, readable, tiny_laws
from paper_checks.findings import Evidence, Finding, Trial, verdict_of
from paper_checks.orders import ORDER_SLACK, STATED_ORDER, has_stated_order, order_on_digits
from paper_checks.park2022.rewriting import derivation_figures, rewriting_holds
from paper_checks.park2022.theorem1 import library_figures, library_residuals
from paper_checks.registry import claim
from paper_checks.zhang2021.terms import zhang_terms
from verify.tiny_problems import msda_loss

READING = (
    "R3's (r-x) nabla^2 f (r-x)^T is read as the quadratic form, as its proof has it; the mixture is uniform "
    "only for a = b"
)


@claim("zhang2021:eq9", fault="D for D~, and lambda for 1-lambda in the derivation")
def mixup_as_perturbation(trial: Trial) -> Finding:
    return rewriting_holds("mixup", tilted_form_mixup, trial)


@claim("zhang2021:lemma3.1", fault="an extra factor 1/2 in R2 and R3")
def lemma31(trial: Trial) -> Finding:
    """Exact on quadratic problems with data that is not centred; derived for every h and f."""
    derivation = theorem1(mask="mixup", fault=trial.plant(None, "half"))
    tiny = tiny_laws("mixup")[0]
    gaps = [
        msda_loss(p, tiny, ratio) - zhang_terms(p, ratio, halved=trial.faulty).total
        for p, ratio in exact_cases(tiny, centred=False)
    ]
    library = library_residuals("mixup", trial.seed, as_printed=False)
    figures = {
        **derivation_figures(derivation),
        "rational cases": len(gaps),
        "largest rational gap": readable(max(gaps, key=abs)),
        **library_figures(library),
    }
    holds = derivation.holds and all(is_zero(g) for g in gaps) and all(r.within for r in library)
    return Finding(verdict_of(holds), f"derived for every h, f, alpha, beta; {READING}", Evidence("symbolic", figures))


@claim("zhang2021:remainder", fault="R2 halved")
def remainder(trial: Trial) -> Finding:
    """The slope of the remainder as 1-lambda goes to zero: o((1-lambda)^2) needs more than 2, a C^3 loss gives 3."""
    laws = {"Beta(1, 1)": Beta(1.0, 1.0), "Beta(1, 0.5)": Beta(1.0, 0.5)}
    slopes = {f"slope, {k}": order_on_digits(masks.Mixup, law, halved=trial.faulty) for k, law in laws.items()}
    figures = {**slopes, "stated": f"{STATED_ORDER:g} for a C^3 loss", "slack": ORDER_SLACK}
    reason = "Taylor's theorem in 1-lambda, averaged over a finite set of pairs; on smooth networks the order is 3"
    return Finding(verdict_of(all(map(has_stated_order, slopes.values()))), reason, Evidence("deterministic", figures))
