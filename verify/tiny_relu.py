"""A ReLU network of two layers over rationals: value, Jacobian, and the constant of its linear piece, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flint import fmpq

Vector = Sequence[fmpq]
Matrix = Sequence[Vector]


@dataclass(frozen=True)
class TinyRelu:
    """f(x) = V relu(W x + b) + c."""

    W: Matrix
    b: Vector
    V: Matrix
    c: Vector

    def __call__(self, x: Vector) -> list[fmpq]:
        hidden = [max(u + b, fmpq(0)) for u, b in zip(matrix_vector(self.W, x), self.b, strict=True)]
        return [u + c for u, c in zip(matrix_vector(self.V, hidden), self.c, strict=True)]

    def jacobian(self, x: Vector) -> list[list[fmpq]]:
        """V diag(1 where the unit is on) W, column by column."""
        columns = [self._through(x, [row[j] for row in self.W]) for j in range(len(x))]
        return [list(row) for row in zip(*columns, strict=True)]

    def constant(self, x: Vector) -> list[fmpq]:
        """What the biases give with the units held on or off as at x: f(x) - df(x) x."""
        return [u + c for u, c in zip(self._through(x, self.b), self.c, strict=True)]

    def _through(self, x: Vector, hidden: Vector) -> list[fmpq]:
        on = [u + b > 0 for u, b in zip(matrix_vector(self.W, x), self.b, strict=True)]
        return matrix_vector(self.V, [h if o else fmpq(0) for h, o in zip(hidden, on, strict=True)])


def tiny_relu(*, biases: bool) -> TinyRelu:
    """Two inputs, three units, two outputs."""
    W = [[fmpq(1), fmpq(-2)], [fmpq(-1, 2), fmpq(1)], [fmpq(1, 3), fmpq(1)]]
    V = [[fmpq(1), fmpq(-1), fmpq(1, 2)], [fmpq(2), fmpq(1, 3), fmpq(-1)]]
    b, c = ([fmpq(1, 2), fmpq(1, 3), fmpq(-1, 5)], [fmpq(1), fmpq(-1, 2)]) if biases else ([fmpq(0)] * 3, [fmpq(0)] * 2)
    return TinyRelu(W, b, V, c)


def matrix_vector(rows: Matrix, x: Vector) -> list[fmpq]:
    return [sum((a * v for a, v in zip(row, x, strict=True)), fmpq(0)) for row in rows]
