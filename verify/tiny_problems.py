"""Losses, expansions and averages over exact numbers: a rational or ball oracle for problems of a few pixels.

f(x) = w.x + x^T Q x / 2 and h(u) = p u + q u^2 / 2.  With Q = 0 (linear f, squared loss) or q = 0 (quadratic f, linear
h) the loss is quadratic in the mask, so the second-order expansion must be exact.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from flint import acb, ctx, fmpq, fmpq_mat

from verify.tiny_laws import Cell, Mask, Number, TinyLaw

Vector = Sequence[Number]
Matrix = Sequence[Vector]

NODES = 14
BALL_BITS = 80
BALL_TOLERANCE = 2.0**-44
PIECES = 256


@dataclass(frozen=True)
class TinyProblem:
    """Samples x (m, d), labels y (m,), network (w, Q) and loss (p, q)."""

    x: Matrix
    y: Vector
    w: Vector
    Q: Matrix
    p: Number
    q: Number

    def f(self, x: Vector) -> Number:
        return _dot(self.w, x) + _dot(x, [_dot(row, x) for row in self.Q]) * fmpq(1, 2)

    def loss(self, x: Vector, y: Number) -> Number:
        f = self.f(x)
        return self.p * f + self.q * f * f * fmpq(1, 2) - y * f

    def gradient(self, x: Vector) -> list[Number]:
        return [w + _dot(row, x) for w, row in zip(self.w, self.Q, strict=True)]

    @property
    def mean(self) -> list[Number]:
        return [sum(column) / fmpq(len(self.x)) for column in zip(*self.x, strict=True)]


@dataclass(frozen=True)
class BetaInt:
    """Beta(a, b) with integer parameters: a polynomial density, so rational averages."""

    a: int
    b: int

    def density(self, lam: Number) -> Number:
        value: Number = fmpq(_factorial(self.a + self.b - 1), _factorial(self.a - 1) * _factorial(self.b - 1))
        for factor in [lam] * (self.a - 1) + [1 - lam] * (self.b - 1):
            value = value * factor
        return value

    def tilted_density(self, lam: Number) -> Number:
        """Of D~: a/(a+b) Beta(a+1, b) + b/(a+b) Beta(b+1, a)."""
        total = self.a + self.b
        first, second = BetaInt(self.a + 1, self.b), BetaInt(self.b + 1, self.a)
        return fmpq(self.a, total) * first.density(lam) + fmpq(self.b, total) * second.density(lam)


Density = Callable[[Number], Number]


def average(law: TinyLaw, density: Density, integrand: Callable[[Number, Mask], Number]) -> Number:
    """int density(lambda) E_M[ integrand(lambda, M) ] d lambda: fmpq where the law is polynomial, else a ball."""
    integral = _rational_integral if law.polynomial else _ball_integral

    def at(cell: Cell) -> Density:
        return lambda lam: density(lam) * sum(p * integrand(lam, mask) for p, mask in cell.atoms(lam))

    return sum(integral(at(cell), cell) for cell in law.cells)


def msda_loss(problem: TinyProblem, law: TinyLaw, ratio: BetaInt) -> Number:
    """Park et al., eq. (4): the pair is mixed, its labels are mixed."""

    def of_pairs(lam: Number, mask: Mask) -> Number:
        pairs = [(a, b) for a in zip(problem.x, problem.y, strict=True) for b in zip(problem.x, problem.y, strict=True)]
        losses = [problem.loss(mixed(mask, xi, xj), lam * yi + (1 - lam) * yj) for (xi, yi), (xj, yj) in pairs]
        return sum(losses) / fmpq(len(losses))

    return average(law, ratio.density, of_pairs)


def tilted_loss(problem: TinyProblem, law: TinyLaw, density: Density) -> Number:
    """Park et al., eqs. (13)-(14): sample i keeps its label and is mixed with r, the ratio under D~."""
    return average(law, density, lambda lam, mask: _perturbed(problem, mask))


def two_role_loss(problem: TinyProblem, law: TinyLaw, ratio: BetaInt, *, faulty: bool = False) -> Number:
    """E[lambda l(M x_i + (1-M) r, y_i) + (1-lambda) l((1-M) x_i + M r, y_i)]; `faulty` swaps the two weights."""

    def of_roles(lam: Number, mask: Mask) -> Number:
        first, second = (1 - lam, lam) if faulty else (lam, 1 - lam)
        return first * _perturbed(problem, mask) + second * _perturbed(problem, [1 - v for v in mask])

    return average(law, ratio.density, of_roles)


def _perturbed(problem: TinyProblem, mask: Mask) -> Number:
    samples = list(zip(problem.x, problem.y, strict=True))
    losses = [problem.loss(mixed(mask, xi, r), yi) for xi, yi in samples for r in problem.x]
    return sum(losses) / fmpq(len(losses))


def mixed(mask: Mask, x: Vector, r: Vector) -> list[Number]:
    """M x + (1-M) r."""
    return [m * a + (1 - m) * b for m, a, b in zip(mask, x, r, strict=True)]


@dataclass(frozen=True)
class TinyMoments:
    """First and second moments of the share N of the partner."""

    first: Vector
    second: Matrix


#: what a sample sees of its partner, N, in each of its roles, and the weight of the role
Roles = Callable[[Number, Mask], list[tuple[Number, Mask]]]


def tilted_moments(law: TinyLaw, density: Density) -> TinyMoments:
    """Of N = 1-M under D~, as in Theorem 1 (first: E[1-M], before it is read as E[1-lambda])."""
    return _moments(law, density, lambda lam, mask: [(1, [1 - v for v in mask])])


def two_role_moments(law: TinyLaw, ratio: BetaInt) -> TinyMoments:
    """Of N = 1-M with weight lambda and N = M with weight 1-lambda, the ratio under D."""
    return _moments(law, ratio.density, lambda lam, mask: [(lam, [1 - v for v in mask]), (1 - lam, mask)])


def _moments(law: TinyLaw, density: Density, roles: Roles) -> TinyMoments:
    points = _seen(law, density, roles) if law.polynomial else None

    def of(g: Callable[[Mask], Number]) -> Number:
        if points is not None:
            return sum(weight * g(share) for share, weight in points)
        return average(law, density, lambda lam, mask: sum(weight * g(share) for weight, share in roles(lam, mask)))

    pixels = range(law.size)
    first = [of(lambda n, j=j: n[j]) for j in pixels]  # type: ignore[misc]
    upper = {(j, k): of(lambda n, j=j, k=k: n[j] * n[k]) for j in pixels for k in pixels if j <= k}  # type: ignore[misc]
    return TinyMoments(first, [[upper[min(j, k), max(j, k)] for k in pixels] for j in pixels])


def _seen(law: TinyLaw, density: Density, roles: Roles) -> list[tuple[Mask, fmpq]]:
    """All that is seen at the nodes of the exact rule, with its weight: made once for all moments."""
    weights: dict[tuple[Number, ...], fmpq] = defaultdict(fmpq)
    for cell in law.cells:
        for lam, node in _rule(cell):
            mass = node * density(lam)
            for p, mask in cell.atoms(lam):
                for role, share in roles(lam, mask):
                    weights[tuple(share)] += mass * p * role
    return [(list(share), weight) for share, weight in weights.items()]


@dataclass(frozen=True)
class TinyTerms:
    standard: Number
    r1: Number
    r2: Number
    r3: Number

    @property
    def total(self) -> Number:
        return self.standard + self.r1 + self.r2 + self.r3


def expansion(problem: TinyProblem, moments: TinyMoments, *, centred: bool = False) -> TinyTerms:
    """Theorem 1's terms, sample by sample; `centred` takes the mean of the data as zero, as (7)-(8) do."""
    pixels, m = range(len(problem.w)), fmpq(len(problem.x))
    mean = [0] * len(problem.w) if centred else problem.mean
    terms = TinyTerms(0, 0, 0, 0)
    for x, y in zip(problem.x, problem.y, strict=True):
        f, g = problem.f(x), problem.gradient(x)
        residual = problem.p + problem.q * f - y
        # E[(r_j - x_j)(r_k - x_k)] = E[r_j r_k] - rbar_j x_k - x_j rbar_k + x_j x_k
        spread = [
            [
                moments.second[j][k]
                * (sum(r[j] * r[k] for r in problem.x) / m - mean[j] * x[k] - x[j] * mean[k] + x[j] * x[k])
                for k in pixels
            ]
            for j in pixels
        ]
        terms = TinyTerms(
            terms.standard + problem.loss(x, y) / m,
            terms.r1 + residual * sum(g[j] * moments.first[j] * (mean[j] - x[j]) for j in pixels) / m,
            terms.r2 + problem.q * sum(spread[j][k] * g[j] * g[k] for j in pixels for k in pixels) / (2 * m),
            terms.r3 + residual * sum(spread[j][k] * problem.Q[j][k] for j in pixels for k in pixels) / (2 * m),
        )
    return terms


def _rational_integral(fn: Density, cell: Cell) -> fmpq:
    """Exact for polynomials of degree < NODES."""
    return sum(weight * fn(lam) for lam, weight in _rule(cell))


def _rule(cell: Cell) -> list[tuple[fmpq, fmpq]]:
    """Equispaced nodes, and their weights, solved in rationals."""
    width = cell.right - cell.left
    return [(cell.left + width * fmpq(k, NODES - 1), weight * width) for k, weight in enumerate(_weights())]


@cache
def _weights() -> tuple[fmpq, ...]:
    nodes = [fmpq(k, NODES - 1) for k in range(NODES)]
    powers = fmpq_mat(NODES, NODES, [x**i if i else fmpq(1) for i in range(NODES) for x in nodes])
    moments = fmpq_mat(NODES, 1, [fmpq(1, i + 1) for i in range(NODES)])
    solved = powers.solve(moments)
    return tuple(solved[k, 0] for k in range(NODES))


def _ball_integral(fn: Density, cell: Cell) -> acb:
    """A rigorous enclosure: Arb's integration where the integrand is analytic, else piece by piece."""
    with ctx.workprec(BALL_BITS):
        if cell.analytic:
            left, right = acb(cell.left), acb(cell.right)
            return acb.integral(lambda lam, _: fn(lam), left, right, rel_tol=BALL_TOLERANCE, abs_tol=BALL_TOLERANCE)
        step = (cell.right - cell.left) / PIECES
        edges = [acb(cell.left + k * step) for k in range(PIECES + 1)]
        return sum(fn(a.union(b)) for a, b in pairwise(edges)) * step


def _dot(a: Vector, b: Vector) -> Number:
    return sum(u * v for u, v in zip(a, b, strict=True))


def _factorial(n: int) -> int:
    return 1 if n < 2 else n * _factorial(n - 1)
