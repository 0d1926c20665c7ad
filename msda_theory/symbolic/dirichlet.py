"""Dirichlet laws of n mixing ratios, and the n-Mixup loss as a loss on moved samples with their own labels.

    L = 1/m^n sum_{i_1..i_n} E[ h(f(x~)) - (sum_k lambda_k y_{i_k}) f(x~) ],   x~ = sum_k lambda_k x_{i_k}

is 1/m sum_i E_r E_D~[ l(lambda_1 x_i + sum_{j>=2} lambda_j r_j, y_i) ], the r_j over the data, under the label-weighted

    D~_Lambda = sum_l alpha_l / A Dir(alpha_l + 1, alpha_{l+1}, .., alpha_{l+n-1}),   A = sum_l alpha_l, indices mod n

(Park et al., App. B, (20)).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Any

import sympy as sp

from msda_theory.symbolic._notation import Mean, difference, equation, require_fault, smooth
from msda_theory.symbolic.derivation import Derivation, Step

DIRICHLET_FAULTS = ("weight", "shape", "turn")
ROLE_FAULTS = ("label", "limit", "order")

LAW, LABEL_WEIGHTED = sp.Symbol(r"\mathcal{D}_{\Lambda}"), sp.Symbol(r"\tilde{\mathcal{D}}_{\Lambda}")
x, y = sp.IndexedBase("x"), sp.IndexedBase("y")
h, f, loss = smooth("h", 0), smooth("f", 0), smooth(r"\ell", 0, 0)


def parameters(n: int) -> tuple[sp.Symbol, ...]:
    return sp.symbols(f"alpha_1:{n + 1}", positive=True)


def ratios(n: int) -> tuple[sp.Symbol, ...]:
    return sp.symbols(f"lambda_1:{n + 1}", positive=True)


def turned(values: Sequence[Any], k: int) -> tuple[Any, ...]:
    """(v_k, v_{k+1}, .., v_{k+n-1}), indices mod n."""
    return (*values[k:], *values[:k])


def dirichlet_density(alpha: Sequence[Any], lam: Sequence[Any]) -> sp.Expr:
    """Gamma(A) / prod_k Gamma(alpha_k) prod_k lambda_k^(alpha_k - 1) on the simplex."""
    powers = (t ** (a - 1) / sp.gamma(a) for a, t in zip(alpha, lam, strict=True))
    return sp.gamma(sp.Add(*alpha)) * sp.Mul(*powers)


def dirichlet_moment(alpha: Sequence[Any], powers: Sequence[Any]) -> sp.Expr:
    """E[prod_k lambda_k^p_k], by the normalising constants of the two Dirichlet laws."""
    raised = [a + p for a, p in zip(alpha, powers, strict=True)]
    gammas = sp.Mul(*(sp.gamma(t) / sp.gamma(a) for a, t in zip(alpha, raised, strict=True)))
    return sp.gammasimp(gammas * sp.gamma(sp.Add(*alpha)) / sp.gamma(sp.Add(*raised)))


def label_weighted_mean(g: sp.Expr, alpha: Sequence[Any], fault: str | None = None) -> sp.Expr:
    """E_D~[g], component by component, for a polynomial g in `ratios(n)`."""
    n, terms = len(alpha), sp.Poly(g, *ratios(len(alpha))).terms()
    weights = turned(alpha, 1) if fault == "weight" else alpha

    def component(k: int) -> sp.Expr:
        first, *rest = turned(alpha, k)
        raised = (first + (0 if fault == "shape" else 1), *rest)
        return sp.Add(*(c * dirichlet_moment(raised, powers) for powers, c in terms))

    return sp.Add(*(weights[k] * component(k) for k in range(n))) / sp.Add(*alpha)


@cache
def dirichlet_conjugacy(n: int = 3, *, fault: str | None = None) -> Derivation:
    """beta | lambda ~ Mult(lambda), lambda ~ Dir(alpha) <=> beta ~ Mult(alpha / A), lambda | beta ~ Dir(alpha + beta).

    Faults: "weight": alpha_{k+1} for alpha_k; "shape": Dir(alpha) for lambda | beta; "turn": the ratio of the label not
    put first in D~.
    """
    require_fault(fault, DIRICHLET_FAULTS)
    alpha, lam, total = parameters(n), ratios(n), sp.Add(*parameters(n))
    weights = [a / total for a in (turned(alpha, 1) if fault == "weight" else alpha)]
    shift = 0 if fault == "shape" else 1

    def raised(k: int) -> tuple[sp.Expr, ...]:
        return tuple(a + (shift if j == k else 0) for j, a in enumerate(alpha))

    p, g = dirichlet_density(alpha, lam), sp.Function("g")
    joint = tuple(equation(lam[k] * p, weights[k] * dirichlet_density(raised(k), lam)) for k in range(n))
    means = tuple(equation(Mean(lam[k], LAW), weights[k]) for k in range(n))
    unit = [[int(j == k) for j in range(n)] for k in range(n)]
    gaps = tuple(dirichlet_moment(alpha, unit[k]) - weights[k] for k in range(n))
    roles = [lam[k] * g(*turned(lam, 0 if fault == "turn" else k)) for k in range(n)]
    averages = equation(Mean(g(*lam), LABEL_WEIGHTED), Mean(sp.Add(*roles), LAW))
    # component k of D~ at the turned ratios is the part of label k
    parts = (weights[k] * dirichlet_density(turned(raised(k), k), turned(lam, k)) for k in range(n))
    components = (part * g(*turned(lam, k)) - p * roles[k] for k, part in enumerate(parts))
    appendix = "Park et al., App. B"
    return Derivation(
        f"Conjugacy of the multinomial and Dirichlet laws, {n} ratios",
        (
            Step("Label k: density lambda_k p(lambda)", joint, tuple(map(difference, joint)), appendix),
            Step("Label k has probability alpha_k / A", means, gaps, appendix),
            Step("Averages under the label-weighted law", averages, tuple(components), appendix),
        ),
    )


@cache
def n_role_form(n: int = 3, *, samples: int = 2, fault: str | None = None) -> Derivation:
    """Label split and roles of the n-Mixup loss at every lambda, hence under every law; sums written out for m samples.

    One symbol stands for an input of any dimension.  Faults: "label": the label of the tuple's first sample in every
    role; "limit": the outer sum up to n, as (20) prints, which m = n would hide; "order": all ratios in reverse order,
    that of the sample itself too.
    """
    require_fault(fault, ROLE_FAULTS)
    roles, swapped = (_roles(n, samples, order, fault) for order in ("cyclic", "reversed"))
    definition, summed = sp.Symbol(r"L_{m}^{\mathrm{n-mixup}}"), sp.Symbol(r"\sum_{i,r,k}\lambda_{k}\ell")
    return Derivation(
        f"The n-Mixup loss by roles, {n} ratios and {samples} samples",
        (
            _label_split(n, fault),
            Step(
                "Roles: the sample whose label is kept first, its partners after it",
                equation(definition, roles / samples**n),
                sp.expand(_over_tuples(n, samples, fault) - roles),
                "corrects Park et al., (20): the outer sum runs over the m samples",
            ),
            Step(
                "The order of the partners' ratios makes no difference",
                equation(summed, swapped),
                sp.expand(roles - swapped),
                "Park et al., App. B: the index mod n in the label-weighted law",
            ),
        ),
    )


def _point(indices: Sequence[Any], shares: Sequence[sp.Expr]) -> sp.Expr:
    return sp.Add(*(share * x[i] for share, i in zip(shares, indices, strict=True)))


def _label_split(n: int, fault: str | None) -> Step:
    """h(f) - (sum_k lambda_k y_k) f = sum_k lambda_k (h(f) - y_k f), as the ratios add up to one."""
    lam, symbols = ratios(n), sp.symbols(f"i_1:{n + 1}")
    value = f(_point(symbols, lam))
    blended = h(value) - sp.Add(*(t * y[i] for t, i in zip(lam, symbols, strict=True))) * value
    kept = symbols[:1] * n if fault == "label" else symbols
    parts = sp.Add(*(t * (h(value) - y[i] * value) for t, i in zip(lam, kept, strict=True)))
    residual = (blended - parts).subs(lam[0], 1 - sp.Add(*lam[1:]))
    return Step("Label split", equation(blended, parts), residual, "Park et al., App. B, third display")


def _over_tuples(n: int, samples: int, fault: str | None) -> sp.Expr:
    """sum_{i_1..i_n} sum_k lambda_k l(sum_j lambda_j x_{i_j}, y_{i_k})."""
    lam, tuples = ratios(n), product(range(1, samples + 1), repeat=n)
    terms = (lam[k] * loss(_point(i, lam), y[i[0 if fault == "label" else k]]) for i in tuples for k in range(n))
    return sp.Add(*terms)


def _roles(n: int, samples: int, order: str, fault: str | None) -> sp.Expr:
    """sum_i sum_r sum_k lambda_k l(lambda_k x_i + sum_{j>=2} lambda_{k+j-1} r_j, y_i); "reversed": the last r first."""
    terms: list[sp.Expr] = []
    for k in range(n):
        own, *others = turned(ratios(n), k)
        shares = (own, *others) if order == "cyclic" else (own, *others[::-1])
        shares = shares[::-1] if order == "reversed" and fault == "order" else shares
        for i in range(1, (n if fault == "limit" else samples) + 1):
            terms += [own * loss(_point((i, *r), shares), y[i]) for r in product(range(1, samples + 1), repeat=n - 1)]
    return sp.Add(*terms)
