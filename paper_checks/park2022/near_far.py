"""Abstract and section 4: large coefficients for close pixels, small ones for distant pixels, in CutMix."""

from __future__ import annotations

from itertools import product

from flint import fmpq

from msda_theory.symbolic import cutmix_coefficient
from paper_checks.findings import DEPENDS, FAILS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.coefficients import counted
from paper_checks.park2022.enumeration import SHAPES, Matrix, Pixel, all_sides, law_second_moment, pixels
from paper_checks.park2022.rewriting import derivation_figures
from paper_checks.registry import claim
from verify.tiny_laws import mixup
from verify.tiny_problems import NODES

Displacement = tuple[int, int]


def by_displacement(matrix: Matrix, shape: tuple[int, int]) -> dict[Displacement, fmpq]:
    """The mean over all pairs that are (x, y) apart, x and y >= 0."""
    found: dict[Displacement, list[fmpq]] = {}
    for (j, p), (k, q) in product(enumerate(pixels(shape)), repeat=2):
        found.setdefault((abs(p[0] - q[0]), abs(p[1] - q[1])), []).append(matrix[j][k])
    return {apart: sum(values) / fmpq(len(values)) for apart, values in found.items()}


def falls(means: dict[Displacement, fmpq]) -> bool:
    """From one displacement to the next along either axis: never up."""
    steps = [((x, y), (x + dx, y + dy)) for x, y in means for dx, dy in ((1, 0), (0, 1)) if (x + dx, y + dy) in means]
    return all(means[near] >= means[far] for near, far in steps)


def mean_overlap(n: int, s: int, d: int) -> fmpq:
    """(s-d)/(n-d): the mean of one axis over the pairs d apart, where the whole box lies in the image."""
    return fmpq(max(s - d, 0), n - d)


def disordered(matrix: Matrix, shape: tuple[int, int]) -> tuple[Pixel, Pixel, Pixel, Pixel] | None:
    """Two pixels j, k nearer to each other than j', k', along both axes, and with a smaller coefficient."""
    at = pixels(shape)
    pairs = [(j, k) for j, k in product(range(len(at)), repeat=2) if j < k]
    for (j, k), (u, v) in product(pairs, repeat=2):
        near, far = ([abs(a - b) for a, b in zip(at[s], at[t], strict=True)] for s, t in ((j, k), (u, v)))
        if near != far and all(a <= b for a, b in zip(near, far, strict=True)) and matrix[j][k] < matrix[u][v]:
            return at[j], at[k], at[u], at[v]
    return None


def is_convex(matrix: Matrix, shape: tuple[int, int]) -> bool:
    """a_jk <= a_jt for every pixel t of the rectangle that j and k span."""
    at = pixels(shape)

    def between(t: Pixel, j: Pixel, k: Pixel) -> bool:
        return all(min(a, b) <= c <= max(a, b) for a, b, c in zip(j, k, t, strict=True))

    size = range(len(at))
    return all(matrix[j][k] <= matrix[j][t] for j, k, t in product(size, repeat=3) if between(at[t], at[j], at[k]))


@claim("park2022:near-far", fault="boxes that wrap around the border, for boxes inside it")
def near_and_far(trial: Trial) -> Finding:
    samplers = trial.plant(("printed", "inside", "clip"), ("torus",) * 3)
    cases = [(shape, sides) for shape in SHAPES for sides in all_sides(shape)]
    averaged = {s: [by_displacement(counted(*case, s), case[0]) for case in cases] for s in samplers}
    flat = {v - (1 - r) ** 2 for r in _ratios() for row in law_second_moment(mixup(4), r) for v in row}
    example = disordered(counted((4, 4), (3, 3), "inside"), (4, 4))
    full = [s for s in samplers if s != "clip"]
    exact = all(
        means[x, y] == mean_overlap(shape[0], sides[0], x) * mean_overlap(shape[1], sides[1], y)
        for s in full
        for (shape, sides), means in zip(cases, averaged[s], strict=True)
        for x, y in means
    )
    on_average = all(falls(means) for each in averaged.values() for means in each)
    convex = all(is_convex(counted(*case, s), case[0]) for s in samplers for case in cases)
    derivation = cutmix_coefficient("inside", fault=trial.plant(None, "pairs"))
    torus = cutmix_coefficient("torus").holds
    figures = {
        "Mixup: a_jk - (1-lambda)^2": ", ".join(map(str, flat)),
        "nearer but smaller, 4x4 pixels, side 3, box inside: j, k, j', k'": str(example),
        "their coefficients": _pair_values(example),
        "images and sides": len(cases),
        "average over the pairs (x, y) apart falls in x and in y": on_average,
        "but not with |(x, y)|: averages at (3, 0) and (2, 2), 10x10 pixels, side 6": _euclidean_example(),
    }
    corrected = Corrected(
        "a_jk <= a_jt for each pixel t of the rectangle spanned by j and k, for boxes that do not wrap around; the "
        "mean over the pairs (x, y) apart is prod (s-d)/(n-d) over d = |x|, |y| (0 from d = s on) for boxes that lie "
        "in the image, and falls in |x| and in |y|; on the torus it depends on the distance around the border",
        verdict_of(convex and exact and on_average and torus and derivation.holds),
        Evidence("symbolic", {**derivation_figures(derivation), "rectangles": convex, "means are (s-d)/(n-d)": exact}),
    )
    reason = (
        "Mixup's coefficient is constant; CutMix's falls with the distance when averaged over the pairs equally far "
        "apart, as Fig. 4 does, and for pairs that lie within one another; pair by pair it does not, as pixels "
        "at the border are covered less often than those in the middle, however near"
    )
    as_expected = flat == {0} and on_average and example is not None
    return Finding(DEPENDS if as_expected else FAILS, reason, Evidence("exact", figures), corrected)


def _ratios() -> list[fmpq]:
    return [fmpq(k, NODES) for k in range(NODES + 1)]


def _pair_values(example: tuple[Pixel, Pixel, Pixel, Pixel] | None) -> str:
    if example is None:
        return "none"
    matrix, at = counted((4, 4), (3, 3), "inside"), [4 * row + column for row, column in example]
    return f"{matrix[at[0]][at[1]]} < {matrix[at[2]][at[3]]}"


def _euclidean_example() -> str:
    straight, diagonal = mean_overlap(10, 6, 3) * mean_overlap(10, 6, 0), mean_overlap(10, 6, 2) ** 2
    if not straight > diagonal:
        raise ArithmeticError(f"{straight} <= {diagonal}: no example")
    return f"{straight} > {diagonal}"
