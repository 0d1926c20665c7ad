"""Bias-free networks with ReLU and max-pooling over rationals: value, linear piece, and how far it reaches, exactly.

Every unit decides: a pooled one which of its inputs is largest, a rectified one whether it is on.  On the set where no
decision changes f is linear, and each decision there is the sign of a linear function, so the set is a cone and a
ball about x lies in it as long as it crosses none of the hyperplanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from flint import fmpq

from verify.tiny_relu import Matrix, Vector, matrix_vector


@dataclass(frozen=True)
class TinyLayer:
    """z to sigma(W z): the largest of each group of units, then ReLU where `rectified`; groups of one: no pooling."""

    W: Matrix
    groups: Sequence[Sequence[int]]
    rectified: bool = True

    def __call__(self, z: Vector) -> list[fmpq]:
        u = matrix_vector(self.W, z)
        largest = [max(u[k] for k in group) for group in self.groups]
        return [max(v, fmpq(0)) for v in largest] if self.rectified else largest


@dataclass(frozen=True)
class Piece:
    """f(x + v) = gradient . (x + v) for |v|_2^2 <= reach_squared; 0 on a kink, None where no hyperplane is met.

    selections: the 0/1 matrix of each layer, (groups, units), with which sigma(u) = S u.
    """

    gradient: list[fmpq]
    reach_squared: fmpq | None
    selections: tuple[Matrix, ...]


@dataclass(frozen=True)
class TinyLayers:
    """f(x) = last . sigma(W ... sigma(W x)), one output."""

    layers: Sequence[TinyLayer]
    last: Vector

    def __call__(self, x: Vector) -> fmpq:
        z = list(x)
        for layer in self.layers:
            z = layer(z)
        return dot(self.last, z)

    def piece(self, x: Vector) -> Piece:
        """The linear piece at x, by the product of weights and selections."""
        rows = [[fmpq(int(j == k)) for k in range(len(x))] for j in range(len(x))]  # z = rows x on this piece
        planes: list[list[fmpq]] = []
        selections = []
        for layer in self.layers:
            rows = [matrix_vector(transposed(rows), w) for w in layer.W]
            values = matrix_vector(rows, x)
            winners = [max(group, key=lambda k: values[k]) for group in layer.groups]
            on = [not layer.rectified or values[k] > 0 for k in winners]
            selections.append(
                [[fmpq(int(o and j == k)) for j in range(len(rows))] for k, o in zip(winners, on, strict=True)]
            )
            for k, group in zip(winners, layer.groups, strict=True):
                planes += [[a - b for a, b in zip(rows[k], rows[j], strict=True)] for j in group if j != k]
                planes += [rows[k]] * layer.rectified
            rows = [matrix_vector(transposed(rows), s) for s in selections[-1]]
        squares = [(dot(p, x) ** 2, dot(p, p)) for p in planes]
        reach = min((value / size for value, size in squares if size != 0), default=None)
        return Piece(matrix_vector(transposed(rows), self.last), reach, tuple(selections))


def transposed(rows: Matrix) -> Matrix:
    return [list(column) for column in zip(*rows, strict=True)]


def dot(a: Vector, b: Vector) -> fmpq:
    return sum((u * v for u, v in zip(a, b, strict=True)), fmpq(0))


def convolution(height: int, width: int, kernel: Matrix) -> Matrix:
    """The matrix of a convolution without padding on height x width images, row by row."""
    h, w = len(kernel), len(kernel[0])
    places = [(i, j) for i in range(height - h + 1) for j in range(width - w + 1)]
    return [
        [
            kernel[r - i][c - j] if 0 <= r - i < h and 0 <= c - j < w else fmpq(0)
            for r in range(height)
            for c in range(width)
        ]
        for i, j in places
    ]


def windows(height: int, width: int, size: int, stride: int) -> list[list[int]]:
    """The pooling windows of height x width images, row by row; they overlap where stride < size."""
    return [
        [(i + r) * width + j + c for r in range(size) for c in range(size)]
        for i in range(0, height - size + 1, stride)
        for j in range(0, width - size + 1, stride)
    ]


def singly(units: int) -> list[list[int]]:
    return [[k] for k in range(units)]


def rationals(rows: int, columns: int, rng: np.random.Generator) -> list[list[fmpq]]:
    """A matrix of rationals k/97, |k| <= 200, drawn independently."""
    return [[fmpq(int(k), 97) for k in row] for row in rng.integers(-200, 201, size=(rows, columns))]
