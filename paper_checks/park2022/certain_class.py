"""Theorem 7 of Park et al., App. E: where the optimal classifier is certain of a class, and if it is continuous."""

from __future__ import annotations

from typing import Any

from flint import fmpq

from paper_checks.exact_cases import HALF
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.mixed_points import (
    Mixed,
    Point,
    Sample,
    cases,
    groups,
    mixed_points,
    square_distance,
    table_of_beta,
    theorem6,
)
from paper_checks.registry import claim
from verify.tiny_laws import TinyLaw, bernoulli, cutmix


def axis_cross() -> list[Sample]:
    """Segments from class 0 to class 1 that cross at the origin, at lambda = 9/10 and 3/5 of class 0."""
    points = [(-1, 0, 0), (0, -2, 0), (9, 0, 1), (0, 3, 1)]
    return [Sample((fmpq(a), fmpq(b)), label, fmpq(1, 4)) for a, b, label in points]


def on_segments(samples: list[Sample], x: Point, eps: fmpq) -> list[Mixed]:
    """A_{x,eps} of Mixup under Beta(1,1): lambda is in an interval of length 2 eps/|s-t| about its value at x.

    Every segment is to run through x along an axis, well inside, or to stay away from the ball.
    """
    found = []
    for s in samples:
        for t in samples:
            step = [a - b for a, b in zip(s.x, t.x, strict=True)]
            square = sum((v * v for v in step), fmpq(0))
            along_t = sum((v * (c - b) for v, c, b in zip(step, x, t.x, strict=True)), fmpq(0))
            lam = min(max(along_t / square, fmpq(0)), fmpq(1)) if square else fmpq(0)
            nearest = tuple(b + lam * v for b, v in zip(t.x, step, strict=True))
            if square_distance(nearest, x) >= eps**2:
                continue
            half = eps / max(abs(v) for v in step)
            if nearest != x or step.count(fmpq(0)) != len(step) - 1 or not half < lam < 1 - half:
                raise ValueError(f"the segment from {t.x} to {s.x} touches the ball about {x}, but not through it")
            mass = s.mass * t.mass * 2 * half
            found.append(Mixed(x, s.label, t.label, mass, mass * lam))
    return found


def jump() -> dict[str, Any]:
    """h^0 of Mixup at the crossing, and next to it on either segment: 9/10 - u/10 and 3/5 - u/5 at distance u."""
    at, zero = axis_cross(), fmpq(0)
    eps = fmpq(1, 4)
    crossing, closer = (on_segments(at, (zero, zero), e) for e in (eps, eps / 64))
    near = [fmpq(1, 2**k) for k in range(1, 9)]
    first = [theorem6(on_segments(at, (u, zero), u / 4), 2)[0] for u in near]
    second = [theorem6(on_segments(at, (zero, u), u / 4), 2)[0] for u in near]
    own = [z.labelled / z.xi if z.i == 0 else 1 - z.labelled / z.xi for z in crossing]
    mixed = all({z.i, z.j} == {0, 1} for z in crossing)
    return {
        "met": mixed and min(own) - eps / 5 > HALF,  # the least lambda in the ball: the shorter segment has length 5
        "at": theorem6(crossing, 2)[0],
        "first": first,
        "second": second,
        "as stated": theorem6(closer, 2) == theorem6(crossing, 2)
        and all(h == fmpq(9, 10) - u / 10 for u, h in zip(near, first, strict=True))
        and all(h == fmpq(3, 5) - u / 5 for u, h in zip(near, second, strict=True)),
    }


def near_and_wrong(far: tuple[int, ...], kept: tuple[int, ...], law: TinyLaw) -> dict[str, Any]:
    """Class 0 is the origin, class 1 the point `far`; x takes from `far` the pixels that are not kept."""
    home, away = (tuple(map(fmpq, z)) for z in ((0,) * len(far), far))
    x = tuple(fmpq((1 - keep) * value) for keep, value in zip(kept, far, strict=True))
    mixed = mixed_points([Sample(home, 0, HALF), Sample(away, 1, HALF)], table_of_beta(law))
    own = groups(mixed)[x]
    within = 4 * square_distance(x, home) < square_distance(home, away)
    return {
        "met": within and all({z.i, z.j} == {0, 1} for z in own),
        "h": theorem6(own, 2)[0],
        "distance^2": (square_distance(x, home), square_distance(x, away)),
    }


def class_of(own: list[Mixed], *, partner: bool = False) -> int | None:
    """The class in every expression of x, with more than half of its label; `partner`: the other one's label."""

    def weight(z: Mixed, i: int) -> fmpq:
        if z.i == z.j:
            return z.xi
        return z.labelled if (z.i == i) != partner else z.xi - z.labelled

    common = [i for i in range(3) if all(i in (z.i, z.j) and weight(z, i) > z.xi / 2 for z in own)]
    return common[0] if common else None


@claim("park2022:thm7", fault="the partner's label weight for the own one, in the assumption")
def classified(trial: Trial) -> Finding:
    """The classifier jumps at a crossing, for Mixup; for binary masks the nearer class need not have the label."""

    def has_its_class(own: list[Mixed]) -> bool:
        i = class_of(own, partner=trial.faulty)
        return i is None or theorem6(own, 3)[i] > HALF

    cross = jump()
    wrong = {
        "Bernoulli, class 1 = (10,1,1), x = (0,1,1)": near_and_wrong((10, 1, 1), (1, 0, 0), bernoulli(3)),
        "CutMix (inside), class 1 = (9,9,9,1), x = (0,0,0,1)": near_and_wrong(
            (9, 9, 9, 1), (1, 1, 1, 0), cutmix(2, 2, "inside")
        ),
    }
    figures = {
        "continuity: Mixup, Beta(1,1)": "class 0: (-1,0), (0,-2), class 1: (9,0), (0,3), x = (0,0)",
        "h^0(0,0)": str(cross["at"]),
        "h^0(u,0), u = 1/2, 1/4 .. 1/256": ", ".join(map(str, cross["first"])),
        "h^0(0,u)": ", ".join(map(str, cross["second"])),
    }
    figures |= {f"h^0(x): class 0 = 0, {name}": str(case["h"]) for name, case in wrong.items()}
    jumps = cross["met"] and cross["as stated"] and cross["at"] not in (fmpq(9, 10), fmpq(3, 5))
    misread = all(case["met"] and case["h"] < HALF for case in wrong.values())
    found = {name: list(groups(mixed).values()) for name, mixed in cases().items()}
    certain = {n: [g for g in own if class_of(g, partner=trial.faulty) is not None] for n, own in found.items()}
    pairs = {n: [g for g in own if any(z.i != z.j for z in g)] for n, own in certain.items()}
    corrected = Corrected(
        "if class i is in every expression of x near x, and in each with another class has more than half of the label "
        "(averaged over lambda given the mask), then h^i(x) > 1/2; being nearest is the same for Mixup alone, and h "
        "need not be continuous at x",
        verdict_of(all(has_its_class(g) for own in certain.values() for g in own) and any(pairs.values())),
        Evidence("exact", {f"points, of them made with other classes, {n}": f"{len(certain[n])}, {len(pairs[n])}"
                           for n in certain}),
    )  # fmt: skip
    reason = (
        "h jumps where two segments of class i cross at different lambda: 7/10 at the crossing, towards 9/10 and 3/5 "
        "along the segments (were C the continuous functions alone, C* would be empty here).  And with 'closest' read "
        "as the distance to the two mixed samples, as the remark on half the class distance reads, a mask of 0 and 1 "
        "may leave a point next to class i the smaller label of i, so that h classifies it as the other class; read as "
        "lambda > 1/2, the classification is right.  The formal assumption is left to the cited paper; read here from "
        "the paper's own sentence, and at the crossing every lambda of class i is above 1/2 by a margin"
    )
    return Finding(verdict_of(not (jumps and misread)), reason, Evidence("exact", figures), corrected)
