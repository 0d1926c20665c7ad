"""A two-layer ReLU network over rational numbers, f(x) = theta_1 . relu(W x) + theta_0, and its data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flint import fmpq, fmpq_mat

from verify.tiny_laws import Number
from verify.tiny_problems import Matrix, Vector


@dataclass(frozen=True)
class TinyNetwork:
    """Inputs x (n, d), labels y (n,), first layer W (p, d), second layer theta (p,) and bias."""

    x: Matrix
    y: Vector
    W: Matrix
    theta: Vector
    bias: Number

    def hidden(self, x: Vector) -> list[Number]:
        """relu(W x)."""
        return [max(dot(row, x), fmpq(0)) for row in self.W]

    @property
    def features(self) -> list[list[Number]]:
        return [self.hidden(x) for x in self.x]

    @property
    def mean(self) -> list[Number]:
        """sigma-bar_W, the mean of the features."""
        return [sum(column) / fmpq(len(self.x)) for column in zip(*self.features, strict=True)]

    @property
    def centred(self) -> list[list[Number]]:
        return [[v - m for v, m in zip(s, self.mean, strict=True)] for s in self.features]

    @property
    def covariance(self) -> list[list[Number]]:
        """Sigma-hat of the features, with 1/n."""
        return [[sum(s[j] * s[k] for s in self.centred) / fmpq(len(self.x)) for k in self.units] for j in self.units]

    @property
    def units(self) -> range:
        return range(len(self.theta))

    def residuals(self, features: Matrix) -> list[Number]:
        return [y - dot(self.theta, s) - self.bias for s, y in zip(features, self.y, strict=True)]

    def standard_loss(self, features: Matrix) -> Number:
        """(1/n) sum_i (y_i - theta.s_i - bias)^2."""
        return sum(r**2 for r in self.residuals(features)) / fmpq(len(self.y))

    def moved(self, step: Vector) -> TinyNetwork:
        """With (theta, bias) + step."""
        theta = [a + b for a, b in zip(self.theta, step, strict=False)]
        return replace(self, theta=theta, bias=self.bias + step[-1])

    def least_squares(self) -> TinyNetwork:
        """With the (theta, bias) of the smallest standard loss, W kept."""
        rows = [[*s, fmpq(1)] for s in self.features]
        design = fmpq_mat(len(rows), len(rows[0]), [v for row in rows for v in row])
        labels = fmpq_mat(len(rows), 1, list(self.y))
        solved = (design.transpose() * design).solve(design.transpose() * labels)
        *theta, bias = (solved[j, 0] for j in range(len(rows[0])))
        return replace(self, theta=theta, bias=bias)

    def __str__(self) -> str:
        def plain(value: object) -> str:
            return "[" + ", ".join(map(plain, value)) + "]" if isinstance(value, list | tuple) else str(value)

        shown = {"W": self.W, "theta_1": self.theta, "theta_0": self.bias, "x": self.x, "y": self.y}
        return ", ".join(f"{name} = {plain(value)}" for name, value in shown.items())


def tiny_network() -> TinyNetwork:
    """Two inputs, three ReLU units, six samples; every unit is off at some sample and on at another."""
    x = [[fmpq(a), fmpq(b)] for a, b in ((1, 2), (-1, 1), (2, -1), (-2, -1), (0, -2), (3, 1))]
    W = [[fmpq(1), fmpq(1)], [fmpq(-1), fmpq(2)], [fmpq(1), fmpq(-2)]]
    theta = [fmpq(1), fmpq(-1, 2), fmpq(1, 3)]
    return TinyNetwork(x, [fmpq(v) for v in (2, 0, 1, 3, -1, 1)], W, theta, fmpq(1, 2))


def dot(a: Vector, b: Vector) -> Number:
    return sum(u * v for u, v in zip(a, b, strict=True))


def quadratic_form(theta: Vector, matrix: Matrix) -> Number:
    return dot(theta, [dot(row, theta) for row in matrix])
