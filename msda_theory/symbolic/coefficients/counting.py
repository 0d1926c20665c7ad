"""CutMix on the pixel grid: the positions of an interval that cover two pixels of an axis, counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, permutations, product

import sympy as sp

from msda_theory.symbolic._notation import equation, require_fault
from msda_theory.symbolic.coefficients.boxes import Placement, placement, printed_common, require_sampler, wrapped
from msda_theory.symbolic.derivation import Derivation, Step

OVERLAP_FAULTS = {
    "printed": ("short", "first", "last", "axes", "pairs"),
    "inside": ("short", "first", "last", "axes", "pairs"),
    "clip": ("short", "first", "last", "axes"),
    "torus": ("short", "axes"),
}

c = sp.Symbol("c", integer=True)
j, s, n = sp.symbols("j s n", integer=True, positive=True)
d = sp.Symbol("d", integer=True, nonnegative=True)


@cache
def cutmix_coefficient(sampler: str = "printed", *, fault: str | None = None) -> Derivation:
    """a_jk of CutMix by counting, in each of the four ways in which two pixels j <= k = j+d lie to the ends.

    Faults: "short": an interval one pixel short; "first", "last": positions before the first, after the last; "axes":
    the mean of the two axes for their product; "pairs": all n pixels for the n-d pairs that are d apart.
    """
    require_sampler(sampler)
    require_fault(fault, OVERLAP_FAULTS[sampler])
    counted = _wrapped_counts(fault) if sampler == "torus" else [_count(case, sampler, fault) for case in CASES]
    printed = [_printed(fault)] if sampler == "printed" else []
    averaged = _over_pairs(sampler, fault) if sampler in ("printed", "inside") else []
    steps = (*counted, *printed, axes_factorise(fault), *averaged)
    return Derivation(f"CutMix on the grid, sampler {sampler!r}", steps)


@dataclass(frozen=True)
class Case:
    """Two pixels j <= k = j+d, and whether the first and the last position limit those that cover both."""

    at_first: bool
    at_last: bool

    @property
    def title(self) -> str:
        ends = [name for name, met in (("first", self.at_first), ("last", self.at_last)) if met]
        return f"Cut off at the {' and the '.join(ends)} position" if ends else "Cut off at neither end"

    def resolved(self, j: sp.Expr, d: sp.Expr, sampler: str, slack: tuple[sp.Symbol, sp.Symbol]) -> Placement:
        """p, q and P for which the case is met whatever the slack, two nonnegative symbols."""
        before = j + d + (slack[0] if self.at_first else -slack[0])
        after = before if sampler == "clip" else sp.S.Zero
        return Placement(before, after, j + after + (-slack[1] if self.at_last else slack[1]))

    def ends(self, j: sp.Expr, d: sp.Expr, place: Placement, fault: str | None = None) -> tuple[sp.Expr, sp.Expr]:
        """From where to where the positions lie that cover both, the second left out."""
        from_first = self.at_first and fault != "first"
        start = sp.S.Zero if from_first else j + d - place.before + (1 if fault == "short" else 0)
        return start, place.positions if self.at_last and fault != "last" else j + place.after


CASES = tuple(Case(*ends) for ends in product((False, True), repeat=2))
SLACK: tuple[sp.Symbol, sp.Symbol] = sp.symbols("u w", integer=True, nonnegative=True)


def _count(case: Case, sampler: str, fault: str | None) -> Step:
    """The sum of 1 over the positions that cover both, against the closed form."""

    def sum_over(place: Placement) -> sp.Expr:
        start, stop = case.ends(j, d, place, fault)
        return sp.Sum(1, (c, start, stop - 1))

    stated, met = placement(n, s, sampler), case.resolved(j, d, sampler, SLACK)
    residual = sum_over(met).doit() - met.common(j, j + d)
    statement = equation(sum_over(stated), stated.common(j, j + d))
    return Step(case.title, statement, residual, "Park et al., (10)" if sampler == "printed" else "as (10) is counted")


def axes_factorise(fault: str | None = None) -> Step:
    """Rows and columns are drawn independently: written out for two positions of one and three of the other."""
    rows, columns = sp.symbols("x_1:3"), sp.symbols("y_1:4")
    row, column = sp.Add(*rows) / 2, sp.Add(*columns) / 3
    both = sp.Add(*(x * y for x, y in product(rows, columns))) / 6
    right = (row + column) / 2 if fault == "axes" else row * column
    return Step("The axes factorise", equation(both, right), both - right, "Park et al., (10)")


def _printed(fault: str | None) -> Step:
    """(10) is the closed form of this sampler, in whatever order j, k, s and P = n-s stand."""
    k, moved = sp.Symbol("k", integer=True, positive=True), 1 if fault == "last" else 0
    gaps = tuple(
        printed_common(first, second, free + side, side, moved) - Placement(side, sp.S.Zero, free).common(first, second)
        for first, second, side, free in orders(4)
    )
    statement = equation(printed_common(j, k, n, s, moved), placement(n, s, "printed").common(j, k))
    return Step("Eq. (10) is this count", statement, gaps, "Park et al., (10)")


def orders(count: int) -> Iterator[tuple[sp.Expr, ...]]:
    """Every order in which so many nonnegative numbers can stand, written in nonnegative steps from one to the next."""
    steps = sp.symbols(f"x_1:{count + 1}", integer=True, nonnegative=True)
    return permutations(accumulate(steps))


def _over_pairs(sampler: str, fault: str | None) -> list[Step]:
    """A box of full size has s-d pairs that are d <= s apart, wherever it lies: their mean falls as d grows."""
    positions, pixel = placement(n, s, sampler).positions, sp.Symbol("t", integer=True)
    pairs = n if fault == "pairs" else n - d
    summed = sp.Sum(1, (pixel, c + 1, c + s - d), (c, 0, positions - 1))
    mean = equation(summed / (positions * (n - d)), (s - d) / pairs)
    slope = equation(sp.Derivative((s - d) / pairs, d), -(n - s) / (n - d) ** 2)
    source = "Park et al., Fig. 4"
    return [
        Step("Mean over the pairs d <= s apart", mean, sp.cancel(mean.lhs.doit() - mean.rhs), source),
        Step("It falls as d grows", slope, sp.cancel(_slope(mean.rhs) - slope.rhs), source),
    ]


def _slope(expression: sp.Expr) -> sp.Expr:
    """d is an integer in what it counts; the expression is differentiated as one of a real d."""
    real = sp.Symbol("d", positive=True)
    return expression.subs(d, real).diff(real).subs(real, d)


def _wrapped_counts(fault: str | None) -> list[Step]:
    """Positions j-s+1..j cover j; j+d-s+1..j+d cover k = j+d, and so do the same less n, on the circle."""
    u, w = SLACK
    late = 2 if fault == "short" else 1
    direct, around = sp.Sum(1, (c, j + d - s + late, j)), sp.Sum(1, (c, j - s + late, j + d - n))
    nowhere = sp.S.Zero
    ways = {
        "Overlap directly, or not at all": {direct: (d + u, 2 * d + u + w), nowhere: (s, s + d + w)},
        "Overlap around the border": {around: (s, s + d - w)},
        "Overlap both ways": {direct + around: (d + u, 2 * d + u - w)},
    }
    steps = []
    for title, cases in ways.items():
        gaps = []
        for total, (side, size) in cases.items():
            apart = s + u if side == s else d  # d >= s where the side is not written as d + u
            met = {s: side, n: size.subs(d, apart), d: apart}
            gaps.append((total.doit() - wrapped(d, n, s)).subs(met, simultaneous=True))
        steps.append(Step(title, equation(next(iter(cases)), wrapped(d, n, s)), tuple(gaps), "on the torus"))
    return steps
