"""Naive twins: mask laws, ratio averages, losses and models once more, in plain Python, without vectors or moments.

A mask law at a ratio is a list of (probability, mask), a mask the tuple of its pixels in row-major order.  Given a
`fractions.Fraction` as the ratio, boxes, Mixup, Bernoulli and the signs behind a Gaussian mask are exact.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations, pairwise, product

from torch import nn

from tests.helpers import Quadratic, TanhNetwork

Number = Fraction | float
Atoms = list[tuple[Number, tuple[Number, ...]]]
Law = Callable[[Number], Atoms]
Vector = Sequence[float]

#: error of `ratio_nodes` relative to the largest value of the integrand, held against mpmath by tests/test_oracles.py
QUADRATURE_ERROR = 1e-12
_STEP, _REACH = 0.08, 4.8


# -- mask laws


def mixup(size: int) -> Law:
    return lambda ratio: [(1, (ratio,) * size)]


def bernoulli(size: int) -> Law:
    def atoms(ratio: Number) -> Atoms:
        masks = product((0, 1), repeat=size)
        return [(ratio ** sum(m) * (1 - ratio) ** (size - sum(m)), m) for m in masks]

    return atoms


def side(n: int, ratio: Number, r: Fraction) -> int:
    """[sqrt(1-lambda) sqrt(r) n] in integer arithmetic."""
    return math.isqrt(math.floor((1 - Fraction(ratio)) * r * n * n))


def intervals(n: int, length: int, sampler: str) -> list[set[int]]:
    """The equally likely sets of pixels that a side covers on an axis."""
    if sampler == "torus":
        return [{(start + t) % n for t in range(length)} for start in range(n)]
    if sampler == "clip":
        half = length // 2
        return [set(range(max(0, centre - half), min(n, centre + half))) for centre in range(n)]
    starts = range(n - length) if sampler == "printed" else range(n - length + 1)
    return [set(range(start, start + length)) for start in starts]


def box(shape: tuple[int, int], sampler: str, r: Fraction = Fraction(1)) -> Law:
    def atoms(ratio: Number) -> Atoms:
        outside = 1 if r == 1 else ratio / (1 - (1 - ratio) * r)
        rows, columns = (intervals(n, side(n, ratio, r), sampler) for n in shape)
        places = list(product(rows, columns))
        return [(Fraction(1, len(places)), _with_hole(shape, place, outside)) for place in places]

    return atoms


def _with_hole(shape: tuple[int, int], place: tuple[set[int], set[int]], outside: Number) -> tuple[Number, ...]:
    pixels = product(range(shape[0]), range(shape[1]))
    return tuple(0 if i in place[0] and j in place[1] else outside for i, j in pixels)


def gmix(shape: tuple[int, int], kernel: str) -> Law:
    """Distances to the pixel p one by one; at ratio 0 or 1 the width may vanish, and the bump is p alone."""

    def atoms(ratio: Number) -> Atoms:
        pixels = list(product(range(shape[0]), range(shape[1])))
        width = 2 * (1 - ratio) if kernel == "printed" else min(ratio, 1 - ratio)
        keeps_bump = kernel == "released" and ratio < 0.5
        masks = []
        for p in pixels:
            gone = [_bump((i - p[0]) ** 2 + (j - p[1]) ** 2, width * len(pixels)) for i, j in pixels]
            masks.append(tuple(g if keeps_bump else 1 - g for g in gone))
        return [(1 / len(pixels), mask) for mask in masks]

    return atoms


def _bump(distance2: int, area: Number) -> float:
    if distance2 == 0:
        return 1.0
    return math.exp(-math.pi * distance2 / area) if area > 0 else 0.0


def either(q: Fraction, first: Law, second: Law) -> Law:
    def atoms(ratio: Number) -> Atoms:
        parts = [(p, law) for p, law in ((q, first), (1 - q, second)) if p > 0]
        return [(p * weight, mask) for p, law in parts for weight, mask in law(ratio)]

    return atoms


def fmix(shape: tuple[int, int], decay: float) -> Law:
    """At most four pixels: n ones, n = lambda d rounded down or up with probability 1/2 each."""
    size = shape[0] * shape[1]

    def atoms(ratio: Number) -> Atoms:
        count = Fraction(ratio) * size
        roundings = (math.floor(count), math.ceil(count))
        return [(p / 2, mask) for n in roundings for p, mask in _brightest(shape, n, decay)]

    return atoms


def _brightest(shape: tuple[int, int], n: int, decay: float) -> Atoms:
    """One pixel, or all but one, is any: stationarity.  So are two of three: the field is exchangeable there.

    Two of four, where the field's four values are +-A, +-B, +-C in sum: 2 x 2, (A+B+C, -A+B-C, A-B-C, -A-B+C), and on
    an axis of four (a+c, b-c, -a+c, -b-c) with A = a+b, B = a-b, C = 2c.  The two brightest sum to the largest of
    +-A, +-B, +-C (doubled, or as they are), so it is C's pair, the pixels furthest apart, where |C| > |A|, |B|.  A and
    B have one variance and C that of them times t: a cone of the solid angle 4 pi P, P = 2/pi arcsin(t/(1+t)).
    t is the power at the highest frequency to that at the others: 2^-decay, and 4^-decay on an axis.
    """
    size = shape[0] * shape[1]
    chosen = [tuple(int(i in ones) for i in range(size)) for ones in combinations(range(size), n)]
    if (size, n) != (4, 2):
        return [(Fraction(1, len(chosen)), mask) for mask in chosen]
    furthest = ((0, 2), (1, 3)) if 1 in shape else ((0, 3), (1, 2))
    t = (4.0 if 1 in shape else 2.0) ** -decay
    apart = 2 / math.pi * math.asin(t / (1 + t))
    is_apart = [tuple(i for i in range(4) if mask[i]) in furthest for mask in chosen]
    return [(apart / 2 if far else (1 - apart) / 4, mask) for far, mask in zip(is_apart, chosen, strict=True)]


def signs(root: Sequence[Sequence[Fraction]]) -> Law:
    """M = lambda 1 + lambda (1-lambda) S e with independent signs e: the first two moments of a Gaussian mask."""

    def atoms(ratio: Number) -> Atoms:
        rows = [[ratio * (1 - ratio) * v for v in row] for row in root]
        flips = list(product((-1, 1), repeat=len(root[0])))
        return [(Fraction(1, len(flips)), tuple(ratio + dot(row, e) for row in rows)) for e in flips]

    return atoms


def kronecker(first: Sequence[Sequence[Fraction]], second: Sequence[Sequence[Fraction]]) -> list[list[Fraction]]:
    return [[u * v for u in row for v in other] for row in first for other in second]


def mean(atoms: Atoms) -> list[Number]:
    return [sum(p * mask[j] for p, mask in atoms) for j in range(len(atoms[0][1]))]


def second_moment(atoms: Atoms) -> list[list[Number]]:
    """E[(1-M_j)(1-M_k)]."""
    size = range(len(atoms[0][1]))
    return [[sum(p * (1 - mask[j]) * (1 - mask[k]) for p, mask in atoms) for k in size] for j in size]


def distribution(atoms: Atoms) -> dict[tuple[float, ...], float]:
    """Probability of each distinct mask; pixels that agree to 12 digits are the same."""
    total: dict[tuple[float, ...], float] = defaultdict(float)
    for p, mask in atoms:
        total[tuple(round(float(v), 12) + 0.0 for v in mask)] += float(p)
    return {mask: p for mask, p in total.items() if p > 0}


# -- averages over the ratio


def box_jumps(shape: tuple[int, int], r: Fraction = Fraction(1)) -> tuple[Fraction, ...]:
    """Ratios in (0, 1) at which a side of the box is an integer."""
    steps = {1 - Fraction(k, n) ** 2 / r for n in shape for k in range(1, n + 1)} if r else set()
    return tuple(sorted(step for step in steps if 0 < step < 1))


def ratio_nodes(a: float, b: float, breaks: Sequence[Number] = ()) -> list[tuple[float, float, float]]:
    """(lambda, 1-lambda, weight) for E[g(lambda)] under Beta(a, b): tanh-sinh (Takahasi and Mori, 1974) in each cell.

    Both ends are approached double-exponentially, so the singular density needs no special rule.
    """
    log_norm = math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
    nodes = []
    for left, right in pairwise([0.0, *map(float, breaks), 1.0]):
        for x, rest, weight in _tanh_sinh():
            ratio, gone = left + (right - left) * x, (1 - right) + (right - left) * rest
            density = math.exp((a - 1) * math.log(ratio) + (b - 1) * math.log(gone) - log_norm)
            nodes.append((ratio, gone, weight * (right - left) * density))
    return nodes


def _tanh_sinh() -> Iterator[tuple[float, float, float]]:
    """x, 1-x and weight on (0, 1)."""
    count = round(_REACH / _STEP)
    for k in range(-count, count + 1):
        t = k * _STEP
        x, rest = (1 / (1 + math.exp(s * math.pi * math.sinh(t))) for s in (-1, 1))
        yield x, rest, _STEP * math.pi * math.cosh(t) * x * rest


# -- models and losses


def model_twin(model: nn.Module) -> Callable[[Vector], list[float]]:
    """A Python function of the flat input, from the model's parameters."""
    if isinstance(model, Quadratic):
        return _quadratic(*(p.tolist() for p in model.parameters()))
    assert isinstance(model, TanhNetwork)
    return _tanh_network(*(p.tolist() for p in model.parameters()))


def _quadratic(curvature: list, slope: list, offset: list) -> Callable[[Vector], list[float]]:
    def f(x: Vector) -> list[float]:
        size = range(len(x))
        bent = [sum(x[i] * q[i][j] * x[j] for i in size for j in size) / 2 for q in curvature]
        return [u + dot(s, x) + c for u, s, c in zip(bent, slope, offset, strict=True)]

    return f


def _tanh_network(inner: list, bias: list, outer: list, offset: list) -> Callable[[Vector], list[float]]:
    def f(x: Vector) -> list[float]:
        hidden = [math.tanh(dot(w, x) + b) for w, b in zip(inner, bias, strict=True)]
        return [dot(v, hidden) + c for v, c in zip(outer, offset, strict=True)]

    return f


def dot(u: Vector, v: Vector) -> float:
    return sum(p * q for p, q in zip(u, v, strict=True))


H: dict[str, Callable[[Vector], float]] = {
    "Logistic": lambda f: sum(max(v, 0) + math.log1p(math.exp(-abs(v))) for v in f),
    "Squared": lambda f: sum(v * v / 2 for v in f),
    "Poisson": lambda f: sum(math.exp(v) for v in f),
    "SoftmaxCrossEntropy": lambda f: max(f) + math.log(sum(math.exp(v - max(f)) for v in f)),
    "LinearLoss": lambda f: sum(1.5 * v for v in f),
}


def msda_loss(
    f: Callable[[Vector], Sequence[float]],
    h: Callable[[Vector], float],
    x: Sequence[Vector],
    y: Sequence[Vector],
    law: Law,
    nodes: Sequence[tuple[float, float, float]],
    label: str = "nominal",
) -> float:
    """Park et al., eq. (4), as it stands: sums over ratios, masks, first and second samples, one after another."""
    total = 0.0
    for ratio, _, weight in nodes:
        for probability, mask in law(ratio):
            share = ratio if label == "nominal" else sum(mask) / len(mask)
            for x_i, y_i in zip(x, y, strict=True):
                for x_j, y_j in zip(x, y, strict=True):
                    out = f(mixed(mask, x_i, x_j))
                    target = [share * u + (1 - share) * v for u, v in zip(y_i, y_j, strict=True)]
                    total += weight * float(probability) * (h(out) - dot(target, out))
    return total / len(x) ** 2


def mixed(mask: Sequence[Number], x_i: Vector, x_j: Vector) -> list[float]:
    """Leading axes of a flat sample repeat the mask."""
    keep = [float(mask[p % len(mask)]) for p in range(len(x_i))]
    return [m * u + (1 - m) * v for m, u, v in zip(keep, x_i, x_j, strict=True)]


def seen_moments(
    law: Law, nodes: Sequence[tuple[float, float, float]], size: int, label: str = "nominal"
) -> tuple[list[float], list[list[float]]]:
    """E[N_j] and E[N_j N_k] over both roles: N = 1-M with weight w, N = M with weight 1-w."""
    first, second = [0.0] * size, [[0.0] * size for _ in range(size)]
    for ratio, _, weight in nodes:
        for probability, mask in law(ratio):
            share = float(ratio if label == "nominal" else sum(mask) / len(mask))
            kept = [float(m) for m in mask]
            for role, seen in ((share, [1 - m for m in kept]), (1 - share, kept)):
                for j, seen_j in enumerate(seen):
                    term = weight * float(probability) * role * seen_j
                    first[j] += term
                    second[j] = [total + term * seen_k for total, seen_k in zip(second[j], seen, strict=True)]
    return first, second
