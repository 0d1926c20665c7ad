"""Mixing whose mask depends on the pair, or whose partner depends on the mask, over exact numbers.

The mixed input is M x_i + (1-M) T_M(x_j), M of a law that may depend on the ordered pair (x_i, x_j).  As the first of
its pair a sample is displaced by (1-M)(T_M(x_j) - x_i), as the second by M (x_j - x_i) + (1-M)(T_M(x_i) - x_i), M then
of the pair (x_j, x_i).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flint import fmpq

from verify.tiny_laws import Cell, Mask, Number, TinyLaw, bernoulli
from verify.tiny_problems import BetaInt, Density, TinyMoments, TinyProblem, TinyTerms, Vector, average


@dataclass(frozen=True)
class Mixing:
    """The law of the mask of an ordered pair, and what is pasted: T_M(x_j), x_j itself unless given."""

    name: str
    law_of: Callable[[Vector, Vector], TinyLaw]
    pasted: Callable[[Mask, Vector], Vector] = lambda mask, partner: partner

    def mixed(self, mask: Mask, first: Vector, second: Vector) -> list[Number]:
        pasted = self.pasted(mask, second)
        return [m * a + (1 - m) * b for m, a, b in zip(mask, first, pasted, strict=True)]


def alike(size: int) -> Mixing:
    """All pixels at once where the images' first two pixels differ in the same direction, else Bernoulli pixels.

    E[M | pair] = lambda 1, and 1-M(1-lambda) of the exchanged pair has the law of M(lambda).
    """

    def same(first: Vector, second: Vector) -> bool:
        return bool((first[0] - second[0]) * (first[1] - second[1]) > 0)

    return Mixing("all pixels at once where both differ alike", _together_where(same, size))


def brighter(size: int) -> Mixing:
    """All pixels at once where the first image has the larger first pixel, else Bernoulli pixels.

    E[M | pair] = lambda 1, but the exchanged pair has another law.
    """
    return Mixing("all pixels at once where the first is brighter", _together_where(lambda a, b: a[0] > b[0], size))


def _together_where(chosen: Callable[[Vector, Vector], bool], size: int) -> Callable[[Vector, Vector], TinyLaw]:
    together = TinyLaw("all pixels at once", size, (_whole(size),))
    return lambda first, second: together if chosen(first, second) else bernoulli(size)


def _whole(size: int) -> Cell:
    return Cell(fmpq(0), fmpq(1), lambda lam: [(lam, [1] * size), (1 - lam, [0] * size)])


def salient() -> Mixing:
    """2 x 2 images: the box of CutMix, one pixel for lambda < 3/4 and none above, at the partner's largest pixel."""

    def law_of(first: Vector, second: Vector) -> TinyLaw:
        peak = max(range(4), key=lambda k: second[k])
        box = [int(k != peak) for k in range(4)]
        cells = (
            Cell(fmpq(0), fmpq(3, 4), lambda lam: [(1, box)]),
            Cell(fmpq(3, 4), fmpq(1), lambda lam: [(1, [1] * 4)]),
        )
        return TinyLaw("box at the peak", 4, cells)

    return Mixing("box at the partner's largest pixel", law_of)


def resized(boxes: TinyLaw) -> Mixing:
    """The partner's mean in place of the partner: the whole partner in a box of one pixel (by area)."""

    def mean(mask: Mask, partner: Vector) -> Vector:
        return [sum(partner) / fmpq(len(partner))] * len(partner)

    return Mixing("ResizeMix", lambda first, second: boxes, mean)


def _pairs(problem: TinyProblem) -> list[tuple[Vector, Number, Vector, Number]]:
    samples = list(zip(problem.x, problem.y, strict=True))
    return [(x, y, r, s) for x, y in samples for r, s in samples]


def pair_loss(problem: TinyProblem, mixing: Mixing, ratio: BetaInt) -> Number:
    """Park et al., eq. (4), the mask drawn for each ordered pair."""

    def of(x: Vector, y: Number, r: Vector, s: Number) -> Number:
        def loss(lam: Number, mask: Mask) -> Number:
            return problem.loss(mixing.mixed(mask, x, r), lam * y + (1 - lam) * s)

        return average(mixing.law_of(x, r), ratio.density, loss)

    pairs = _pairs(problem)
    return sum(of(*pair) for pair in pairs) / fmpq(len(pairs))


def tilted_pair_loss(problem: TinyProblem, mixing: Mixing, density: Density) -> Number:
    """(13)-(14) with the mask drawn for (x_i, r): every sample the first of its pair, the ratio under D~."""

    def of(x: Vector, y: Number, r: Vector) -> Number:
        return average(mixing.law_of(x, r), density, lambda lam, mask: problem.loss(mixing.mixed(mask, x, r), y))

    pairs = _pairs(problem)
    return sum(of(x, y, r) for x, y, r, _ in pairs) / fmpq(len(pairs))


def averaged_moments(problem: TinyProblem, mixing: Mixing, density: Density) -> TinyMoments:
    """E[1-M_j] and a_jk = E[(1-M_j)(1-M_k)], over pairs and the ratio: moments of the mask alone, as (9) has them."""

    def of(g: Callable[[Mask], Number]) -> Number:
        pairs = _pairs(problem)
        values = (average(mixing.law_of(x, r), density, lambda lam, mask: g(mask)) for x, _, r, _ in pairs)
        return sum(values) / fmpq(len(pairs))

    pixels = range(len(problem.w))
    second = [[of(lambda m, j=j, k=k: (1 - m[j]) * (1 - m[k])) for k in pixels] for j in pixels]  # type: ignore[misc]
    return TinyMoments([of(lambda m, j=j: 1 - m[j]) for j in pixels], second)  # type: ignore[misc]


def displacement_moments(problem: TinyProblem, mixing: Mixing, ratio: BetaInt) -> list[TinyMoments]:
    """E[u] and E[u u^T] of each sample's displacement u, joint in the mask and the partner, over both roles."""
    return [_displaced(problem, mixing, ratio.density, x, both=True) for x in problem.x]


def first_role_moments(problem: TinyProblem, mixing: Mixing, density: Density) -> list[TinyMoments]:
    """The same with every sample the first of its pair: the first expressions of (8), mask and partner kept joint."""
    return [_displaced(problem, mixing, density, x, both=False) for x in problem.x]


def _displaced(problem: TinyProblem, mixing: Mixing, density: Density, x: Vector, *, both: bool) -> TinyMoments:
    pixels, m = range(len(x)), fmpq(len(problem.x))

    def moved(image: Vector) -> list[Number]:
        return [a - b for a, b in zip(image, x, strict=True)]

    def of(g: Callable[[list[Number]], Number]) -> Number:
        total: Number = 0
        for r in problem.x:
            total += average(
                mixing.law_of(x, r),
                density,
                lambda lam, mask, r=r: (lam if both else 1) * g(moved(mixing.mixed(mask, x, r))),  # type: ignore[misc]
            )
            if both:
                total += average(
                    mixing.law_of(r, x),
                    density,
                    lambda lam, mask, r=r: (1 - lam) * g(moved(mixing.mixed(mask, r, x))),  # type: ignore[misc]
                )
        return total / m

    upper = {(j, k): of(lambda u, j=j, k=k: u[j] * u[k]) for j in pixels for k in pixels if j <= k}  # type: ignore[misc]
    first = [of(lambda u, j=j: u[j]) for j in pixels]  # type: ignore[misc]
    return TinyMoments(first, [[upper[min(j, k), max(j, k)] for k in pixels] for j in pixels])


def displaced_expansion(problem: TinyProblem, moments: list[TinyMoments]) -> TinyTerms:
    """L_m + R1 + R2 + R3 about each sample, from the first two moments of its displacement."""
    pixels, m = range(len(problem.w)), fmpq(len(problem.x))
    terms = TinyTerms(0, 0, 0, 0)
    for x, y, moved in zip(problem.x, problem.y, moments, strict=True):
        g, residual = problem.gradient(x), problem.p + problem.q * problem.f(x) - y
        along = sum(moved.second[j][k] * g[j] * g[k] for j in pixels for k in pixels)
        bent = sum(moved.second[j][k] * problem.Q[j][k] for j in pixels for k in pixels)
        terms = TinyTerms(
            terms.standard + problem.loss(x, y) / m,
            terms.r1 + residual * sum(g[j] * moved.first[j] for j in pixels) / m,
            terms.r2 + problem.q * along / (2 * m),
            terms.r3 + residual * bent / (2 * m),
        )
    return terms
