"""Mixed points divided by one number a coordinate, and the least-squares problem at them, over exact numbers.

The law of the mask is that of (14) of Park et al.: lambda under D~, and each sample in the first role, with its label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from flint import fmpq, fmpq_mat

from verify.tiny_laws import Mask, Number, TinyLaw
from verify.tiny_problems import BetaInt, TinyProblem, Vector, average, mixed


def over_points(
    p: TinyProblem, law: TinyLaw, ratio: BetaInt, scale: Vector, g: Callable[[Vector, Number], Number]
) -> Number:
    """E (1/m) sum_i g(x^_i, y_i) with x^_i = (M x_i + (1-M) r) / scale: every mask, every partner."""
    pairs = [(x, y, r) for x, y in zip(p.x, p.y, strict=True) for r in p.x]

    def at(_: Number, mask: Mask) -> Number:
        points = ((mixed(mask, x, r), y) for x, y, r in pairs)
        return sum(g([v / c for v, c in zip(z, scale, strict=True)], y) for z, y in points) / fmpq(len(pairs))

    return average(law, ratio.tilted_density, at)


@dataclass(frozen=True)
class LeastSquares:
    """The minimiser of theta^T gram theta / 2 - cross.theta, and the least value: of E (theta.z)^2/2 - y theta.z."""

    theta: list[fmpq]
    value: fmpq

    @classmethod
    def of(cls, gram: list[list[Number]], cross: list[Number]) -> LeastSquares:
        size = len(cross)
        solved = fmpq_mat(size, size, [v for row in gram for v in row]).solve(fmpq_mat(size, 1, cross))
        theta = [solved[j, 0] for j in range(size)]
        return cls(theta, -sum(c * t for c, t in zip(cross, theta, strict=True)) * fmpq(1, 2))

    @classmethod
    def mixed(cls, p: TinyProblem, law: TinyLaw, ratio: BetaInt, scale: Vector) -> LeastSquares:
        """At the points x^_i of `over_points`."""
        pixels, pairs = range(law.size), [(x, y, r) for x, y in zip(p.x, p.y, strict=True) for r in p.x]

        @cache
        def products(mask: tuple[Number, ...]) -> fmpq_mat:
            """(1/m^2) sum z (z, y)^T over all pairs, d x (d+1)."""
            points = [[v / c for v, c in zip(mixed(list(mask), x, r), scale, strict=True)] for x, _, r in pairs]
            z = fmpq_mat(len(pairs), law.size, [v for point in points for v in point])
            labelled = [v for point, (_, y, _) in zip(points, pairs, strict=True) for v in (*point, y)]
            return z.transpose() * fmpq_mat(len(pairs), law.size + 1, labelled) / fmpq(len(pairs))

        def entry(j: int, k: int) -> Number:
            return average(law, ratio.tilted_density, lambda _, mask: products(tuple(mask))[j, k])

        return cls.of([[entry(j, k) for k in pixels] for j in pixels], [entry(j, law.size) for j in pixels])

    @classmethod
    def unmixed(cls, p: TinyProblem) -> LeastSquares:
        pixels, n = range(len(p.w)), fmpq(len(p.x))
        cross = [sum(y * x[j] for x, y in zip(p.x, p.y, strict=True)) / n for j in pixels]
        return cls.of(gram_hat(p), cross)

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.theta))}] at {self.value}"


def gram_hat(p: TinyProblem) -> list[list[Number]]:
    """Sigma-hat = (1/n) sum_i x_i x_i^T."""
    pixels = range(len(p.w))
    return [[sum(x[j] * x[k] for x in p.x) / fmpq(len(p.x)) for k in pixels] for j in pixels]
