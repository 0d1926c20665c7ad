"""Section 4 and App. H: the box of HMix, the value outside it, its limits and its coefficient."""

from __future__ import annotations

from functools import cache
from itertools import pairwise, product

from flint import arb, fmpq

from msda_theory.symbolic import hmix_coefficient
from msda_theory.symbolic.coefficients import printed_overlap
from paper_checks.exact_cases import BOX_SAMPLERS, HALF, readable
from paper_checks.findings import DEPENDS, FAILS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.coefficients import largest
from paper_checks.park2022.enumeration import (
    SHAPES,
    Matrix,
    axis_table,
    box_atoms,
    gaps,
    law_second_moment,
    over_both_axes,
    second_moment,
)
from paper_checks.park2022.rewriting import derivation_figures
from paper_checks.registry import claim
from verify.tiny_laws import Number, cutmix, hmix, mixup

LAMBDAS, SHARES = (fmpq(1, 4), fmpq(1, 3), HALF, fmpq(7, 10)), (fmpq(1, 4), HALF, fmpq(7, 10))


def section4_value(lam: fmpq, r: fmpq) -> fmpq:
    return lam / (1 - (1 - lam) * r)


def appendix_value(lam: fmpq, shape: tuple[int, int], sides: tuple[int, int]) -> fmpq:
    """o_s of App. H, n^2 read as the number of pixels and s^2 as the area of the box."""
    pixels = shape[0] * shape[1]
    return lam * pixels / fmpq(pixels - sides[0] * sides[1])


def whole_sides(shape: tuple[int, int], share: fmpq) -> tuple[int, int]:
    """[sqrt(share) n] an axis."""
    rows, columns = (max(s for s in range(n + 1) if s**2 <= share * n**2) for n in shape)
    return rows, columns


def area_gaps(*, drawn: bool, faulty: bool = False) -> dict[str, fmpq]:
    """Mean of the mask over the pixels less lambda, the box of whole pixels; o of sec. 4 or, `drawn`, App. H."""
    found = {}
    for shape, lam, r in product(SHAPES, LAMBDAS, SHARES):
        sides = whole_sides(shape, (1 - lam) * r)
        o = appendix_value(1 - lam if faulty else lam, shape, sides) if drawn else section4_value(lam, r)
        outside = 1 - fmpq(sides[0] * sides[1], shape[0] * shape[1])
        found[f"{shape[0]}x{shape[1]}, lambda={lam}, r={r}"] = o * outside - lam
    return found


@claim("park2022:hmix-box", fault="1-lambda for lambda in the value outside")
def hmix_box(trial: Trial) -> Finding:
    """The mean of one mask over its pixels; that of E[M_j] over masks is the claim mean-mask[hmix]."""
    derivation = hmix_coefficient(fault=trial.plant(None, "area"))
    whole, drawn = area_gaps(drawn=False), area_gaps(drawn=True, faulty=trial.faulty)
    worst = max(whole, key=lambda where: abs(whole[where]))
    exact_area = {k: g for k, g in whole.items() if g == 0}
    radical = [
        section4_value(lam, r) * (1 - (1 - lam) * r * n / fmpq(n) ** 2) - lam
        for lam, r, n in product(LAMBDAS, SHARES, (2, 4, 64))
    ]
    real = derivation["Value outside a box of area (1-lambda) r"].holds
    figures = {
        "side sqrt((1-lambda) r) N, a real number: o (1 - (1-lambda) r) = lambda": real,
        "mean of the mask less lambda, whole pixels, largest": f"{whole[worst]} ({worst})",
        "whole pixels: cases, and those with mean lambda": f"{len(whole)}, {len(exact_area)}",
        "the same for sides sqrt((1-lambda) r N), largest": largest(radical),
    }
    corrected = Corrected(
        "with whole sides s_1 x s_2 of H x W pixels: o = lambda H W/(H W - s_1 s_2), App. H's o_s, makes the mean of "
        "every mask lambda, for boxes that lie in the image",
        verdict_of(all(g == 0 for g in drawn.values()) and derivation.holds),
        Evidence(
            "symbolic",
            {**derivation_figures(derivation), "cases": len(drawn), "largest gap": largest(list(drawn.values()))},
        ),
    )
    reason = (
        "the value outside is right for a box of area (1-lambda) r N^2, so for real sides, with sqrt(r) N for the "
        "radical that is recognised as sqrt(rN) (only so is r = 1 CutMix); for sides rounded down to whole pixels, "
        "as App. H has them, the mean is lambda only where nothing was lost by rounding"
    )
    as_expected = real and len(exact_area) < len(whole) and any(g != 0 for g in radical)
    return Finding(DEPENDS if as_expected else FAILS, reason, Evidence("exact", figures), corrected)


#: away from 1 - (k/n)^2, where the side of CutMix's box is reached by none with r < 1
BETWEEN = (fmpq(1, 3), HALF, fmpq(13, 20))
IMAGES = ((2, 3), (4, 2))
STEPS = (fmpq(1, 10**3), fmpq(1, 10**6), fmpq(1, 10**9))


def limit_excess(end: int, *, faulty: bool = False) -> list[fmpq]:
    """|a_jk(r) - its limit| less what continuity allows, 2(1-lambda) r or 4 (1-r)(1-lambda)/lambda, every pair."""
    found = []
    for shape, sampler, lam, step in product(IMAGES, BOX_SAMPLERS, BETWEEN, STEPS):
        at_one = (end == 1) != faulty
        r = 1 - step if at_one else step
        goal = law_second_moment(cutmix(*shape, sampler) if end == 1 else mixup(shape[0] * shape[1]), lam)
        reached = law_second_moment(hmix(*shape, r, sampler), lam)
        allowed = 4 * step * (1 - lam) / lam if end == 1 else 2 * (1 - lam) * step
        found += [abs(g) - allowed for g in gaps(reached, goal)]
    return found


def mass_between(shape: fmpq, step: fmpq) -> arb:
    """P(step < r < 1-step) for r ~ Beta(shape, shape)."""
    low = arb(step).beta_lower(arb(shape), arb(shape), regularized=True)
    return 1 - 2 * low


@claim("park2022:hmix-limits", fault="r and 1-r exchanged")
def hmix_limits(trial: Trial) -> Finding:
    derivation = hmix_coefficient(fault=trial.plant(None, "endpoint"))
    excess = {end: limit_excess(end, faulty=trial.faulty) for end in (0, 1)}
    # a_jk lies in [0, 1]: its mean differs from the average of both ends by at most this
    distances = {
        str(shape): mass_between(shape, step) + max(4 * step * (1 - lam) / lam for lam in BETWEEN)
        for shape, step in ((fmpq(1, 10**3), STEPS[0]), (fmpq(1, 10**6), STEPS[1]), (fmpq(1, 10**9), STEPS[2]))
    }
    at_jump = gaps(law_second_moment(hmix(2, 2, 1 - STEPS[2], "inside"), fmpq(3, 4)), _cutmix_at_jump())
    figures = {
        **derivation_figures(derivation),
        "pairs of pixels, r and lambda tried": len(excess[0]) + len(excess[1]),
        "a_jk farther from its limit than continuity allows": sum(e > 0 for each in excess.values() for e in each),
        **{f"r ~ Beta(g,g), g = {g}: at most off by": readable(d) for g, d in distances.items()},
        "r = 1 - 1e-9 less CutMix where sqrt(1-lambda) n is whole (2x2, lambda = 3/4)": largest(at_jump),
    }
    shrinking = all(bool(100 * later < earlier) for earlier, later in pairwise(distances.values()))
    holds = derivation.holds and all(e <= 0 for each in excess.values() for e in each) and shrinking
    reason = (
        "the masks' laws and coefficients converge for every lambda but those with a whole side sqrt(1-lambda) n; "
        "there, for r < 1 the side rounds down to one pixel less: n values, of probability zero; Beta(g,g) tends to "
        "Bernoulli(1/2), so the limit is Stochastic with q = 1/2"
    )
    return Finding(verdict_of(holds), reason, Evidence("symbolic", figures))


def _cutmix_at_jump() -> Matrix:
    """2 x 2 pixels at lambda = 3/4: the side is 1."""
    return second_moment(box_atoms((2, 2), (1, 1), "inside"))


def appendix_gaps(power: int, *, realised: bool) -> list[Number]:
    """Counted a_jk less o(1-o)(v_j + v_k) + o^power a_jk,s + (1-o)^2, boxes placed as (28) counts; every pair."""
    found: list[Number] = []
    for shape, lam, r in product(SHAPES, LAMBDAS, SHARES):
        sides = whole_sides(shape, (1 - lam) * r)
        o = appendix_value(lam, shape, sides) if realised else section4_value(lam, r)
        box = over_both_axes(*(_printed_axis(n, s) for n, s in zip(shape, sides, strict=True)))
        v, size = [box[j][j] for j in range(len(box))], range(len(box))
        stated = [[o * (1 - o) * (v[j] + v[k]) + o**power * box[j][k] + (1 - o) ** 2 for k in size] for j in size]
        found += gaps(second_moment(box_atoms(shape, sides, "printed", o)), stated)
    return found


@cache
def _printed_axis(n: int, s: int) -> Matrix:
    return axis_table(lambda j, k: printed_overlap(j, k, n, s), n)


@claim("park2022:appH", fault="o for o^2, as printed")
def appendix_h(trial: Trial) -> Finding:
    printed = {realised: appendix_gaps(1, realised=realised) for realised in (True, False)}
    right = {realised: appendix_gaps(trial.plant(2, 1), realised=realised) for realised in (True, False)}
    derivation = hmix_coefficient(fault=trial.plant(None, "square"))
    values = {"o_s of App. H": True, "o of sec. 4": False}
    figures: dict[str, str | int] = {
        f"counted less printed a_jk, largest, {k}": largest(printed[v]) for k, v in values.items()
    }
    figures |= {
        "pairs of pixels, lambda and r tried": len(printed[True]),
        "o_s at r = 1, lambda = 1/2, n = 3, s = [3/sqrt(2)] = 2": str(appendix_value(HALF, (3, 3), (2, 2))),
    }
    corrected = Corrected(
        "a_jk = o(1-o)(v_j + v_k) + o^2 a_jk,s + (1-o)^2 with o the mask's value outside the box: App. H's o_s for the "
        "area in whole pixels, sec. 4's for (1-lambda) r; they differ unless the side is whole, and only with sec. 4's "
        "is r = 1 always (10). v and a_jk,s are right for boxes placed as (10) counts them",
        verdict_of(derivation.holds and all(g == 0 for each in right.values() for g in each)),
        Evidence(
            "symbolic",
            {**derivation_figures(derivation), **{f"gap, {k}": largest(right[v]) for k, v in values.items()}},
        ),
    )
    reason = (
        "1-M = (1-o) + oB gives o^2 E[B_j B_k]; the appendix has o E[B_j B_k], which is larger wherever the box "
        "can cover both pixels and o < 1"
    )
    holds = any(all(g == 0 for g in each) for each in printed.values())
    return Finding(verdict_of(holds), reason, Evidence("exact", figures), corrected)
