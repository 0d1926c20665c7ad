"""CutMix as the pixels shrink: a box of side s on an L x L image, its position a real number."""

from __future__ import annotations

from functools import cache

import sympy as sp

from msda_theory.symbolic._notation import equation, ratio, require_fault
from msda_theory.symbolic.coefficients.boxes import Placement, placement, require_sampler, wrapped
from msda_theory.symbolic.coefficients.counting import CASES, Case, axes_factorise
from msda_theory.symbolic.derivation import Derivation, Step

LIMIT_FAULTS = {
    **dict.fromkeys(("printed", "inside", "clip"), ("first", "last", "short", "axes", "area")),
    "torus": ("around", "direct", "axes", "area"),
}

j, s, L, pixel = sp.symbols("j s L epsilon", positive=True)
d = sp.Symbol("d", nonnegative=True)
SLACK: tuple[sp.Symbol, sp.Symbol] = sp.symbols("u w", nonnegative=True)
c = sp.Symbol("c", real=True)


@cache
def cutmix_limit(sampler: str = "inside", *, fault: str | None = None) -> Derivation:
    """a_jk for pixels of length epsilon -> 0: lengths of intervals of positions in place of their number.

    Faults: "short": positions from 1 on, not from the first that covers; "first", "last": positions before the first,
    after the last; "direct", "around": no overlap directly, around the border; "axes": the mean of the two axes for
    their product; "area": a box of area lambda.
    """
    require_sampler(sampler)
    require_fault(fault, LIMIT_FAULTS[sampler])
    steps = _wrapped(fault) if sampler == "torus" else [_between_ends(case, sampler, fault) for case in CASES]
    name = f"CutMix for small pixels, sampler {sampler!r}"
    return Derivation(name, (*steps, axes_factorise(fault), _area(fault)))


def _between_ends(case: Case, sampler: str, fault: str | None) -> Step:
    """The length of the positions that cover both points; and the share of a grid's positions, which tends to its."""

    def integral(place: Placement) -> sp.Expr:
        return sp.Integral(1, (c, *case.ends(j, d, place, fault)))

    stated, met = placement(L, s, sampler, continuous=True), case.resolved(j, d, sampler, SLACK)
    lengths = equation(integral(stated), stated.common(j, j + d))
    grid = Placement(*(v / pixel for v in (stated.before, stated.after, stated.positions)))
    positions = grid.positions + (1 if sampler == "inside" else 0)
    start, stop = case.ends(j / pixel, d / pixel, Placement(grid.before, grid.after, positions))
    share = (stop - start) / positions
    limit = equation(sp.Limit(share, pixel, 0), integral(stated) / stated.positions)
    gaps = integral(met).doit() - met.common(j, j + d), sp.limit(share, pixel, 0) - limit.rhs.doit()
    return Step(case.title, (lengths, limit), gaps, "limit of Park et al., (10)")


def _wrapped(fault: str | None) -> list[Step]:
    """Two arcs of length s on a circle of length L, d apart, and the count on n = L/epsilon pixels."""
    u, w = SLACK
    direct = sp.S.Zero if fault == "direct" else sp.Integral(1, (c, j + d - s, j))
    around = sp.S.Zero if fault == "around" else sp.Integral(1, (c, j - s, j + d - L))
    ways = {
        "Overlap directly": (direct, {s: d + u, L: 2 * d + u + w}),
        "Overlap around the border": (around, {L: s + d - w, d: s + u}),
        "Overlap both ways": (direct + around, {s: d + u, L: 2 * d + u - w}),
    }
    counted = wrapped(d / pixel, L / pixel, s / pixel) / (L / pixel)
    return [
        Step(
            title,
            (equation(total, wrapped(d, L, s)), equation(counted, wrapped(d, L, s) / L)),
            tuple(_resolved(gap, met) for gap in (total.doit() - wrapped(d, L, s), counted - wrapped(d, L, s) / L)),
            "on the torus",
        )
        for title, (total, met) in ways.items()
    ]


def _resolved(gap: sp.Expr, met: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
    for name, value in met.items():
        gap = gap.subs(name, value)
    return gap


def _area(fault: str | None) -> Step:
    """With the side of sec. 4 the box covers the share 1-lambda of the image, wherever it lies inside."""
    side = sp.sqrt(ratio if fault == "area" else 1 - ratio) * L
    statement = equation(s**2 / L**2, 1 - ratio)
    residual = statement.lhs.subs(s, side) - statement.rhs
    return Step("The box covers the share 1-lambda", (equation(s, side), statement), residual, "Park et al., sec. 4")
