"""Theorem 1: the expansion to order J, its remainder, and the nested form against the plain one.

The theorem prints Delta_i with (xbar - x_i) and no expectation over xbar anywhere.  Two readings are possible: that
expectation outermost, as in the proof up to its last step, or within Delta_i, as the sentence before the theorem has it
("in the direction of E[(xbar - x_i)^(x)j]") and as psi_i, which does not name xbar, suggests.

For one law of lambda the equation alone says nothing: psi(a) = c a tends to 0 and fits any number.  It is read for
every a, that is for every law, as its proof has it.
"""

from __future__ import annotations

from functools import cache

import torch
from flint import fmpq, fmpq_poly

from msda_theory import Beta
from msda_theory.losses import SoftmaxCrossEntropy, Squared
from msda_theory.symbolic import Derivation, all_orders, averaged_within
from paper_checks.exact_cases import readable
from paper_checks.findings import DEPENDS, FAILS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.mixupe2023.cases import DEGREES, LAW_NAMES, LAWS, described, problem
from paper_checks.orders import ORDER_SLACK, smooth_digits
from paper_checks.registry import claim
from verify.directional_order import directional_remainder_order
from verify.tiny_all_orders import FORMS, expansion, integrand, mixup_loss

#: order, coordinates, outputs
SIZES = ((4, 1, 1), (4, 2, 1), (3, 1, 2), (3, 2, 2))
ORDERS = (1, 2, 3, 4)
OUTSIDE = "with E over xbar before the parenthesis, the theorem holds for every J: E_lambda E_xbar( ... )"


def _derivations(place: str, fault: str | None) -> list[Derivation]:
    return [all_orders(*size, place=place, fault=fault) for size in SIZES]


def _gaps(form: str, *, untilted: bool = False) -> list[fmpq]:
    """The Mixup loss less its expansion, J large enough for polynomials of these degrees; D for D~ if `untilted`."""
    found = []
    for outputs in (1, 2):
        for degrees in DEGREES:
            p, order = problem(outputs, *degrees), degrees[0] * degrees[1] if form == "plain" else max(degrees)
            for law in LAWS:
                mean = type(law)(law.b, law.a).mean if untilted else law.tilted_mean
                found.append(mixup_loss(p, law) - mean(integrand(p, order, form)))
    return found


@claim("mixupe2023:thm1", fault="D for D~, and lambda for 1-lambda in the derivation")
def theorem1(trial: Trial) -> Finding:
    derivations = _derivations("outside", trial.plant(None, "swap"))
    gaps = _gaps("nested", untilted=trial.faulty)
    holds = all(d.holds for d in derivations) and all(g == 0 for g in gaps)
    within, counterexample = _derivations("within", None), problem(1, 1, 2)
    lost = [mixup_loss(counterexample, law) - expansion(counterexample, law, 2, "averaged") for law in LAWS]
    covariance = averaged_within()
    fails = not any(d.holds for d in within) and all(g != 0 for g in lost) and covariance.holds
    hidden = lost[0] / LAWS[0].tilted_mean(fmpq_poly([0, 0, 0, 1]))
    evidence = {
        "derivations, orders 3 and 4": ", ".join("holds" if d.holds else "FAILS" for d in derivations),
        "rational cases": len(gaps),
        "rational gaps, outermost": "all 0" if all(g == 0 for g in gaps) else "not 0",
        "gap, within Delta, J = 2": ", ".join(f"{n}: {readable(g)}" for n, g in zip(LAW_NAMES, lost, strict=True)),
        "counterexample within Delta": described(counterexample),
        "psi(a) = c a that would hide it": f"c = {readable(hidden)} under {LAW_NAMES[0]}, another c for another law",
    }
    reason = (
        "xbar is free in Delta_i as printed.  With its mean outermost (the proof, up to its last step) the theorem "
        "holds: derived to order 4 for all h and f, exact on polynomials.  With its mean within Delta_i (the sentence "
        "before it) it fails from J = 2 on, by a^2/2 times the covariance over xbar of the directional derivatives "
        "contracted with h''.  Read for every a, as for one law of lambda psi(a) = c a fits any number"
    )
    corrected = Corrected(OUTSIDE, verdict_of(holds), Evidence("symbolic", {"cases": len(gaps)}))
    return Finding(DEPENDS if holds and fails else FAILS, reason, Evidence("symbolic", evidence), corrected)


@cache
def _slope(order: int, form: str, factor: float) -> float:
    model, x, y = smooth_digits((4, 3))
    loss, ratio = SoftmaxCrossEntropy(), Beta(1.0, 0.5)
    return directional_remainder_order(model, loss, x, y, ratio, order, form=form, factor=factor).slope


def _once_rough_slope() -> float:
    """f(x) = |x|^(5/2), twice differentiable at the sample 0 and no more: order 2 leaves a remainder of order 5/2."""
    x, y = torch.tensor([[0.0], [1.0], [-2.0]]).double(), torch.tensor([100.0, 0.0, 0.0]).double()
    return directional_remainder_order(lambda z: z.abs() ** 2.5, Squared(), x, y, Beta(1.0, 1.0), 2).slope


@claim("mixupe2023:thm1-order", fault="the derivatives of order J halved")
def remainder_order(trial: Trial) -> Finding:
    """The slope of the remainder as a is scaled to 0, on a tanh network of ten outputs and digits."""
    factor = trial.plant(1.0, 0.5)
    outside = {order: _slope(order, "nested", factor) for order in ORDERS}
    within = {order: _slope(order, "averaged", 1.0) for order in ORDERS[1:]}
    rough = _once_rough_slope()
    holds = all(abs(s - (j + 1)) <= ORDER_SLACK for j, s in outside.items()) and 2.4 < rough < 2.6
    fails = all(abs(s - 2) <= ORDER_SLACK for s in within.values())
    figures = {
        **{f"J = {j}, E outermost": s for j, s in outside.items()},
        **{f"J = {j}, E within Delta": s for j, s in within.items()},
        "J = 2, f = |x|^(5/2) at a sample 0": rough,
        "small parameter": "a = 1-lambda, the law of a shrunk to that of eps a",
        "slack": ORDER_SLACK,
    }
    reason = (
        "with the mean over xbar outermost the remainder is o(a^J): of order J+1 where f is smooth, and where f is no "
        "more than J times differentiable of an order between; with that mean within Delta_i it stays of order 2"
    )
    corrected = Corrected(OUTSIDE, verdict_of(holds), Evidence("deterministic", {"orders": len(outside)}))
    return Finding(DEPENDS if holds and fails else FAILS, reason, Evidence("deterministic", figures), corrected)


@claim("mixupe2023:nested", fault="the mean over xbar within Delta_i")
def nested_is_plain(trial: Trial) -> Finding:
    """Coefficient by coefficient in a, up to a^J."""
    derivations = _derivations(trial.plant("outside", "within"), None)
    form = trial.plant("nested", "averaged")
    cases = [(problem(k, *degrees), order) for k in (1, 2) for degrees in DEGREES for order in ORDERS]
    pairs = [(integrand(p, j, form), integrand(p, j, "plain"), j) for p, j in cases]
    gaps = [nested[k] - plain[k] for nested, plain, j in pairs for k in range(j + 1)]
    beyond = sum(nested != plain for nested, plain, _ in pairs)
    exact = {name: sum(g == 0 for g in _gaps(name)) for name in FORMS[:2]}
    figures = {
        "derivations, orders 3 and 4": ", ".join("holds" if d.holds else "FAILS" for d in derivations),
        "coefficients compared": len(gaps),
        "coefficients that differ": sum(g != 0 for g in gaps),
        "expansions that differ beyond a^J": f"{beyond} of {len(pairs)}",
        "degree at which the nested form is exact": f"J = max(deg f, deg h), {exact['nested']} cases",
        "degree at which the plain form is exact": f"J = deg f deg h, {exact['plain']} cases",
    }
    holds = all(d.holds for d in derivations) and all(g == 0 for g in gaps)
    reason = (
        "with the mean over xbar outermost both have the same coefficients up to a^J; beyond, the nested form keeps "
        "powers up to a^(J^2), which a^J psi(a) takes in: they agree to the order of the theorem and are not equal"
    )
    return Finding(verdict_of(holds), reason, Evidence("symbolic", figures))
