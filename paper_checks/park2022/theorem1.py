"""Theorem 1, eqs. (6)-(9), for each augmentation; its R1, and its agreement with Zhang et al.

The remainder in (6) is the Peano remainder of (15), so it is zero where the loss is quadratic in the mask: there (6) is
an equation between numbers, and true or false.  Where f is smooth and not quadratic, the slope of the remainder tells.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from flint import fmpq

from msda_theory import Augmentation, Beta
from msda_theory import masks as law
from msda_theory.symbolic import theorem1
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
from paper_checks.findings import DEPENDS, FAILS, HOLDS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.orders import has_stated_order, order_on_digits
from paper_checks.park2022.rewriting import derivation_figures
from paper_checks.registry import claim
from paper_checks.zhang2021.terms import zhang_terms
from verify.exact_problems import Residual, exact_problems, residual
from verify.tiny_laws import Number, TinyLaw, bernoulli, cutmix, mixup
from verify.tiny_problems import (
    BetaInt,
    TinyMoments,
    TinyProblem,
    TinyTerms,
    average,
    expansion,
    msda_loss,
    tilted_moments,
    two_role_moments,
)

IMAGE = (3, 4)
RATIOS = (Beta(1.0, 1.0), Beta(0.3, 2.0))

MASKS: dict[str, list[Callable[[tuple[int, int]], law.MaskLaw]]] = {
    "mixup": [law.Mixup],
    "bernoulli": [law.Bernoulli],
    "cutmix": [lambda s, k=k: law.CutMix(s, sampler=k) for k in law.SAMPLERS],  # type: ignore[misc]
    "hmix": [lambda s, k=k: law.HMix(s, r=0.5, sampler=k) for k in law.SAMPLERS],  # type: ignore[misc]
    "gmix": [lambda s: law.GMix(s, kernel="printed")],
    "stochastic": [lambda s, k=k: law.Stochastic(s, q=0.5, sampler=k) for k in law.SAMPLERS],  # type: ignore[misc]
}

TWO_ROLE_TERMS = (
    "with n_j = E_D[lambda(1-mu_j) + (1-lambda) mu_j] for E[1-lambda] in R1 and A_jk = E_D[a_jk + "
    "(1-lambda)(mu_j + mu_k - 1)] "
    "for E_D~[a_jk] in R2 and R3, mu = E[M | lambda] (A_jk = E_D[a_jk] - E_D[(1-lambda)(1-2 lambda)] where "
    "mu = lambda), and "
    "with E[r] kept, (6) holds for every mask law"
)


def printed_terms(p: TinyProblem, tiny: TinyLaw, ratio: BetaInt, trial: Trial) -> TinyTerms:
    """(7)-(8): E_D~[1-lambda] in R1, E_D~[a_jk] in R2 and R3, E[r] = 0.  Planted: E(1-lambda) for E(1-lambda)^2."""
    shared = average(tiny, ratio.tilted_density, lambda lam, mask: 1 - lam)
    second = tilted_moments(tiny, ratio.tilted_density).second
    second = trial.plant(second, [[shared] * tiny.size] * tiny.size)
    return expansion(p, TinyMoments([shared] * tiny.size, second), centred=True)


def two_role_terms(p: TinyProblem, tiny: TinyLaw, ratio: BetaInt, trial: Trial) -> TinyTerms:
    """The default form.  Planted: the second role's E[M_j M_k] taken as E[(1-M_j)(1-M_k)]."""
    moments = two_role_moments(tiny, ratio)
    second = tilted_moments(tiny, ratio.density).second if trial.faulty else moments.second
    return expansion(p, TinyMoments(moments.first, second))


Terms = Callable[[TinyProblem, TinyLaw, BetaInt, Trial], TinyTerms]


@cache
def tiny_residuals(name: str, terms: Terms, trial: Trial, *, centred: bool) -> list[tuple[TinyLaw, Number]]:
    """(4) less its expansion, exactly, on every tiny problem."""
    return [
        (tiny, msda_loss(p, tiny, ratio) - terms(p, tiny, ratio, trial).total)
        for tiny in tiny_laws(name)
        for p, ratio in exact_cases(tiny, centred=centred)
    ]


@cache
def library_residuals(name: str, seed: int, *, as_printed: bool) -> list[Residual]:
    """The library's expansion against its oracle: 3 x 4 images, two outputs, equal and unequal alpha and beta."""
    augmentations = [Augmentation(ratio, make(IMAGE)) for make in MASKS[name] for ratio in RATIOS]
    return [
        residual(p, augmentation, as_printed=as_printed)
        for augmentation in augmentations
        for p in exact_problems(IMAGE, centred=as_printed, seed=seed)
    ]


def library_figures(residuals: list[Residual]) -> dict[str, str | float | int]:
    worst = max(residuals, key=lambda r: r.value / r.tolerance)
    return {
        "float64 cases": len(residuals),
        "worst residual": worst.value,
        "its tolerance": worst.tolerance,
        "worst case": worst.name,
    }


@cache
def _order(name: str, *, as_printed: bool) -> float:
    """The order of the remainder on digits, boxes placed "inside"; Bernoulli on fewer pixels, as it has 2^d masks."""
    make, shape = MASKS[name][1 % len(MASKS[name])], (2, 3) if name == "bernoulli" else (4, 3)
    return order_on_digits(make, RATIOS[0], shape=shape, as_printed=as_printed)


def _theorem_holds(name: str, trial: Trial) -> Finding:
    derivation = theorem1(mask=name, fault=trial.plant(None, "square"))
    exact = tiny_residuals(name, printed_terms, trial, centred=True)
    library = library_residuals(name, trial.seed, as_printed=True)
    slope = _order(name, as_printed=True)
    zero = all(is_zero(value) for _, value in exact)
    figures = {
        **derivation_figures(derivation),
        "rational cases": len(exact),
        "rational residuals": "all 0" if zero else "not 0",
        **library_figures(library),
        "order of the remainder": slope,
    }
    holds = derivation.holds and zero and all(r.within for r in library) and has_stated_order(slope)
    reason = "derived for every h, f, alpha, beta under E[r] = 0; exact where the loss is quadratic in the mask"
    return Finding(verdict_of(holds), reason, Evidence("symbolic", figures))


@claim("park2022:thm1[mixup]", fault="E(1-lambda) for E(1-lambda)^2 in R2 and R3")
def theorem1_mixup(trial: Trial) -> Finding:
    return _theorem_holds("mixup", trial)


@claim("park2022:thm1[bernoulli]", fault="E(1-lambda) for E[(1-M_j)(1-M_k)] in R2 and R3")
def theorem1_bernoulli(trial: Trial) -> Finding:
    return _theorem_holds("bernoulli", trial)


def _theorem_fails(name: str, trial: Trial) -> Finding:
    honest = Trial(trial.seed)
    refuted = tiny_residuals(name, printed_terms, honest, centred=True)
    slope = _order(name, as_printed=True)
    figures: dict[str, str | float] = {}
    for tiny, value in refuted:  # the first problem of each law
        figures.setdefault(f"(4) - printed, {tiny.name}", readable(value))
    first = tiny_laws(name)[0]
    figures["counterexample"] = described(first, *next(exact_cases(first, centred=True)))
    figures["order of the remainder"] = slope
    fails = all(any(is_nonzero(v) for t, v in refuted if t.name == tiny.name) for tiny in tiny_laws(name))
    reason = (
        "R2 and R3 weigh products of derivatives by E_D~[a_jk], which is not the second moment that a sample sees "
        "over both roles; where the loss is quadratic the two sides differ, for boxes that meet E[M] = lambda 1 too, "
        "and for a smooth network the remainder is not o(N^2)"
    )
    corrected = _two_role_theorem(name, trial)
    return Finding(verdict_of(not fails), reason, Evidence(evidence_kind(refuted[0][0]), figures), corrected)


def _two_role_theorem(name: str, trial: Trial) -> Corrected:
    derivation = theorem1(mask="general", fault=trial.plant(None, "role"))
    exact = tiny_residuals(name, two_role_terms, trial, centred=False)
    library = library_residuals(name, trial.seed, as_printed=False)
    slope = _order(name, as_printed=False)
    figures = {
        **derivation_figures(derivation),
        "exact cases": len(exact),
        "exact residuals": ", ".join(sorted({readable(v) for _, v in exact})),
        **library_figures(library),
        "order of the remainder": slope,
    }
    zero = all(is_zero(value) for _, value in exact)
    holds = derivation.holds and zero and all(r.within for r in library) and has_stated_order(slope)
    return Corrected(TWO_ROLE_TERMS, verdict_of(holds), Evidence("symbolic", figures))


for _name in ("cutmix", "hmix", "gmix", "stochastic"):
    claim(f"park2022:thm1[{_name}]", fault="role two's E[M_j M_k] taken as E[(1-M_j)(1-M_k)]")(
        partial(_theorem_fails, _name)
    )


def _first_moments(tiny: TinyLaw, ratio: BetaInt, trial: Trial) -> list[Number]:
    """n_j over both roles; planted: lambda for 1-lambda in the second role's weight."""

    def seen(j: int) -> Callable[[Number, list[Number]], Number]:
        return lambda lam, mask: lam * (1 - mask[j]) + trial.plant(1 - lam, lam) * mask[j]

    return [average(tiny, ratio.density, seen(j)) for j in range(tiny.size)]


@claim("park2022:R1-universal", fault="lambda for 1-lambda in the second role's weight")
def r1_universal(trial: Trial) -> Finding:
    """Where E[M] = lambda 1 the first moment is 2ab/((a+b)(a+b+1)) whatever the mask; for eq. (10)'s boxes not."""
    ratio, six = BetaInt(3, 1), problem(6, 3, linear=True, centred=True)
    laws = {"Mixup": mixup(6), "Bernoulli": bernoulli(6), "CutMix as eq. (10) counts": cutmix(2, 3, "printed")}
    moments = {name: _first_moments(tiny, ratio, trial) for name, tiny in laws.items()}
    r1 = {k: expansion(six, TinyMoments(n, [[0] * 6] * 6)).r1 for k, n in moments.items()}
    shared = fmpq(2 * ratio.a * ratio.b, (ratio.a + ratio.b) * (ratio.a + ratio.b + 1))
    same = [all(n == shared for n in moments[name]) for name in laws]
    figures = {"E_D~[1-lambda]": str(shared), **{f"n_j, {k}": ", ".join(map(str, n)) for k, n in moments.items()}}
    figures |= {f"R1 on one problem, {k}": str(v) for k, v in r1.items()}
    reason = (
        "with E[M] = lambda 1, as sec. 2 assumes, R1 is the same for all masks; but CutMix, HMix and GMix as the "
        "paper defines them do not meet that assumption, and R1 then depends on where the mask lies"
    )
    verdicts = {(True, True, True): HOLDS, (True, True, False): DEPENDS}
    return Finding(verdicts.get((same[0], same[1], same[2]), FAILS), reason, Evidence("exact", figures))


@claim("park2022:reduces-to-zhang", fault="E(1-lambda) for E(1-lambda)^2 in R2 and R3")
def reduces_to_zhang(trial: Trial) -> Finding:
    """(7)-(8) at M = lambda 1 and Lemma 3.1, term by term, on centred data."""
    derivation = theorem1(mask="mixup", fault=trial.plant(None, "square"))
    tiny = tiny_laws("mixup")[0]
    gaps = []
    for p, ratio in exact_cases(tiny, centred=True):
        park, zhang = printed_terms(p, tiny, ratio, trial), zhang_terms(p, ratio)
        gaps += [getattr(park, k) - getattr(zhang, k) for k in ("standard", "r1", "r2", "r3")]
    figures = {
        **derivation_figures(derivation),
        "terms compared": len(gaps),
        "largest gap": readable(max(gaps, key=abs)),
    }
    reason = (
        "with M = lambda 1, a_jk = (1-lambda)^2 for all j, k; under E[r] = 0 the terms are Zhang et al.'s, one by one"
    )
    return Finding(verdict_of(derivation.holds and all(g == 0 for g in gaps)), reason, Evidence("symbolic", figures))
