"""Mixup as perturbed ERM over exact numbers: a rational oracle for Carratino et al., with general losses and outputs.

f_k(x) = w_k . x + x^T Q_k x / 2 and l(y, u) = p . u + r . y + (u^T U u + y^T Y y) / 2 + y^T N u.  A ratio law is a list
of pieces: a polynomial density on an interval, or an atom.  The perturbed loss with its perturbations shortened to s is
then a polynomial in s of degree 4; its coefficients are what the Taylor polynomial must be, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flint import fmpq, fmpq_mat

from verify.tiny_laws import Cell, Number, TinyLaw
from verify.tiny_problems import BetaInt, Density, Matrix, TinyProblem, Vector, average

HALF, ONE = fmpq(1, 2), fmpq(1)
DEGREE = 4


@dataclass(frozen=True)
class Piece:
    """A density on (left, right); where the two are equal, an atom of that mass."""

    left: fmpq
    right: fmpq
    density: Density

    def integral(self, g: Density) -> fmpq:
        if self.left == self.right:
            return self.density(self.left) * g(self.left)
        whole = TinyLaw("ratio", 1, (Cell(self.left, self.right, lambda lam: [(1, [lam])]),))
        return average(whole, self.density, lambda lam, _: g(lam))


@dataclass(frozen=True)
class TinyRatio:
    """A law of lambda or of theta: its pieces, none of which has 1/2 inside."""

    name: str
    pieces: tuple[Piece, ...]

    def mean(self, g: Density) -> fmpq:
        return sum((piece.integral(g) for piece in self.pieces), fmpq(0))

    def folded(self) -> TinyRatio:
        """The law of max(lambda, 1-lambda)."""
        kept = [piece for piece in self.pieces if piece.left >= HALF]
        turned = [
            Piece(1 - p.right, 1 - p.left, lambda t, p=p: p.density(1 - t))  # type: ignore[misc]
            for p in self.pieces
            if p.left < HALF
        ]
        return TinyRatio(f"folded {self.name}", (*kept, *turned))

    def conditioned(self) -> TinyRatio:
        """The law of lambda given that it lies in [1/2, 1], closed."""
        kept = [piece for piece in self.pieces if piece.left >= HALF]
        mass = sum(piece.integral(lambda _: ONE) for piece in kept)
        scaled = (Piece(p.left, p.right, lambda t, p=p: p.density(t) / mass) for p in kept)  # type: ignore[misc]
        return TinyRatio(f"{self.name} on [1/2, 1]", tuple(scaled))


def beta(a: int, b: int) -> TinyRatio:
    density = BetaInt(a, b).density
    return TinyRatio(f"Beta({a},{b})", (Piece(fmpq(0), HALF, density), Piece(HALF, ONE, density)))


def atoms(weights: dict[fmpq, fmpq]) -> TinyRatio:
    pieces = tuple(Piece(value, value, lambda _, w=w: w) for value, w in weights.items())  # type: ignore[misc]
    name = ", ".join(f"{value} with {weight}" for value, weight in weights.items())
    return TinyRatio(f"{{{name}}}", pieces)


def mixture(share: fmpq, first: TinyRatio, second: TinyRatio) -> TinyRatio:
    """`first` with probability `share`."""

    def weighted(law: TinyRatio, weight: fmpq) -> list[Piece]:
        return [Piece(p.left, p.right, lambda t, p=p: weight * p.density(t)) for p in law.pieces]  # type: ignore[misc]

    pieces = (*weighted(first, share), *weighted(second, 1 - share))
    return TinyRatio(f"{share} {first.name} + {1 - share} {second.name}", pieces)


@dataclass(frozen=True)
class TinyMixup:
    """Samples x (m, d), labels y (m, c); network w (K, d), Q (K, d, d); loss p (K), r (c), U, Y and N (c, K)."""

    x: Matrix
    y: Matrix
    w: Matrix
    Q: Sequence[Matrix]
    p: Vector
    r: Vector
    U: Matrix
    Y: Matrix
    N: Matrix

    def f(self, x: Vector) -> list[Number]:
        return [_dot(w, x) + HALF * _form(x, Q, x) for w, Q in zip(self.w, self.Q, strict=True)]

    def loss(self, y: Vector, u: Vector) -> Number:
        smooth = _dot(self.p, u) + _dot(self.r, y) + HALF * _form(u, self.U, u) + HALF * _form(y, self.Y, y)
        return smooth + _form(y, self.N, u)

    def jacobian(self, x: Vector) -> list[list[Number]]:
        return [[a + _dot(row, x) for a, row in zip(w, Q, strict=True)] for w, Q in zip(self.w, self.Q, strict=True)]

    def slope(self, y: Vector, u: Vector) -> list[Number]:
        """nabla_u l."""
        return [
            a + _dot(row, u) + _dot(y, [n[k] for n in self.N])
            for k, (a, row) in enumerate(zip(self.p, self.U, strict=True))
        ]


def of_class(problem: TinyProblem) -> TinyMixup:
    """h(f) - y f of a `TinyProblem`, as a general loss."""
    zero, labels = fmpq(0), [[y] for y in problem.y]
    return TinyMixup(
        problem.x, labels, [problem.w], [problem.Q], [problem.p], [zero], [[problem.q]], [[zero]], [[fmpq(-1)]]
    )


def pair_loss(problem: TinyMixup, i: int, j: int, share: Number) -> Number:
    """m_ij(share)."""
    return problem.loss(*(_mixed(share, v[i], v[j]) for v in (problem.y, _images(problem, share, i, j))))


def _images(problem: TinyMixup, share: Number, i: int, j: int) -> dict[int, list[Number]]:
    """f at the mixed input, under both indices: the loss mixes labels only."""
    value = problem.f(_mixed(share, problem.x[i], problem.x[j]))
    return {i: value, j: value}


def mixup_loss(problem: TinyMixup, law: TinyRatio) -> Number:
    """(5): the mean of m_ij(lambda) over all pairs."""
    m = range(len(problem.x))
    return law.mean(lambda t: sum(pair_loss(problem, i, j, t) for i in m for j in m)) / fmpq(len(m)) ** 2


@dataclass(frozen=True)
class Perturbed:
    """Theorem 1 for one problem and one law of theta: x~, y~, delta and eps, as printed."""

    problem: TinyMixup
    theta: TinyRatio

    @property
    def mean(self) -> fmpq:
        return self.theta.mean(lambda t: t)

    @property
    def var(self) -> fmpq:
        return self.theta.mean(lambda t: t * t) - self.mean**2

    def modified(self, rows: Matrix) -> list[list[Number]]:
        centre, share = _mean(rows), self.mean
        return [[c + share * (v - c) for v, c in zip(row, centre, strict=True)] for row in rows]

    def perturbation(self, rows: Matrix, i: int, j: int, share: Number, mean: fmpq) -> list[Number]:
        centre = _mean(rows)
        columns = zip(rows[i], rows[j], centre, strict=True)
        return [(share - mean) * own + (1 - share) * other - (1 - mean) * c for own, other, c in columns]

    def loss(self, s: fmpq = ONE, *, exchanged: bool = False) -> Number:
        """1/m sum_i E l(y~ + s eps, f(x~ + s delta)); `exchanged` plants i and j exchanged in the labels alone."""
        p, mean = self.problem, self.mean
        inputs, labels, m = self.modified(p.x), self.modified(p.y), range(len(p.x))

        def at(share: Number) -> Number:
            total: Number = 0
            for i in m:
                for j in m:
                    delta = self.perturbation(p.x, i, j, share, mean)
                    eps = self.perturbation(p.y, *((j, i) if exchanged else (i, j)), share, mean)
                    total += p.loss(_moved(labels[i], s, eps), p.f(_moved(inputs[i], s, delta)))
            return total

        return self.theta.mean(at) / fmpq(len(m)) ** 2

    def coefficients(self) -> list[fmpq]:
        """Of 1, s, s^2, .. in `loss(s)`, from its values at DEGREE + 1 points."""
        points = [fmpq(k) for k in range(DEGREE + 1)]
        powers = fmpq_mat(len(points), len(points), [s**k if k else ONE for s in points for k in range(len(points))])
        solved = powers.solve(fmpq_mat(len(points), 1, [self.loss(s) for s in points]))
        return [solved[k, 0] for k in range(len(points))]

    def enumerated(self, i: int, first: Matrix, second: Matrix) -> fmpq_mat:
        """E delta eps^T of sample i by its definition, for rows of samples (or labels) in the two places."""
        m, mean = range(len(first)), self.mean

        def entry(a: int, b: int) -> Density:
            def at(share: Number) -> Number:
                pairs = ((self.perturbation(rows, i, j, share, mean) for rows in (first, second)) for j in m)
                return sum(u[a] * v[b] for u, v in pairs)

            return at

        shape = len(first[0]), len(second[0])
        return fmpq_mat(
            *shape, [self.theta.mean(entry(a, b)) / len(m) for a in range(shape[0]) for b in range(shape[1])]
        )

    def covariance(self, i: int, first: Matrix, second: Matrix, *, unsquared: bool = False) -> fmpq_mat:
        """Lemma 2 as printed, from the modified samples; `unsquared` plants sigma^2 + 1 - thetabar for gamma^2."""
        gamma = self.var + (1 - self.mean if unsquared else (1 - self.mean) ** 2)
        u, v = (
            [[a - b for a, b in zip(row, _mean(rows), strict=True)] for row in self.modified(rows)]
            for rows in (first, second)
        )
        m = len(u)
        entries = [
            (self.var * u[i][a] * v[i][b] + gamma * sum(u[k][a] * v[k][b] for k in range(m)) / m) / self.mean**2
            for a in range(len(u[0]))
            for b in range(len(v[0]))
        ]
        return fmpq_mat(len(u[0]), len(v[0]), entries)


def _moved(point: Vector, s: Number, step: Vector) -> list[Number]:
    return [a + s * b for a, b in zip(point, step, strict=True)]


def _mixed(share: Number, first: Vector, second: Vector) -> list[Number]:
    return [share * a + (1 - share) * b for a, b in zip(first, second, strict=True)]


def _mean(rows: Matrix) -> list[Number]:
    return [sum(column) / fmpq(len(rows)) for column in zip(*rows, strict=True)]


def _dot(a: Vector, b: Vector) -> Number:
    return sum(u * v for u, v in zip(a, b, strict=True))


def _form(a: Vector, matrix: Matrix, b: Vector) -> Number:
    return _dot(a, [_dot(row, b) for row in matrix])
