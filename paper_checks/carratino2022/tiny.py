"""Lemma 2 in rationals: the perturbations of a few samples, for counterexamples that can be worked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flint import arb, fmpq, fmpq_mat, fmpq_poly

Rows = Sequence[Sequence[fmpq | int]]


@dataclass(frozen=True)
class Share:
    """theta = max(lambda, 1 - lambda) by its mean and variance; `square` is gamma^2 = E (1-theta)^2."""

    mean: fmpq
    var: fmpq

    @property
    def square(self) -> fmpq:
        return self.var + (1 - self.mean) ** 2

    @property
    def printed_ratio(self) -> fmpq:
        """sigma^2 / thetabar^2, what the slides maximise."""
        return self.var / self.mean**2

    @property
    def strength(self) -> fmpq:
        """sigma^2 + gamma^2 = 2 sigma^2 + (1 - thetabar)^2."""
        return self.var + self.square

    @staticmethod
    def of_atoms(atoms: Sequence[tuple[fmpq, fmpq]]) -> Share:
        """From pairs (theta, probability)."""
        first, second = (sum((p * t**k for t, p in atoms), fmpq(0)) for k in (1, 2))
        return Share(first, second - first**2)

    @staticmethod
    def of_beta(a: int) -> Share:
        """Of lambda ~ Beta(a, a): integrals of polynomials from 1/2 to 1."""
        ratio = fmpq_poly([0, 1])
        density = (ratio * (1 - ratio)) ** (a - 1)

        def upper(polynomial: fmpq_poly) -> fmpq:
            whole = polynomial.integral()
            return whole(fmpq(1)) - whole(fmpq(1, 2))

        first, second = (upper(ratio**k * density) / upper(density) for k in (1, 2))
        return Share(first, second - first**2)


#: lambda uniform on [0, 1]
UNIFORM = Share.of_beta(1)


@dataclass(frozen=True)
class TinyMixup:
    """Samples x (n, d), labels y (n, c) and the law of theta."""

    x: Rows
    y: Rows
    theta: Share

    @staticmethod
    def about(modified: Rows, y: Rows, theta: Share) -> TinyMixup:
        """The samples whose modified inputs x~ = xbar + thetabar (x - xbar), of mean xbar too, are those given."""
        mean = _mean(modified)
        return TinyMixup(
            [[m + (v - m) / theta.mean for v, m in zip(row, mean, strict=True)] for row in modified], y, theta
        )

    def modified_label(self, i: int) -> list[fmpq]:
        """y~_i."""
        mean = _mean(self.y)
        return [m + self.theta.mean * (v - m) for v, m in zip(self.y[i], mean, strict=True)]

    def moves(self, i: int, atoms: Sequence[tuple[fmpq, fmpq]]) -> list[tuple[fmpq, fmpq_mat]]:
        """delta_i for each theta of the atoms and each partner j, with the probability of theta."""
        a, mean = self._centred("x"), self.theta.mean
        return [
            (p, fmpq_mat([[(t - mean) * u + (1 - t) * v] for u, v in zip(a[i], partner, strict=True)]))
            for t, p in atoms
            for partner in a
        ]

    def covariance(self, i: int, left: str, right: str) -> fmpq_mat:
        """E delta_i delta_i^T ("x", "x"), E delta_i eps_i^T ("x", "y"), and so on."""
        a, b = self._centred(left), self._centred(right)
        pooled = sum((_outer(u, v) for u, v in zip(a[1:], b[1:], strict=True)), _outer(a[0], b[0]))
        return _outer(a[i], b[i]) * self.theta.var + pooled * (self.theta.square / len(a))

    def explained(self, i: int) -> fmpq_mat:
        """K = Sigma_yx Sigma_xx^-1 Sigma_xy: what the best linear predictor of eps_i from delta_i explains."""
        cross = self.covariance(i, "x", "y")
        return cross.transpose() * self.covariance(i, "x", "x").inv() * cross

    def _centred(self, name: str) -> list[list[fmpq]]:
        rows = self.x if name == "x" else self.y
        mean = _mean(rows)
        return [[v - m for v, m in zip(row, mean, strict=True)] for row in rows]


def curvature(p: Sequence[fmpq]) -> fmpq_mat:
    """H = diag(p) - p p^T."""
    return fmpq_mat([[p[k] * (k == j) - p[k] * p[j] for j in range(len(p))] for k in range(len(p))])


def curvature_inverse(p: Sequence[fmpq]) -> fmpq_mat:
    """The Moore-Penrose inverse of H: P diag(1/p) P, P = I - 1 1^T / c."""
    c = len(p)
    centring = fmpq_mat([[fmpq(j == k) - fmpq(1, c) for j in range(c)] for k in range(c)])
    return centring * fmpq_mat([[(j == k) / p[k] for j in range(c)] for k in range(c)]) * centring


def entropy(p: Sequence[fmpq]) -> arb:
    """-sum_k p_k log p_k, enclosed."""
    return -sum((arb(v) * arb(v).log() for v in p), arb(0))


def trace(matrix: fmpq_mat) -> fmpq:
    return sum((matrix[k, k] for k in range(matrix.nrows())), fmpq(0))


def _outer(u: Sequence[fmpq], v: Sequence[fmpq]) -> fmpq_mat:
    return fmpq_mat([[a * b for b in v] for a in u])


def _mean(rows: Rows) -> list[fmpq]:
    return [sum(column) / fmpq(len(rows)) for column in zip(*rows, strict=True)]
