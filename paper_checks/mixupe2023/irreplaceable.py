"""Sec. 2.2: no regulariser of finite order is the Mixup loss.

Two networks whose derivatives agree to order J at every sample have the same regularisers of order J, whatever these
do with the derivatives.  On the samples x = y = 0 and 1, f_0(x) = x and f_J(x) = x + c (x(x-1))^(J+1) are such a pair:
x(x-1) has simple zeros at the samples.  With the squared loss their Mixup losses differ by

    L(f_J) - L(f_0) = c^2/4 E[ (lambda(1-lambda))^(2J+2) ] > 0

for every J, for every law of lambda that is not at 0 or 1 alone, and by as much as one likes as c grows.
"""

from __future__ import annotations

import sympy as sp
from flint import fmpq

from paper_checks.findings import Evidence, Finding, Trial, verdict_of
from paper_checks.mixupe2023.cases import DEGREES, LAW_NAMES, LAWS, problem
from paper_checks.registry import claim
from verify.tiny_all_orders import FORMS, BetaLaw, PolynomialProblem, expansion, mixup_loss, variables

ORDERS = range(1, 7)
SIZE = fmpq(10**6)


def network(power: int, c: fmpq) -> PolynomialProblem:
    """f(x) = x + c (x(x-1))^power, the squared loss h(u) = u^2/2, samples x = y = 0 and 1."""
    (x,), (u,) = variables(1), variables(1)
    samples = [[fmpq(0)], [fmpq(1)]]
    return PolynomialProblem(samples, samples, (x + c * (x * (x - 1)) ** power,), u**2 / 2)


def agree_at_the_samples(power: int, order: int) -> bool:
    """Whether the derivatives of f up to `order` are those of x, at both samples."""
    x = sp.Symbol("x")
    bump = sp.expand((x * (x - 1)) ** power)
    return all(sp.diff(bump, x, k).subs(x, at) == 0 for k in range(order + 1) for at in (0, 1))


def pointwise_gap() -> sp.Expr:
    """l(x + c w, x) - l(x, x) - c^2 w^2 / 2 at a mixed point x of label x, l(u, y) = u^2/2 - y u."""
    x, c, w = sp.symbols("x c w")
    return sp.expand((x + c * w) ** 2 / 2 - x * (x + c * w) - (x**2 / 2 - x**2) - c**2 * w**2 / 2)


def predicted(law: BetaLaw, order: int, c: fmpq) -> fmpq:
    """c^2/4 E[(lambda(1-lambda))^(2J+2)]: the two mixed pairs of four, each with c^2 w^2 / 2."""
    k = 2 * order + 2
    a, b = law.a, law.b
    moment = fmpq(1)
    for step in range(k):
        moment *= (a + step) * (b + step)
    for step in range(2 * k):
        moment /= a + b + step
    return c**2 / 4 * moment


@claim("mixupe2023:irreplaceable", fault="(x(x-1))^J for (x(x-1))^(J+1)")
def irreplaceable(trial: Trial) -> Finding:
    lost = 1 if trial.faulty else 0
    agree = all(agree_at_the_samples(order + 1 - lost, order) for order in ORDERS)
    gaps, expansions = {}, []
    for name, law in zip(LAW_NAMES, LAWS, strict=True):
        plain = network(1, fmpq(0))
        for order in ORDERS:
            bent = network(order + 1 - lost, fmpq(1))
            gap = mixup_loss(bent, law) - mixup_loss(plain, law)
            gaps[name, order] = gap, gap - predicted(law, order, fmpq(1))
            expansions += [expansion(bent, law, order, f) - expansion(plain, law, order, f) for f in FORMS]
    last = ORDERS[-1]
    large = mixup_loss(network(last + 1, SIZE), LAWS[0]) - mixup_loss(network(1, fmpq(0)), LAWS[0])
    enough = [
        mixup_loss(p, law) - expansion(p, law, f * h, "plain")
        for f, h in DEGREES
        for law in LAWS
        for p in [problem(1, f, h)]
    ]
    figures = {
        "loss at a mixed point, less c^2 w^2 / 2": str(pointwise_gap()),
        "orders J tried": f"{ORDERS[0]} to {last}",
        "derivatives to order J agree at the samples": str(agree),
        "expansions of order J, difference": ", ".join(sorted({str(e) for e in expansions})),
        "Mixup losses, difference, Beta(1,1), J = 2": str(gaps[LAW_NAMES[0], 2][0]),
        "difference less c^2/4 E[(lambda(1-lambda))^(2J+2)]": ", ".join(sorted({str(g) for _, g in gaps.values()})),
        f"the same with c = {SIZE}, J = {last}": str(large),
        "polynomial networks: loss less its expansion of order deg f deg h": ", ".join(
            sorted({str(e) for e in enough})
        ),
    }
    differ = all(gap > 0 and rest == 0 for gap, rest in gaps.values())
    holds = agree and differ and not any(expansions) and pointwise_gap() == 0 and not any(enough)
    reason = (
        "for every J two networks have the same derivatives to order J at all samples and Mixup losses as far apart as "
        "one likes, so that no function of these derivatives is the Mixup loss, or bounds it.  In a class of networks "
        "that they determine there can be one: for polynomial networks and losses a finite order is the loss itself"
    )
    return Finding(verdict_of(holds), reason, Evidence("symbolic", figures))
