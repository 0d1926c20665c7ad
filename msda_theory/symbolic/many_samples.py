"""Theorem 5 of Park et al. (n-Mixup) from the definition of the loss, step by step; with n = 2, Mixup's Theorem 1.

role form  ->  conjugacy and the label-weighted law  ->  Taylor step  ->  R1, R2, R3 and their moments  ->  the theorem
"""

from __future__ import annotations

from functools import cache
from itertools import product

import sympy as sp

from msda_theory.symbolic._notation import MEAN_REMAINDER, equation, require_fault
from msda_theory.symbolic.assembly import E1, E2, Terms
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.dirichlet import (
    DIRICHLET_FAULTS,
    ROLE_FAULTS,
    dirichlet_conjugacy,
    dirichlet_density,
    label_weighted_mean,
    n_role_form,
    parameters,
    ratios,
    turned,
)
from msda_theory.symbolic.many_taylor import n_second_order
from msda_theory.symbolic.many_terms import N_MOMENT_FAULTS, N_TERM_FAULTS, S1, S2, NTerms, T, n_moments, n_terms
from msda_theory.symbolic.ratio_moments import tilted_density, tilted_moment
from msda_theory.symbolic.taylor import TAYLOR_FAULTS

THEOREM5_FAULTS = tuple(
    dict.fromkeys((*ROLE_FAULTS, *DIRICHLET_FAULTS, *TAYLOR_FAULTS, *N_TERM_FAULTS, *N_MOMENT_FAULTS))
)
SOURCE = "Park et al., Theorems 1 and 5"
TWO_RATIO_FAULTS = ("half", "sign", "curvature", "limit", "weight", "shape", "square")


@cache
def two_ratios_are_mixup(d: int = 2, *, fault: str | None = None) -> Derivation:
    """Theorem 5 with n = 2 against Theorem 1 with M = lambda 1: the law, the moments, and the terms of one sample.

    Faults: those of `n_terms` but "cross", which two ratios do not have, and those of `n_moments`.
    """
    require_fault(fault, TWO_RATIO_FAULTS)
    slip = fault if fault in N_MOMENT_FAULTS else None
    steps = _law_of_the_kept_ratio(slip), _moments_of_mixup(slip), _terms_of_mixup(d, None if slip else fault)
    return Derivation("Theorem 5 with two ratios is Theorem 1 for Mixup", steps)


def _law_of_the_kept_ratio(fault: str | None) -> Step:
    """The density of lambda_1 under D~_Lambda, and that of D~_lambda."""
    (a, b), t = parameters(2), sp.Symbol("t", positive=True)
    shift, weights = (0 if fault == "shape" else 1), ((b, a) if fault == "weight" else (a, b))
    components = (
        weight * dirichlet_density((first + shift, last), (t, 1 - t))
        for weight, (first, last) in zip(weights, (turned((a, b), k) for k in range(2)), strict=True)
    )
    density, law = sp.Add(*components) / (a + b), tilted_density(a, b, t)
    return Step("The law of the kept ratio", equation(sp.Symbol(r"\tilde{p}(t)"), law), density - law, SOURCE)


def _moments_of_mixup(fault: str | None) -> Step:
    (a, b), share = parameters(2), ratios(2)[1]
    powers = (1, 1 if fault == "square" else 2)
    found = [label_weighted_mean(share**power, (a, b), fault) for power in powers]
    stated = [tilted_moment(a, b, 0, power) for power in (1, 2)]
    lines = tuple(equation(name, value) for name, value in zip((S1, S2), stated, strict=True))
    gaps = tuple(f - s for f, s in zip(found, stated, strict=True))
    return Step("The moments: S_1 = E_1 and S_2 = T = E_2", lines, gaps, SOURCE)


def _terms_of_mixup(d: int, fault: str | None) -> Step:
    """With T = S_2 the part of the product of means drops out; `assembly` has Mixup's terms, without the fault."""
    ours, theirs = NTerms(2, d, fault), Terms(d)
    own = {**dict.fromkeys(theirs.n, E1), **{theirs.A[p]: E2 for p in theirs.pairs}}
    mixup = [term.subs(own) for term in (theirs.r1, theirs.r2, theirs.r3)]
    last = 0 if fault == "limit" else E2  # with two ratios, S_2 without its last lambda_j^2 is empty
    n_mixup = [term.subs({S1: E1, S2: last, T: E2}) for term in (ours.r1, ours.r2, ours.r3)]
    gaps = tuple(ours.in_data(a - b) for a, b in zip(n_mixup, mixup, strict=True))
    lines = tuple(equation(sp.Symbol(f"R_{k}"), e) for k, e in enumerate(mixup, 1))
    return Step("The terms of one sample", lines, gaps, "Park et al., Theorem 1 for M = lambda 1, E[r] kept")


@cache
def theorem5(n: int = 3, d: int = 2, *, fault: str | None = None) -> Derivation:
    """From the definition of the n-Mixup loss to L_m + R1 + R2 + R3, for n ratios, d coordinates and any alpha.

    `fault` is planted in every part of the chain that knows it ("cross" is none where n = 2).
    """
    require_fault(fault, THEOREM5_FAULTS)
    samples = 2 if n > 2 else 3  # not n, where a limit n for m would not show
    parts = (
        (lambda fault: n_role_form(n, samples=samples, fault=fault), ROLE_FAULTS),
        (lambda fault: dirichlet_conjugacy(n, fault=fault), DIRICHLET_FAULTS),
        (lambda fault: n_second_order(n, d, fault=fault), TAYLOR_FAULTS),
        (lambda fault: n_terms(n, d, fault=fault), N_TERM_FAULTS),
        (lambda fault: n_moments(n, fault=fault), N_MOMENT_FAULTS),
    )
    derivations = [derive(fault=fault if fault in known else None) for derive, known in parts]
    steps = tuple(step for derivation in derivations for step in derivation)
    whole = _in_full(n, samples, fault if fault in N_TERM_FAULTS else None)
    return Derivation(f"Theorem 5: {n} ratios", (*steps, whole))


@cache
def _in_full(n: int, samples: int, fault: str | None) -> Step:
    """The theorem on m samples of one coordinate at every lambda: all tuples, all roles, unspecified h and f."""
    t, lam, indices = NTerms(n, 1, fault), ratios(n), range(1, samples + 1)
    expansion = sp.Add(*t.polynomial())
    terms = t.sample.value() + t.in_shares(t.r1 + t.in_data(t.r2 + t.r3))
    x, y = sp.IndexedBase("x"), sp.IndexedBase("y")
    data = {t.mean[0]: sp.Add(*(x[i] for i in indices)) / samples}
    data |= {t.Q[0, 0]: sp.Add(*(x[i] ** 2 for i in indices)) / samples}

    def in_role(expression: sp.Expr, k: int) -> sp.Expr:
        """lambda_k times the expression, its shares those that follow lambda_k."""
        return lam[k] * expression.xreplace(dict(zip(t.partners.shares, turned(lam, k)[1:], strict=True)))

    def place(expression: sp.Expr, i: int, *partners: int) -> sp.Expr:
        names = [t.partners.r(j)[0] for j in t.partners.partners][: len(partners)]
        point = {t.sample.x[0]: x[i], t.sample.y: y[i], **dict(zip(names, (x[j] for j in partners), strict=True))}
        return expression.xreplace(point)

    roles, stated = (sp.Add(*(in_role(e, k) for k in range(n))) for e in (expansion, terms.xreplace(data)))
    tuples = sp.Add(*(place(roles, *i) for i in product(indices, repeat=n))) / samples**n
    theorem = sp.Add(*(place(stated, i) for i in indices)) / samples
    statement = equation(sp.Symbol(r"L_{m}^{\mathrm{n-mixup}}"), sp.Add(*sp.symbols("L_m R_1 R_2 R_3"), MEAN_REMAINDER))
    title = f"Theorem 5 on {samples} samples, in full"
    return Step(title, statement, tuples - theorem, "corrects Park et al., Theorem 5: n and m in their places")
