"""From the definition (4) of the MSDA loss to a loss on moved inputs with their own labels.

    L = 1/m^2 sum_ij E[ h(f(x_ij)) - (lambda y_i + (1-lambda) y_j) f(x_ij) ],   x_ij = M x_i + (1-M) x_j

is, for every law of the ratio lambda and the mask M (the two-role form),

    L = 1/m sum_i E_r E[ lambda l(x_i + (1-M)(r-x_i), y_i) + (1-lambda) l(x_i + M(r-x_i), y_i) ],

with r over the data.  Eqs. (13)-(14) of Park et al. put 1-M(lambda') under lambda' = 1-lambda for the second role's M:
right where 1-M(1-lambda) and M(lambda) have the same law, as for Mixup and independent Bernoulli coordinates.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from msda_theory.symbolic._notation import (
    TILTED,
    D,
    Mean,
    a,
    b,
    difference,
    equation,
    ratio,
    require_fault,
    smooth,
)
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.ratio_moments import beta_density, beta_moment, tilted_density, tilted_moment

CONJUGACY_FAULTS = ("weight", "shape", "swap")
TWO_ROLE_FAULTS = ("label", "one_role")
TILTED_FORM_FAULTS = ("swap", "weight")

i, j, m = sp.symbols("i j m", integer=True, positive=True)
x, y = sp.IndexedBase("x"), sp.IndexedBase("y")
M = sp.Symbol("M")
h, f, loss = smooth("h", 0), smooth("f", 0), smooth(r"\ell", 0, 0)


@cache
def conjugacy(*, fault: str | None = None) -> Derivation:
    """B | lambda ~ Bern(lambda) and lambda ~ Beta(a, b)  <=>  B ~ Bern(a/(a+b)) and lambda | B ~ Beta(a+B, b+1-B).

    Faults: "weight": b/(a+b) for a/(a+b); "shape": Beta(a, b) for lambda | B; "swap": lambda for 1-lambda in D~.
    """
    require_fault(fault, CONJUGACY_FAULTS)
    weight = (b if fault == "weight" else a) / (a + b)
    shift = 0 if fault == "shape" else 1
    p, lam = beta_density(a, b, ratio), ratio
    g = sp.Function("g")
    one = equation(lam * p, weight * beta_density(a + shift, b, lam))
    zero = equation((1 - lam) * p, (1 - weight) * beta_density(a, b + shift, lam))
    mean = equation(Mean(lam, D), weight)
    mirror = equation(beta_density(a, b + shift, 1 - lam), beta_density(b + 1, a, lam))
    factor = 1 - lam if fault == "swap" else lam
    tilted = equation(tilted_density(a, b, lam), factor * (p + beta_density(a, b, 1 - lam)))
    averages = equation(Mean(g(lam), TILTED), Mean(lam * g(lam) + (1 - lam) * g(1 - lam), D))
    appendix = "Park et al., App. A; Zhang et al., App. A.1"
    return Derivation(
        "Conjugacy of the Bernoulli and Beta laws",
        (
            Step("First role: B = 1 has density lambda p(lambda)", one, difference(one), appendix),
            Step("Second role: B = 0 has density (1-lambda) p(lambda)", zero, difference(zero), appendix),
            Step("B = 1 has probability a/(a+b)", mean, beta_moment(a, b, 1) - weight, appendix),
            Step("1 - Beta(a, b+1) is Beta(b+1, a)", mirror, difference(mirror), "Zhang et al., App. A.1"),
            Step("Density of the tilted law", tilted, difference(tilted), "Park et al., Theorem 1"),
            Step("Averages under the tilted law", averages, _tilted_average(g, fault), "follows"),
        ),
    )


def _tilted_average(g: sp.Function, fault: str | None) -> sp.Expr:
    """E_D~ g less E_D[lambda g(lambda) + (1-lambda) g(1-lambda)], after t = 1-lambda in the part p(1-t)."""
    t, lam = sp.Symbol("t", positive=True), ratio
    shift = 0 if fault == "shape" else 1
    first = a / (a + b) * beta_density(a + shift, b, lam) * g(lam)
    second = b / (a + b) * beta_density(b + shift, a, t) * g(t)
    p = beta_density(a, b, lam)
    return first + second.subs(t, 1 - lam) - p * (lam * g(lam) + (1 - lam) * g(1 - lam))


@cache
def two_role_form(*, fault: str | None = None, samples: int = 3) -> Derivation:
    """Label split and role swap at every lambda and M, hence under every law of them; sums checked for m = `samples`.

    M and the inputs are vectors, multiplied entrywise.  These are the rules of commutative algebra, so one symbol each
    stands for any dimension.  Faults: "label": weight lambda in both roles; "one_role": N = 1-M in both.
    """
    require_fault(fault, TWO_ROLE_FAULTS)
    second_weight = ratio if fault == "label" else 1 - ratio
    second_share = 1 - M if fault == "one_role" else M
    pair = M * x[i] + (1 - M) * x[j]
    blended = h(f(pair)) - (ratio * y[i] + (1 - ratio) * y[j]) * f(pair)
    first, second = ratio * loss(pair, y[i]), second_weight * loss(pair, y[j])
    first_role = ratio * loss(x[i] + (1 - M) * (x[j] - x[i]), y[i])
    second_role = second_weight * loss(x[i] + second_share * (x[j] - x[i]), y[i])
    split = equation(blended, first + second)
    swap = equation(_over_pairs(second), _over_pairs(second_role))
    form = equation(_over_pairs(blended), _over_pairs(first_role + second_role))
    relabelled = second.subs({i: j, j: i}, simultaneous=True) - second_role
    return Derivation(
        "The two-role form of the MSDA loss",
        (
            Step("Label split", split, _spelled_out(difference(split)), "Park et al., App. A, third display"),
            Step("Role swap: relabel i and j in the second part", swap, relabelled, "in place of Park et al., (13)"),
            Step("Two-role form", form, _explicit(form, samples), "corrects Park et al., (13)-(14)"),
        ),
    )


def _over_pairs(summand: sp.Expr) -> sp.Expr:
    return sp.Sum(summand, (i, 1, m), (j, 1, m)) / m**2


def _spelled_out(expression: sp.Expr) -> sp.Expr:
    """l(x, y) = h(f(x)) - y f(x) put in."""
    return expression.replace(loss, lambda point, label: h(f(point)) - label * f(point))


def _explicit(statement: sp.Equality, samples: int) -> sp.Expr:
    return _spelled_out(difference(statement).subs(m, samples).doit())


@cache
def tilted_form_mixup(*, fault: str | None = None) -> Derivation:
    """Eqs. (13)-(14) for Mixup: the share N = t seen over both roles has the density of 1-lambda' under D~.

    Faults: "swap": lambda' for 1-lambda'; "weight": the label weights of the two roles exchanged.
    """
    require_fault(fault, TILTED_FORM_FAULTS)
    t = sp.Symbol("t", positive=True)
    weight = t if fault == "weight" else 1 - t
    first, second = weight * beta_density(a, b, 1 - t), weight * beta_density(a, b, t)
    law = tilted_density(a, b, t if fault == "swap" else 1 - t)
    both = equation(first + second, law)
    source = "Park et al., (13)-(14); Zhang et al., (9)"
    return Derivation(
        "The tilted form for Mixup", (Step("Density of the share N = t", both, difference(both), source),)
    )


@cache
def tilted_form_bernoulli(*, fault: str | None = None) -> Derivation:
    """Eqs. (13)-(14) for independent Bernoulli coordinates: every vertex N in {0,1}^d, k ones, has the same weight.

    Faults: "swap": lambda' for 1-lambda'; "weight": the roles not weighed at all.
    """
    require_fault(fault, TILTED_FORM_FAULTS)
    d, k = sp.symbols("d k", integer=True, positive=True)
    first = ratio ** (d - k + 1) * (1 - ratio) ** k
    second = (1 - ratio) ** (d - k + 1) * ratio**k
    kept = 0 if fault == "weight" else 1
    roles = beta_moment(a, b, d - k + kept, k) + beta_moment(a, b, k, d - k + kept)
    law = tilted_moment(a, b, *((k, d - k) if fault == "swap" else (d - k, k)))
    stated = equation(Mean(first + second, D), Mean(ratio ** (d - k) * (1 - ratio) ** k, TILTED))
    step = Step("Weight of a vertex N with k ones of d", stated, roles - law, "Park et al., (13)-(14)")
    return Derivation("The tilted form for Bernoulli masks", (step,))
