"""Remark 2 and Appendix I: masks that depend on the pair, and ResizeMix."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp
from flint import fmpq

from paper_checks.exact_cases import described_problem, problem, readable
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from verify.tiny_laws import Number, cutmix
from verify.tiny_pairs import (
    Mixing,
    alike,
    averaged_moments,
    brighter,
    displaced_expansion,
    displacement_moments,
    first_role_moments,
    pair_loss,
    resized,
    salient,
    tilted_pair_loss,
)
from verify.tiny_problems import BetaInt, TinyMoments, TinyProblem, average, expansion

RATIO = BetaInt(1, 2)
JOINT = (
    "with the displacement u of x_i in place of (1-M)(r - x_i), its moments E[u] and E[u u^T] joint in the mask and "
    "the partner and over both roles of x_i (first with weight lambda, second with 1-lambda), L = L_m + 1/m sum_i "
    "[(h' - y_i) grad f . E[u] + h''/2 grad f^T E[u u^T] grad f + (h' - y_i)/2 tr(Hess f E[u u^T])] + remainder"
)


def _problems(size: int) -> list[TinyProblem]:
    """Linear f with the squared loss and quadratic f with a linear h: the loss is quadratic in the displacement."""
    return [problem(size, 3, linear=linear, centred=True) for linear in (True, False)]


def _joint_gaps(mixing: Mixing, moments_of: Mixing, size: int) -> list[Number]:
    """(4) less its expansion in the joint moments over both roles."""
    return [
        pair_loss(p, mixing, RATIO) - displaced_expansion(p, displacement_moments(p, moments_of, RATIO)).total
        for p in _problems(size)
    ]


def dynamic_gaps(mixing: Mixing, p: TinyProblem) -> dict[str, Number]:
    """(4) less what the paper has for it, three readings."""
    loss, tilted = pair_loss(p, mixing, RATIO), RATIO.tilted_density
    shared = average(mixing.law_of(p.x[0], p.x[0]), tilted, lambda lam, mask: 1 - lam)
    printed = TinyMoments([shared] * len(p.w), averaged_moments(p, mixing, tilted).second)
    return {
        "(13)-(14)": loss - tilted_pair_loss(p, mixing, tilted),
        "(6), first expressions of (8), mask and partner joint": loss
        - displaced_expansion(p, first_role_moments(p, mixing, tilted)).total,
        "(6) with a_jk of (9)": loss - expansion(p, printed, centred=True).total,
    }


@claim("park2022:dynamic-masks", fault="the mask of (x_i, x_j) taken for that of (x_j, x_i) in the second role")
def dynamic_masks(trial: Trial) -> Finding:
    kinds = ((alike(2), 2), (brighter(2), 2), (salient(), 4))
    gaps = {m.name: _largest([dynamic_gaps(m, p) for p in _problems(size)]) for m, size in kinds}
    figures = {f"(4) - {k}, {name}": readable(g) for name, found in gaps.items() for k, g in found.items()}
    figures |= {f"problem {k}, 2 pixels": described_problem(p) for k, p in enumerate(_problems(2), 1)}
    figures["Beta"] = f"({RATIO.a}, {RATIO.b})"
    symmetric, *ordered = ([g != 0 for g in found.values()] for found in gaps.values())
    fails = symmetric == [False, False, True] and all(map(all, ordered))
    reason = (
        "a_jk cannot be taken out of the mean over the partner, which App. I grants ((8), second equality). With the "
        "first expressions (13)-(14) and (6) hold where E[M | pair] = lambda 1 and the mask of the exchanged pair at "
        "1-lambda has the law of 1-M; they fail for masks that tell first from second, with that mean (which of the "
        "two is brighter) or without it (a box at the partner's peak, as SaliencyMix)"
    )
    corrected = _joint(kinds, trial)
    return Finding(verdict_of(not fails), reason, Evidence("exact", figures), corrected)


def _largest(cases: list[dict[str, Number]]) -> dict[str, Number]:
    """Of each reading, the largest gap over the problems."""
    return {name: max((case[name] for case in cases), key=abs) for name in cases[0]}


def _joint(kinds: tuple[tuple[Mixing, int], ...], trial: Trial) -> Corrected:
    """Planted: the mask drawn for the pair the wrong way round."""

    def turned(mixing: Mixing) -> Mixing:
        return replace(mixing, law_of=lambda a, b: mixing.law_of(b, a))

    gaps = [g for m, size in kinds for g in _joint_gaps(m, trial.plant(m, turned(m)), size)]
    figures = {"rational cases": len(gaps), "gaps": ", ".join(sorted(set(map(readable, gaps))))}
    return Corrected(JOINT, verdict_of(all(g == 0 for g in gaps)), Evidence("exact", figures))


Outputs = list[tuple[fmpq, list[fmpq]]]


def box_outputs(images: list[list[fmpq]], mixing: Mixing) -> Outputs:
    """The law of the mixed image at a ratio below 3/4: pairs of 2 x 2 images, boxes of one pixel anywhere."""
    atoms = mixing.law_of(images[0], images[0]).cells[0].atoms(fmpq(1, 4))
    chance = fmpq(1, len(images) ** 2)
    return [(chance * p, mixing.mixed(mask, a, b)) for a in images for b in images for p, mask in atoms]


def certificate(outputs: Outputs) -> tuple[fmpq, fmpq]:
    """E[(sum_j o_j^2 - 3)^2] and 1/4 sum_j Var(o_j^2): for CutMix the first is never less than the second."""

    def mean(g: list[fmpq]) -> fmpq:
        return sum((p * v for (p, _), v in zip(outputs, g, strict=True)), fmpq(0))

    squares = [[v * v for v in o] for _, o in outputs]
    spread = [mean([s[j] ** 2 for s in squares]) - mean([s[j] for s in squares]) ** 2 for j in range(4)]
    return mean([(sum(s, fmpq(0)) - 3) ** 2 for s in squares]), sum(spread, fmpq(0)) / 4


def independence_gap() -> sp.Expr:
    """E[(X+Y-3)^2] - Var X - Var Y - (E[X+Y] - 3)^2 for independent X, Y: the lemma behind the certificate."""
    x, y, xx, yy = sp.symbols("x y xx yy")
    square = xx + yy + 9 + 2 * x * y - 6 * x - 6 * y
    return sp.expand(square - (xx - x**2) - (yy - y**2) - (x + y - 3) ** 2)


def _resizes(image: list[fmpq]) -> list[list[fmpq]]:
    """The image, and its one-pixel version in each place, on zero and on its own mean."""
    mean = sum(image, fmpq(0)) / 4
    return [image, [mean] * 4, *([mean * (j == k) for j in range(4)] for k in range(4))]


@claim("park2022:appI-resizemix", fault="the second role's sample pasted whole instead of resized")
def resizemix(trial: Trial) -> Finding:
    boxes = cutmix(2, 2, "inside")
    method, plain = resized(boxes), Mixing("CutMix", lambda a, b: boxes)
    stripes = [[e * fmpq(s) for s in (1, -1, -1, 1)] for e in (1, -1)]
    sets = [stripes, [r for image in stripes for r in _resizes(image)]]
    sets += [[r for x in p.x for r in _resizes(list(x))] for p in _problems(4)]
    (left, right), others = (
        certificate(box_outputs(stripes, method)),
        [certificate(box_outputs(s, plain)) for s in sets],
    )
    constant = [[fmpq(k)] * 4 for k in (1, 3)]
    equal = box_outputs(constant, method) == box_outputs(constant, plain)
    figures = {
        "ResizeMix of +-(1, -1, -1, 1): E[(sum o_j^2 - 3)^2]": str(left),
        "at least, for CutMix on any data with those pixel moments": str(right),
        "CutMix keeps the inequality on": f"{len(others)} data sets, all resizes among them",
        "lemma, residual": str(independence_gap()),
        "constant images: ResizeMix is CutMix": str(equal),
    }
    fails = left < right and all(a >= b for a, b in others) and independence_gap() == 0 and equal
    reason = (
        "in CutMix a pixel in the box is independent of those outside, whatever the data set, so that on any D_X "
        "E[(sum o_j^2 - 3)^2] >= 1/4 sum Var(o_j^2) for the mixed image o, box of one pixel; ResizeMix of "
        "+-(1,-1,-1,1) breaks it. Only with a resize that moves with the box, which r ~ D_X independent of M does not, "
        "or of constant images, are the two one"
    )
    gaps = _joint_gaps(method, trial.plant(method, plain), 4)
    shown = {"rational cases": len(gaps), "gaps": ", ".join(sorted(set(map(readable, gaps))))}
    corrected = Corrected(
        f"{JOINT}; here u = (1-M)(T_M(r) - x_i), or M(r - x_i) + (1-M)(T_M(x_i) - x_i) as the second of the pair",
        verdict_of(all(g == 0 for g in gaps)),
        Evidence("exact", shown),
    )
    return Finding(verdict_of(not fails), reason, Evidence("exact", figures), corrected)
