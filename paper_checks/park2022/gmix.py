"""Equation (11): the sum, the integral and the closed form of GMix's coefficient, in balls for every pair of pixels."""

from __future__ import annotations

from functools import cache
from itertools import product

from flint import acb, arb, ctx, fmpq

from msda_theory.symbolic import gmix_coefficient
from paper_checks.exact_cases import HALF, is_nonzero, is_zero, readable
from paper_checks.findings import DEPENDS, FAILS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.enumeration import Matrix, law_second_moment
from paper_checks.park2022.rewriting import derivation_figures
from paper_checks.registry import claim
from verify.tiny_laws import gmix

RATIOS = (fmpq(1, 4), HALF, fmpq(9, 10))
GRIDS = ((2, 2), (3, 3), (2, 4))
LARGER = ((4, 4), (3, 7), (16, 16), (12, 20))


def steepness(lam: fmpq, shape: tuple[int, int], factor: int = 2) -> arb:
    """c of exp(-c |i-p|^2), pi/(2 (1-lambda) N^2) in print."""
    return arb.pi() / (factor * (1 - lam) * shape[0] * shape[1])


def axis_sum(n: int, c: arb, sign: int = -1) -> Matrix:
    """1/n sum_p exp(sign c ((j-p)^2 + (k-p)^2)) for every pair of an axis: line 1 is the product of two."""
    powers = [(sign * c * m).exp() for m in range(2 * n * n)]

    def entry(j: int, k: int) -> arb:
        return sum((powers[(j - p) ** 2 + (k - p) ** 2] for p in range(n)), arb(0)) / n

    return [[entry(j, k) for k in range(n)] for j in range(n)]


def line1(shape: tuple[int, int], lam: fmpq, sign: int = -1, factor: int = 2) -> dict[int, Matrix]:
    return {n: axis_sum(n, steepness(lam, shape, factor), sign) for n in shape}


def pairs(shape: tuple[int, int], axes: dict[int, Matrix]) -> list[arb]:
    """The products of the axes' entries, over every pair of pixels."""
    rows, columns = (axes[n] for n in shape)
    return [a * b for first in rows for a in first for second in columns for b in second]


@cache
def listed(shape: tuple[int, int], lam: fmpq) -> tuple[arb, ...]:
    """a_jk from the list of masks, in the order of `pairs`."""
    matrix, (height, width) = law_second_moment(gmix(*shape), lam), shape
    return tuple(
        matrix[j * width + s][k * width + t].real
        for j, k in product(range(height), repeat=2)
        for s, t in product(range(width), repeat=2)
    )


def sum_gaps(sign: int, factor: int = 2) -> list[acb]:
    """Listed a_jk less line 1, every pair of pixels."""
    cases = product(GRIDS, RATIOS)
    return [
        acb(a - b)
        for shape, lam in cases
        for a, b in zip(listed(shape, lam), pairs(shape, line1(shape, lam, sign, factor)), strict=True)
    ]


@claim("park2022:eq11-line1", fault="1 for the factor 2 in the exponent")
def line_one(trial: Trial) -> Finding:
    """The mask is listed for every centre p; both signs of the exponent are tried."""
    two, one = sum_gaps(+1), sum_gaps(-1, factor=trial.plant(2, 1))
    smallest = min((v for shape, lam in product(GRIDS, RATIOS) for v in pairs(shape, line1(shape, lam, +1))), key=float)
    figures = {
        "pairs of pixels and lambda tried": len(one),
        "as the signs stand: smallest value of the sum": readable(smallest),
        "as the signs stand: pairs that differ from a_ij": sum(map(is_nonzero, two)),
        "with one minus sign: pairs that differ from a_ij": sum(map(is_nonzero, one)),
        "... widest enclosure of the gaps, all containing 0": f"{max(float(g.real.rad()) for g in one):.1e}",
    }
    right = all(map(is_zero, one))
    corrected = Corrected(
        "a_ij = (1/N^2) sum_p exp(-pi/(2(1-lambda)N^2) (|i-p|^2 + |j-p|^2)), N^2 = H W: one minus sign, for each p",
        verdict_of(right),
        Evidence("enclosure", {"pairs": len(one), "all enclose 0": right}),
    )
    reason = (
        "the text has -pi/(..) times (-|i-p|^2 - |j-p|^2), twice the same: as the signs stand the sum is over 1 for "
        "every pair, and no mean of products of values in [0, 1]; with one of the two minus signs it is a_ij"
    )
    as_expected = right and all(map(is_nonzero, two)) and bool(smallest > 1)
    return Finding(DEPENDS if as_expected else FAILS, reason, Evidence("enclosure", figures), corrected)


def image_axis(n: int, c: arb) -> Matrix:
    """1/n int_{1/2}^{n+1/2} exp(-c ((j-p)^2 + (k-p)^2)) dp for pixels counted from 1, by the error function."""
    kappa = (2 * c).sqrt()

    def entry(j: int, k: int) -> arb:
        middle = fmpq(j + k, 2)
        reach = (kappa * (n + HALF - middle)).erf() + (kappa * (middle - HALF)).erf()
        return (-c * fmpq((j - k) ** 2, 2)).exp() * arb.pi().sqrt() / (2 * kappa * n) * reach

    return [[entry(j, k) for k in range(1, n + 1)] for j in range(1, n + 1)]


def image_excess(*, scale: int = 1) -> list[arb]:
    """|line 1 less its integral over the image| less the bound c/3 = 2 * 4c/24 of the midpoint rule, every pair."""
    found = []
    for shape, lam in product(LARGER, RATIOS):
        c = steepness(lam, shape)
        integral = pairs(shape, {n: image_axis(n, c) for n in shape})
        found += [abs(a - scale * b) - c / 3 for a, b in zip(pairs(shape, line1(shape, lam)), integral, strict=True)]
    return found


def plane_axis(n: int, lam: fmpq, shape: tuple[int, int]) -> Matrix:
    """exp(-pi (j-k)^2/(4(1-lambda)N^2)): line 3 is the product of two and of 1-lambda."""
    c = steepness(lam, shape)
    return [[(-c * fmpq((j - k) ** 2, 2)).exp() for k in range(n)] for j in range(n)]


def plane_ratios(shape: tuple[int, int], lam: fmpq) -> list[arb]:
    """a_ij, line 1, over line 3, every pair of pixels."""
    plane = [(1 - lam) * v for v in pairs(shape, {n: plane_axis(n, lam, shape) for n in shape})]
    return [a / b for a, b in zip(pairs(shape, line1(shape, lam)), plane, strict=True)]


def _image_form(trial: Trial, fault: str, scale: int) -> tuple[bool, dict[str, object]]:
    """The derivation, and the integral over the image against the sum over its pixels."""
    derivation = gmix_coefficient(fault=trial.plant(None, fault))
    excess = image_excess(scale=trial.plant(1, scale))
    within = all(bool(e < 0) for e in excess)
    return derivation.holds and within, {
        **derivation_figures(derivation),
        "pairs of pixels and lambda tried": len(excess),
        "sum less integral over the image within c/3": within,
    }


IMAGE_FORM = (
    "over the image an axis gives exp(-kappa^2 (i-j)^2/4) sqrt(pi)/(2 kappa n) (erf(kappa(n+1/2-m)) + "
    "erf(kappa(m-1/2))), kappa^2 = pi/((1-lambda)N^2), m = (i+j)/2, pixels counted from 1; a_ij is the product of "
    "two up to kappa^2/6"
)


@claim("park2022:eq11-line2", fault="the 1/N^2 left out, as printed")
def line_two(trial: Trial) -> Finding:
    """No reading makes it equal to line 1: as the signs stand it diverges, with one sign it is N^2 times line 3."""
    values = {}
    for n, lam in ((2, HALF), (64, HALF), (64, fmpq(9, 10))):
        integral = (1 - lam) * n**2
        summed = axis_sum(n, steepness(lam, (n, n)))[n // 2][n // 2] ** 2
        values[f"{n}x{n}, lambda={lam}, i = j in the middle: line 2 and line 1"] = f"{integral}, {readable(summed)}"
        if not bool(integral > 1 >= summed):
            raise ArithmeticError(f"{integral} is not above 1, or {summed} is")
    holds, checked = _image_form(trial, "jacobian", 2)
    corrected = Corrected(
        f"(1/N^2) int exp(-pi/(2(1-lambda)N^2)(|i-p|^2 + |j-p|^2)) dp, over the plane line 3; {IMAGE_FORM}",
        verdict_of(holds),
        Evidence("symbolic", checked),
    )
    reason = (
        "as the signs stand the integrand is at least 1 and the integral diverges; with one minus sign and dp for dx "
        "it is N^2 times line 3, above 1; divided by N^2 (or with p = N x) it is line 3, and not the sum over the "
        "pixels of an image, which misses what lies beyond the border"
    )
    return Finding(FAILS, reason, Evidence("enclosure", values), corrected)


@claim("park2022:eq11-line3", fault="1 for the factor 2 in the kernel on the plane")
def line_three(trial: Trial) -> Finding:
    """Line 3 over line 1: never 1 on an image; on the plane it is right."""
    with ctx.workprec(128):  # next to lambda = 1, a_ij is far below the rounding of its factors
        small = [(shape, lam, plane_ratios(shape, lam)) for shape, lam in product((*GRIDS, (16, 16)), RATIOS)]
        differ = all(bool(v < 1) or bool(v > 1) for _, _, values in small for v in values)
    n = 64
    c, middle = steepness(HALF, (n, n)), n // 2
    axis = axis_sum(n, c)
    figures = {
        "pairs of pixels and lambda tried": sum(len(values) for _, _, values in small),
        "pairs with a_ij = line 3": "none" if differ else "some",
        "64x64, lambda = 1/2, i = j: line 3": "1/2",
        "... a_ij in the middle": readable(axis[middle][middle] ** 2),
        "... a_ij at a corner": readable(axis[0][0] ** 2),
    }
    holds, checked = _image_form(trial, "two", 2)
    corrected = Corrected(
        "line 3 is (1/N^2) int over the plane, of the printed kernel, whose E[1-M] is 2(1-lambda) there; without its "
        f"factor 2 it is (1-lambda)/2 exp(-pi/((1-lambda)N^2) |i-j|^2/2) and E[1-M] = 1-lambda; {IMAGE_FORM}",
        verdict_of(holds),
        Evidence("symbolic", checked),
    )
    reason = (
        "p is a pixel of the image and the bump is cut at the border: a_ij depends on where i and j lie, and equals "
        "line 3 for no pair tried; line 3 is the integral over the whole plane"
    )
    return Finding(verdict_of(not differ), reason, Evidence("enclosure", figures), corrected)
