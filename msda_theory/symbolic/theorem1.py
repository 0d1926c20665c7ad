"""Theorem 1 of Park et al. from the definition (4), step by step; with M = lambda 1, Lemma 3.1 of Zhang et al.

two-role form  ->  conjugacy and the tilted law  ->  Taylor step  ->  moments seen  ->  R1, R2, R3  ->  the theorem
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import sympy as sp

from msda_theory.symbolic._notation import (
    MEAN_REMAINDER,
    TILTED,
    Mean,
    average,
    equation,
    moments,
    ratio,
    require_fault,
)
from msda_theory.symbolic.assembly import ASSEMBLY_FAULTS, Terms, assembly, taylor_polynomial
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.ratio_moments import under_ratio_law
from msda_theory.symbolic.rewriting import (
    CONJUGACY_FAULTS,
    TILTED_FORM_FAULTS,
    TWO_ROLE_FAULTS,
    conjugacy,
    tilted_form_bernoulli,
    tilted_form_mixup,
    two_role_form,
)
from msda_theory.symbolic.seen_moments import MOMENT_FAULTS, first_seen, require_mask, second_seen, seen_moments
from msda_theory.symbolic.taylor import TAYLOR_FAULTS, second_order

Part = tuple[Callable[..., Derivation], tuple[str, ...]]

TILTED_FORMS: dict[str, Part] = {
    "mixup": (tilted_form_mixup, TILTED_FORM_FAULTS),
    "bernoulli": (tilted_form_bernoulli, TILTED_FORM_FAULTS),
}
KNOWN = (TWO_ROLE_FAULTS, CONJUGACY_FAULTS, TILTED_FORM_FAULTS, TAYLOR_FAULTS, MOMENT_FAULTS, ASSEMBLY_FAULTS)
THEOREM1_FAULTS = tuple(dict.fromkeys(fault for faults in KNOWN for fault in faults))


def theorem1(mask: str = "general", d: int = 2, *, fault: str | None = None) -> Derivation:
    """From (4) to L_m + R1 + R2 + R3, for the mask law "mixup", "bernoulli" or "general" (any) and d coordinates.

    `fault` is planted in every part of the chain that knows it.
    """
    require_mask(mask)
    require_fault(fault, THEOREM1_FAULTS)
    parts: list[Part] = [(two_role_form, TWO_ROLE_FAULTS), (conjugacy, CONJUGACY_FAULTS)]
    if mask in TILTED_FORMS:
        parts.append(TILTED_FORMS[mask])
    parts += [
        (lambda fault: second_order(d, fault=fault), TAYLOR_FAULTS),
        (lambda fault: seen_moments(mask, fault=fault), MOMENT_FAULTS),
        (lambda fault: assembly(mask, d, fault=fault), ASSEMBLY_FAULTS),
    ]
    derivations = [derive(fault=_if_known(fault, known)) for derive, known in parts]
    steps = tuple(step for derivation in derivations for step in derivation)
    whole = _two_samples(mask, _if_known(fault, ASSEMBLY_FAULTS + MOMENT_FAULTS))
    return Derivation(f"Theorem 1: {mask} mask", (*steps, whole))


def _if_known(fault: str | None, known: tuple[str, ...]) -> str | None:
    return fault if fault in known else None


@cache
def _two_samples(mask: str, fault: str | None) -> Step:
    """The theorem for m = 2 samples in two coordinates at every lambda: four pairs, both roles, unspecified h and f."""
    t = Terms(2, fault)
    mean, share = _given_ratio(mask)
    expansion = sp.expand(sp.Add(*taylor_polynomial(t.sample)))
    pair = ratio * _first_role(t, expansion, mean, share) + (1 - ratio) * _second_role(t, expansion, mean, share)
    pairs = sp.Add(*(_place(t, pair, i, partner) for i in (1, 2) for partner in (1, 2))) / 4
    terms = (t.sample.value() + t.r1 + t.in_data(t.r2 + t.r3)).xreplace(_data(t) | _seen(mask, t, fault))
    theorem = sp.Add(*(_place(t, terms, i) for i in (1, 2))) / 2
    names = sp.symbols("L_m R_1 R_2 R_3")
    statement = equation(sp.Symbol(r"L_{m}^{\mathrm{MSDA}}"), sp.Add(*names, MEAN_REMAINDER))
    source = "corrects Park et al., (6)" if mask == "general" else "Park et al., (6)"
    return Step("Theorem 1 on two samples, in full", statement, pairs - theorem, source)


def _given_ratio(mask: str) -> tuple[tuple[sp.Expr, ...], sp.MatrixBase]:
    """mu_j = E[M_j] and a_jk = E[(1-M_j)(1-M_k)] at a given lambda."""
    if mask == "general":
        a_11, a_12, a_22 = sp.symbols("a_11 a_12 a_22")
        return sp.symbols("mu_1 mu_2"), sp.Matrix([[a_11, a_12], [a_12, a_22]])
    diagonal = 1 - ratio if mask == "bernoulli" else (1 - ratio) ** 2
    return (ratio, ratio), sp.Matrix(2, 2, lambda j, k: diagonal if j == k else (1 - ratio) ** 2)


def _first_role(t: Terms, expansion: sp.Expr, mean: tuple[sp.Expr, ...], share: sp.MatrixBase) -> sp.Expr:
    """N = 1-M."""
    return average(expansion, t.sample.N, moments(tuple(1 - mu for mu in mean), share))


def _second_role(t: Terms, expansion: sp.Expr, mean: tuple[sp.Expr, ...], share: sp.MatrixBase) -> sp.Expr:
    """N = M."""
    both = sp.Matrix(2, 2, lambda j, k: mean[j] + mean[k] - 1 + share[j, k])
    return average(expansion, t.sample.N, moments(mean, both))


def _seen(mask: str, t: Terms, fault: str | None) -> dict[sp.Expr, sp.Expr]:
    """n and A at a given lambda: the paper's for Mixup and Bernoulli masks, those over both roles for any mask."""
    mean, share = _given_ratio(mask)
    slip = fault if fault in MOMENT_FAULTS else None
    if mask == "general":
        first = [first_seen(mu, slip) for mu in mean]
        second = {t.A[j, k]: second_seen(share[j, k], (mean[j], mean[k]), slip) for j, k in t.pairs}
    else:
        first = [under_ratio_law(Mean(ratio if slip == "swap" else 1 - ratio, TILTED)) for _ in mean]
        second = {t.A[p]: under_ratio_law(Mean(share[p], TILTED)) for p in t.pairs}
    return dict(zip(t.n, first, strict=True)) | second


def _data(t: Terms) -> dict[sp.Expr, sp.Expr]:
    """The moments of the partner: means over the two samples."""
    x = sp.IndexedBase("x")
    means = {t.mean[k]: (x[1, k + 1] + x[2, k + 1]) / 2 for k in range(2)}
    squares = {t.Q[j, k]: sp.Add(*(x[i, j + 1] * x[i, k + 1] for i in (1, 2))) / 2 for j, k in t.pairs}
    return means | squares


def _place(t: Terms, expression: sp.Expr, i: int, partner: int | None = None) -> sp.Expr:
    """Sample i (and its partner) put in for x, y (and r)."""
    x, y, s = sp.IndexedBase("x"), sp.IndexedBase("y"), t.sample
    point = {s.y: y[i], **{s.x[k]: x[i, k + 1] for k in range(2)}}
    if partner is not None:
        point |= {s.r[k]: x[partner, k + 1] for k in range(2)}
    return expression.xreplace(point)
