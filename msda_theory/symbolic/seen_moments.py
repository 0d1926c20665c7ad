"""The first two moments of the share N of its partner that a sample sees, over both roles and the mixing ratio.

With mu_j = E[M_j | lambda] and a_jk = E[(1-M_j)(1-M_k) | lambda], eq. (9) of Park et al., for every mask law

    n_j  = E[N_j]     = E_D[ lambda (1-mu_j) + (1-lambda) mu_j ]
    A_jk = E[N_j N_k] = E_D[ a_jk + (1-lambda)(mu_j + mu_k - 1) ].

The paper's moments are E_D~[1-lambda] and E_D~[a_jk].  If mu = lambda the first is right; the second exceeds A_jk by

    E_D[ (1-lambda)(a_jk(1-lambda) - a_jk(lambda) + 1 - 2 lambda) ],

which is zero for Mixup and Bernoulli masks but not for boxes.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from msda_theory.symbolic._notation import (
    TILTED,
    D,
    Mean,
    a,
    average,
    b,
    equation,
    moments,
    ratio,
    require_fault,
)
from msda_theory.symbolic.derivation import Derivation, Step
from msda_theory.symbolic.ratio_moments import in_closed_form, tilted_density, tilted_moment, under_ratio_law

MASKS = ("mixup", "bernoulli", "general")
MOMENT_FAULTS = ("swap", "square", "role")

M = sp.symbols("M_j M_k")
mu = sp.Function(r"\mu_j")(ratio), sp.Function(r"\mu_k")(ratio)
a_jk = sp.Function("a_jk")(ratio)
n_j, A_jj, A_jk = sp.symbols("n_j A_jj A_jk")


@cache
def seen_moments(mask: str = "general", *, fault: str | None = None) -> Derivation:
    """n_j and A_jk for any mask law, and how they stand to the paper's: equal for Mixup and Bernoulli, not for boxes.

    Faults: "swap": lambda for 1-lambda; "square": 1-lambda for its square; "role": the first role's moment for both.
    """
    require_mask(mask)
    require_fault(fault, MOMENT_FAULTS)
    own = {"mixup": _mixup, "bernoulli": _bernoulli, "general": _boxes}[mask](fault)
    steps = (_first(fault), _second(fault), _mean_mask(fault), _printed_gap(fault), *_closed_forms(fault), *own)
    return Derivation(f"The moments seen by a sample: {mask} mask", steps)


def require_mask(mask: str) -> None:
    if mask not in MASKS:
        raise ValueError(f"mask={mask!r}: needed is one of {', '.join(map(repr, MASKS))}")


def first_seen(mean: sp.Expr, fault: str | None = None) -> sp.Expr:
    """lambda (1-mu) + (1-lambda) mu, the first moment at a given lambda."""
    return ratio * (1 - mean) + (ratio if fault == "swap" else 1 - ratio) * mean


def second_seen(share: sp.Expr, means: tuple[sp.Expr, sp.Expr], fault: str | None = None) -> sp.Expr:
    """a + (1-lambda)(mu_j + mu_k - 1), the second moment at a given lambda."""
    return share if fault == "role" else share + (1 - ratio) * (means[0] + means[1] - 1)


def _over_mask(expression: sp.Expr) -> sp.Expr:
    """The expectation over M given lambda; E[M_j M_k] is solved from E[(1-M_j)(1-M_k)] = a_jk."""
    both = sp.Symbol("E_jk")
    table = moments(mu, sp.Matrix([[sp.nan, both], [both, sp.nan]]))
    (solution,) = sp.solve(average((1 - M[0]) * (1 - M[1]), M, table) - a_jk, both)
    return average(expression, M, table).subs(both, solution)


def _first(fault: str | None) -> Step:
    seen = first_seen(mu[0], fault)
    roles = ratio * _over_mask(1 - M[0]) + (1 - ratio) * _over_mask(M[0])
    statement = equation(n_j, Mean(seen, D))
    return Step("First moment seen, any mask law", statement, roles - seen, "corrects Park et al., (7)")


def _second(fault: str | None) -> Step:
    seen = second_seen(a_jk, mu, fault)
    roles = ratio * _over_mask((1 - M[0]) * (1 - M[1])) + (1 - ratio) * _over_mask(M[0] * M[1])
    statement = equation(A_jk, Mean(seen, D))
    return Step("Second moment seen, any mask law", statement, roles - seen, "corrects Park et al., (8)-(9)")


def _mean_mask(fault: str | None) -> Step:
    """If mu = lambda."""
    first, second = Mean(first_seen(ratio, fault), D), Mean(second_seen(a_jk, (ratio, ratio), fault), D)
    right = Mean(1 - ratio, TILTED), Mean(a_jk, D) - Mean((1 - ratio) * (1 - 2 * ratio), D)
    lines = equation(n_j, right[0]), equation(A_jk, right[1])
    gaps = tuple(under_ratio_law(own - other) for own, other in zip((first, second), right, strict=True))
    return Step("Both, where E[M] = lambda", lines, gaps, "Park et al., (7); corrects (8)-(9)")


def _printed_gap(fault: str | None) -> Step:
    seen = second_seen(a_jk, (ratio, ratio), fault)
    excess = (1 - ratio) * (a_jk.subs(ratio, 1 - ratio) - a_jk + 1 - 2 * ratio)
    statement = equation(Mean(a_jk, TILTED) - A_jk, Mean(excess, D))
    gap = under_ratio_law(Mean(a_jk, TILTED) - Mean(seen, D) - Mean(excess, D))
    return Step("Printed less true second moment, where E[M] = lambda", statement, gap, "on Park et al., (8)-(9)")


def _closed_forms(fault: str | None) -> tuple[Step, ...]:
    """2ab/((a+b)(a+b+1)) and half of it."""
    power = 1 if fault == "square" else 2
    product = a * b / ((a + b) * (a + b + 1))
    one, two = ratio if fault == "swap" else 1 - ratio, Mean((1 - ratio) ** power, TILTED)
    linear, square = equation(Mean(one, TILTED), 2 * product), equation(two, product)
    same = equation(two, Mean(ratio * (1 - ratio), D))
    source = "Park et al., Theorem 1; Zhang et al., Lemma 3.1"
    return (
        Step("Mean of 1-lambda under the tilted law", linear, in_closed_form(linear.lhs, a, b) - linear.rhs, source),
        Step(
            "Mean of (1-lambda)^2 under the tilted law",
            (same, square),
            (under_ratio_law(two - same.rhs), tilted_moment(a, b, 0, power) - square.rhs),
            source,
        ),
    )


def _agrees(title: str, name: sp.Symbol, share: sp.Expr, atoms: sp.Expr, fault: str | None) -> Step:
    """a = `share` is what the atoms give, and A the printed E_D~[a]: for every law of lambda, and in closed form."""
    true, printed = Mean(second_seen(share, (ratio, ratio), fault), D), Mean(share, TILTED)
    closed = sp.factor(in_closed_form(printed, a, b))
    gaps = atoms - share, under_ratio_law(true - printed), in_closed_form(true, a, b) - closed
    lines = equation(name, printed), equation(name, closed)
    return Step(title, lines, gaps, "Park et al., (8)-(9)")


def _mixup(fault: str | None) -> tuple[Step, ...]:
    share = (1 - M[0]) * (1 - M[1])
    atoms = share.subs(dict.fromkeys(M, ratio))
    return (_agrees("Mixup: the printed second moment is right", A_jk, (1 - ratio) ** 2, atoms, fault),)


def _bernoulli(fault: str | None) -> tuple[Step, ...]:
    vertices = [(u, v) for u in (0, 1) for v in (0, 1)]
    chance = {vertex: sp.Mul(*(ratio if bit else 1 - ratio for bit in vertex)) for vertex in vertices}
    two = sp.Add(*(p * (1 - u) * (1 - v) for (u, v), p in chance.items()))
    one = sp.Add(*(p * (1 - u) ** 2 for (u, _), p in chance.items()))
    title = "Bernoulli, {} coordinate{}: the printed second moment is right"
    return (
        _agrees(title.format("two", "s"), A_jk, (1 - ratio) ** 2, two, fault),
        _agrees(title.format("one", ""), A_jj, 1 - ratio, one, fault),
    )


def _boxes(fault: str | None) -> tuple[Step, ...]:
    """A box of area 1-lambda on the unit torus, lambda uniform, two points half a side apart in both directions.

    With the side s = sqrt(1-lambda), an arc and its copy half a turn on overlap by 2 max(s - 1/2, 0): squared, a_jk.
    """
    s = sp.Symbol("s", positive=True)
    lam, share = 1 - s**2, (2 * s - 1) ** 2

    def mean(density: sp.Expr) -> sp.Expr:
        return sp.integrate(share * density * 2 * s, (s, sp.S.Half, 1))

    rest = second_seen(sp.S.Zero, (ratio, ratio), fault)
    true = mean(sp.S.One) + in_closed_form(Mean(rest, D), 1, 1)
    printed = mean(tilted_density(1, 1, lam).rewrite(sp.gamma))
    gap = sp.Rational(-1, 240)
    title = "Boxes on a torus: the printed second moment is wrong"
    statement = equation(Mean(a_jk, TILTED) - A_jk, gap)
    return (Step(title, statement, printed - true - gap, "counterexample to Park et al., (8)-(9)"),)
