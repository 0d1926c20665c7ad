"""Section 4: the coefficients of CutMix, (10), counted for each way to place the box."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import product

import sympy as sp
from flint import fmpq

from msda_theory.symbolic import cutmix_coefficient, cutmix_limit
from msda_theory.symbolic.coefficients import interval_overlap, printed_overlap
from paper_checks.exact_cases import BOX_SAMPLERS, readable
from paper_checks.findings import DEPENDS, FAILS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.enumeration import (
    SHAPES,
    Matrix,
    all_sides,
    axis_table,
    box_atoms,
    gaps,
    over_both_axes,
    second_moment,
)
from paper_checks.park2022.rewriting import derivation_figures
from paper_checks.registry import claim
from verify.tiny_laws import Number

Axis = Callable[[int, int, int, int], sp.Expr]  # of pixels j, k, size n and side s


def printed(j: int, k: int, n: int, s: int) -> sp.Expr:
    return printed_overlap(j, k, n, s)


def closed_form(sampler: str) -> Axis:
    return lambda j, k, n, s: interval_overlap(j, k, n, s, sampler)


@cache
def counted(shape: tuple[int, int], sides: tuple[int, int], sampler: str) -> Matrix:
    return second_moment(box_atoms(shape, sides, sampler))


def overlap_gaps(sampler: str, axis: Axis) -> list[fmpq]:
    """Counted less closed form for every pair of pixels, image and pair of sides."""
    found: list[fmpq] = []
    for shape in SHAPES:
        tables = {(n, s): axis_table(partial(_turned, axis, n, s), n) for n in set(shape) for s in range(n)}
        for sides in all_sides(shape):
            stated = over_both_axes(*(tables[n, s] for n, s in zip(shape, sides, strict=True)))
            found += gaps(counted(shape, sides, sampler), stated)
    return found


def _turned(axis: Axis, n: int, s: int, j: int, k: int) -> sp.Expr:
    return axis(j, k, n, s)


def largest(values: list[Number]) -> str:
    return readable(max(values, key=abs))


def _counted_from_zero(axis: Axis) -> list[fmpq]:
    """One axis with pixels 0..n-1 and intervals that start at pixel 1, ..., n-s."""
    found: list[fmpq] = []
    for n, s in [(size, side) for size in range(2, 7) for side in range(size)]:
        for j, k in product(range(n), repeat=2):
            both = sum(start <= min(j, k) and max(j, k) < start + s for start in range(1, n - s + 1))
            stated = sp.Rational(axis(j, k, n, s))
            found.append(fmpq(both, n - s) - fmpq(int(stated.p), int(stated.q)))
    return found


@claim("park2022:eq10", fault="n - s + 1 for n - s in h")
def equation10(trial: Trial) -> Finding:
    """Counted for each sampler, for every pair of pixels; and as the integral that it also is."""
    one_more: Axis = lambda j, k, n, s: printed_overlap(j, k, n + 1, s)  # noqa: E731
    stated = trial.plant(printed, one_more)
    by_sampler = {sampler: overlap_gaps(sampler, stated) for sampler in BOX_SAMPLERS}
    derivations = [cutmix_coefficient(s, fault=trial.plant(None, "short")) for s in BOX_SAMPLERS]
    closed = {s: overlap_gaps(s, trial.plant(closed_form(s), one_more)) for s in BOX_SAMPLERS}
    figures: dict[str, str | int] = {f"counted - (10), largest, {s}": largest(g) for s, g in by_sampler.items()}
    figures["pixels counted from 0, starts 1..n-s"] = largest(_counted_from_zero(stated))
    figures |= {"pairs of pixels": len(by_sampler["inside"]), "images": ", ".join(f"{h}x{w}" for h, w in SHAPES)}
    right = {s: all(g == 0 for g in values) for s, values in by_sampler.items()}
    real = cutmix_limit("printed", fault=trial.plant(None, "short"))
    as_expected = right == {s: s == "printed" for s in BOX_SAMPLERS} and real.holds
    corrected = Corrected(
        "P(the interval covers j and k) = max(min(j+q, k+q, P) - max(j-p, k-p, 0), 0)/P on each axis, with p, q, P = "
        "s, 0, n-s+1 for boxes anywhere inside the image and [s/2], [s/2], n for clipped boxes; (max(s-d, 0) + "
        "max(s-(n-d), 0))/n, d = |j-k|, on the torus; (10) is p, q, P = s, 0, n-s, and at lambda = 0 it is 0/0",
        verdict_of(all(d.holds for d in derivations) and all(g == 0 for gap in closed.values() for g in gap)),
        Evidence(
            "symbolic",
            {**derivation_figures(derivations[0]), **{f"largest gap, {s}": largest(g) for s, g in closed.items()}},
        ),
    )
    reason = (
        "true for a box that starts at one of n-s pixels an axis, pixels and starts counted from 1 (then the last "
        "pixel is never covered) or from 0 with starts 1..n-s (then the first), and for one that starts at a real "
        "number in (0, n-s]; false for all n-s+1 places inside the image, for clipped boxes and on the torus"
    )
    return Finding(DEPENDS if as_expected else FAILS, reason, Evidence("exact", figures), corrected)
