"""Appendix B: Theorem 5 on n-Mixup, the derivatives (23)-(25) of its proof, and what it says for n = 2.

The theorem and (20) exchange n, the samples that are mixed, and m, those of the data, in their sums.  They are judged
as they stand, where m and n differ, and with each in its place.
"""

from __future__ import annotations

from functools import cache

import sympy as sp
import torch
from flint import fmpq

from msda_theory import Augmentation, Beta, Dirichlet, n_mixup_loss, n_mixup_terms, taylor_loss
from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.masks import Mixup
from msda_theory.symbolic import Derivation, n_second_order, theorem5, two_ratios_are_mixup
from msda_theory.symbolic._notation import Smooth
from paper_checks.exact_cases import RATIOS, described_problem, problem
from paper_checks.findings import DEPENDS, FAILS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.orders import has_stated_order, smooth_digits
from paper_checks.park2022.rewriting import derivation_figures
from paper_checks.park2022.theorem1 import library_figures, printed_terms
from paper_checks.registry import claim
from verify import tolerances
from verify.exact_problems import QUADRATURE_RTOL, Residual, exact_problems
from verify.many_order import n_remainder_order
from verify.tiny_laws import mixup
from verify.tiny_many import Alpha, average, label_weighted_average, n_mixup_expansion, role_loss
from verify.tiny_many import n_mixup_loss as tiny_loss
from verify.tiny_problems import BetaInt, TinyProblem, msda_loss

SIZE, IMAGE = 2, (2, 3)
ONE, TWO, THREE, HALF = fmpq(1), fmpq(2), fmpq(3), fmpq(1, 2)
PAIR, TRIPLE = (ONE, ONE), (ONE, TWO, HALF)
ALPHAS: tuple[Alpha, ...] = (PAIR, (THREE, HALF), (ONE, ONE, ONE), TRIPLE, (ONE, THREE, TWO, HALF))
LAWS = (Dirichlet((1.0, 1.0, 1.0)), Dirichlet((0.3, 2.0, 0.7)), Dirichlet((0.5, 1.0, 2.0, 3.0)))
TERMS = ("standard", "r1", "r2", "r3")

IN_THEIR_PLACES = (
    "(20) and Theorem 5 with 1/m sum_{k=1}^m for 1/m sum_{k=1}^n and sum_{j=2}^n lambda_j^2 for sum_{j=2}^m "
    "lambda_j^2; they then hold for any alpha, m and n, whatever the mean of the data"
)


def tiny(samples: int, *, linear: bool, centred: bool = False) -> TinyProblem:
    return problem(SIZE, samples, linear=linear, centred=centred)


def exact_gaps(trial: Trial) -> list[fmpq]:
    """The n-Mixup loss less (20) and less Theorem 5, n and m in their places; planted: D for D~ in R1, R2 and R3."""
    gaps = []
    for alpha in ALPHAS:
        for p in (tiny(m, linear=linear) for m in (2, 3) for linear in (True, False)):
            exact = tiny_loss(p, alpha)
            terms = n_mixup_expansion(p, alpha, len(alpha), mean=trial.plant(label_weighted_average, average))
            gaps += [exact - role_loss(p, alpha, len(p.x)), exact - terms.total]
    return gaps


def library_residuals(seed: int) -> list[Residual]:
    """The library's expansion against its own enumeration: two outputs, uncentred, unequal alphas, n = 3 and 4."""
    residuals = []
    for law in LAWS:
        for p in exact_problems(IMAGE, samples=4 if len(law) == 3 else 3, centred=False, seed=seed):
            exact = n_mixup_loss(p.model, p.loss, p.x, p.y, law, rtol=QUADRATURE_RTOL)
            theory = n_mixup_terms(p.model, p.loss, p.x, p.y, law)
            scale = max(abs(exact.value), *(abs(getattr(theory, k)) for k in TERMS))
            rounding = tolerances.rounding(torch.float64, scale, p.x[0].numel() ** 2)
            residuals.append(Residual(f"{p.name}, {law!r}", abs(exact.value - theory.total), exact.error + rounding))
    return residuals


@cache
def slope_on_digits(*, as_printed: bool) -> float:
    """The order of the remainder for a tanh network on four digits mixed three at a time, unequal alphas."""
    model, x, y = smooth_digits((4, 3))
    data, law = (model, SoftmaxCrossEntropy(), x[:4], y[:4]), LAWS[1]
    return n_remainder_order(*data, law, theory=n_mixup_terms(*data, law, as_printed=as_printed)).slope


def _dirichlet(alpha: Alpha) -> str:
    return f"Dir({', '.join(map(str, alpha))})"


@claim("park2022:thm5", fault="D for D~ in the moments of R1, R2 and R3")
def theorem_five(trial: Trial) -> Finding:
    """m = 3 and n = 2: (20) leaves out a sample.  m = 2 and n = 3: R2 and R3 leave out lambda_3^2.  m = n: none."""
    three, two = tiny(3, linear=True), tiny(2, linear=True)
    outer = tiny_loss(three, PAIR) - role_loss(three, PAIR, len(PAIR))
    squares = tiny_loss(two, TRIPLE) - n_mixup_expansion(two, TRIPLE, len(two.x)).total
    same = tiny_loss(three, TRIPLE) - n_mixup_expansion(three, TRIPLE, len(three.x)).total
    slope = slope_on_digits(as_printed=True)
    figures = {
        "n = 2, m = 3: loss - (20) as printed": str(outer),
        "there": f"{_dirichlet(PAIR)}, {described_problem(three)}",
        "n = 3, m = 2: loss - (L_m + R1 + R2 + R3) as printed": str(squares),
        "then": f"{_dirichlet(TRIPLE)}, {described_problem(two)}",
        "n = 3, m = 3: loss - (L_m + R1 + R2 + R3) as printed": str(same),
        "n = 3, m = 4: order of the remainder as printed, j mod n": slope,
    }
    reason = (
        "1/m sum_{k=1}^n in the first line and in (20) leaves out samples where n < m, and sum_{j=2}^m lambda_j^2 in "
        "R2 and R3 leaves out partners where m < n; true as printed only where m = n.  The cyclic order in D~_Lambda "
        "is right: any order of the partners' ratios gives the same"
    )
    verdict = verdict_of(not (outer != 0 and squares != 0 and same == 0))
    return Finding(verdict, reason, Evidence("exact", figures), _in_their_places(trial))


def _in_their_places(trial: Trial) -> Corrected:
    derivations = [theorem5(n, d, fault=trial.plant(None, "shape")) for n, d in ((2, 2), (3, 2), (4, 1))]
    gaps, library, slope = exact_gaps(trial), library_residuals(trial.seed), slope_on_digits(as_printed=False)
    zero = all(g == 0 for g in gaps)
    figures = {
        **_together(derivations),
        "rational cases": len(gaps),
        "rational residuals": "all 0" if zero else f"largest {max(gaps, key=abs)}",
        **library_figures(library),
        "order of the remainder": slope,
    }
    derived = all(d.holds for d in derivations)
    holds = derived and zero and all(r.within for r in library) and has_stated_order(slope)
    return Corrected(IN_THEIR_PLACES, verdict_of(holds), Evidence("symbolic", figures))


def _together(derivations: list[Derivation]) -> dict[str, str | int]:
    """The figures of several derivations in one."""
    parts = [derivation_figures(d) for d in derivations]
    failed = [f"{part['derivation']}: {part['steps that fail']}" for part in parts if part["steps that fail"] != "none"]
    names = ", ".join(str(part["derivation"]) for part in parts)
    return {"derivations": names, "steps": sum(map(len, derivations)), "steps that fail": "; ".join(failed) or "none"}


def concrete(residual: sp.Expr) -> sp.Expr:
    """A residual of the Taylor step for n = 2, d = 1 at f(x) = x^2/2, h(u) = u^2/2, x = 1, y = 0 and r = 2, y_2 = 1."""
    t = sp.Symbol("t")
    numbers = {sp.Symbol("x_1"): 1, sp.Symbol("y"): 0, sp.Symbol("r_21"): 2, sp.Symbol("y_2"): 1}
    values = residual.subs(numbers)
    return values.replace(lambda e: isinstance(e, Smooth), lambda e: sp.diff(t**2 / 2, t, *e.orders).subs(t, e.args[0]))


@claim("park2022:eq23-25", fault="the factor 1/2 of the second-order term dropped")
def derivatives(trial: Trial) -> Finding:
    cases = [(n, d) for n in (2, 3) for d in (1, 2)]
    forms = ("printed", "printed, label outside h''")
    wrong = {form: [n_second_order(n, d, form=form) for n, d in cases] for form in forms}
    refuted = all(
        not step.holds and step.refutation() is not None
        for derivations in wrong.values()
        for derivation in derivations
        for step in derivation
        if step.title != "Value"
    )
    gaps = {title: concrete(wrong["printed"][0][title].residual[0]) for title in ("Gradient", "Hessian")}
    apart = concrete(wrong[forms[1]][0]["Hessian"].residual[0])
    figures = {
        "(23): true - printed": str(gaps["Gradient"]),
        "(24): true - printed": str(gaps["Hessian"]),
        "(24) with h''(f) - y_k for h''(f - y_k): true - printed": str(apart),
        "at": "n = 2, f(x) = x^2/2, h(u) = u^2/2, x_k = 1, y_k = 0, r_2 = 2, y_2 = 1",
        "cases (n, d) refuted": ", ".join(map(str, cases)),
    }
    honest = [n_second_order(n, d, fault=trial.plant(None, "half")) for n, d in cases]
    corrected = Corrected(
        "y_k for y_i in (23); h''(f(x_k)) for h''(f(x_k) - y_k), and h'(f(x_k)) - y_k for -y_k before the Hessian, in "
        "(24); both in (25), and j for i under its first sum",
        verdict_of(all(d.holds for d in honest)),
        Evidence("symbolic", _together(honest)),
    )
    reason = (
        "(23) prints y_i, the label at the index of a partner, for y_k; (24) puts the label into h'' and loses the h' "
        "of the line above it, which in turn has no -y_k; (25) repeats both.  No reading of the brackets of (24) "
        "helps: without h' it is wrong even where y_k = 0"
    )
    holds = not (refuted and all(g != 0 for g in (*gaps.values(), apart)))
    return Finding(verdict_of(holds), reason, Evidence("symbolic", figures), corrected)


def term_gaps(p: TinyProblem, ratio: BetaInt, last: int, trial: Trial) -> list[fmpq]:
    """Theorem 5's terms with n = 2 less Theorem 1's for Mixup, on centred data as the latter supposes."""
    alpha = (fmpq(ratio.a), fmpq(ratio.b))
    ours = n_mixup_expansion(p, alpha, last, mean=trial.plant(label_weighted_average, average))
    theirs = printed_terms(p, mixup(SIZE), ratio, Trial(trial.seed))
    return [getattr(ours, k) - getattr(theirs, k) for k in TERMS]


def library_gap(seed: int) -> Residual:
    """The worst gap between `n_mixup_terms` and `taylor_loss`, term by term, on uncentred data."""
    gaps = []
    for a, b in ((1.0, 1.0), (0.3, 2.0)):
        for p in exact_problems(IMAGE, centred=False, seed=seed):
            augmentation, data = Augmentation(Beta(a, b), Mixup(IMAGE)), (p.model, p.loss, p.x, p.y)
            two, one = n_mixup_terms(*data, Dirichlet((a, b))), taylor_loss(*data, augmentation)
            scale, error = max(abs(getattr(one, k)) for k in TERMS), augmentation.seen().error
            # an error of the moments weighs in R2 and R3 as E_D~[(1-lambda)^2] does
            relative = error / float(augmentation.seen().second.min())
            allowed = tolerances.rounding(torch.float64, scale, p.x[0].numel() ** 2) + relative * scale
            gap = max(abs(getattr(one, k) - getattr(two, k)) for k in TERMS)
            gaps.append(Residual(f"{p.name}, Beta({a}, {b})", gap, allowed))
    return max(gaps, key=lambda r: r.value / r.tolerance)


@claim("park2022:thm5-n2", fault="D for D~ in the moments of R1, R2 and R3")
def two_samples(trial: Trial) -> Finding:
    derivation = two_ratios_are_mixup(fault=trial.plant(None, "shape"))
    problems = [
        (tiny(m, linear=linear, centred=True), ratio) for m in (2, 3) for linear in (True, False) for ratio in RATIOS
    ]
    losses = [msda_loss(p, mixup(SIZE), r) - tiny_loss(p, (fmpq(r.a), fmpq(r.b))) for p, r in problems]
    gaps = [gap for p, r in problems for gap in term_gaps(p, r, 2, trial)]
    literal = {len(p.x): term_gaps(p, r, len(p.x), Trial(trial.seed)) for p, r in problems if p.q == 1}
    library = library_gap(trial.seed)
    recovered = derivation.holds and all(g == 0 for g in losses + gaps) and library.within
    differs = any(g != 0 for g in literal[3]) and all(g == 0 for g in literal[2])
    figures = {
        **derivation_figures(derivation),
        "terms compared": len(gaps),
        "largest gap": str(max(gaps, key=abs)),
        "losses compared": len(losses),
        "worst float64 gap": library.value,
        "its tolerance": library.tolerance,
        "gap of R2 with sum_{j=2}^m, m = 3": str(literal[3][2]),
        "gap of R2 with sum_{j=2}^m, m = 2": str(literal[2][2]),
    }
    reason = (
        "with sum_{j=2}^n lambda_j^2 the second part of R2 and R3 is zero for n = 2 and the terms are Theorem 1's for "
        "Mixup, one by one; with sum_{j=2}^m, as printed, only where m = 2"
    )
    return Finding(DEPENDS if recovered and differs else FAILS, reason, Evidence("symbolic", figures))
