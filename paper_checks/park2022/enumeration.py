"""a_jk = E[(1-M_j)(1-M_k) | lambda] for every pair of pixels, by listing the masks: rationals, or balls for GMix."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import sympy as sp
from flint import fmpq

from verify.tiny_laws import Number, TinyLaw, box_masks

Pixel = tuple[int, int]
Matrix = list[list[Number]]
Atoms = list[tuple[Number, list[Number]]]

#: images, not all of them square
SHAPES = ((2, 2), (3, 3), (4, 4), (2, 4), (3, 5))


def pixels(shape: tuple[int, int]) -> list[Pixel]:
    """Row by row, counted from 0."""
    return [(row, column) for row in range(shape[0]) for column in range(shape[1])]


def second_moment(atoms: Atoms) -> Matrix:
    """From (probability, mask) pairs."""
    given = [(p, [1 - v for v in mask]) for p, mask in atoms]
    size = range(len(given[0][1]))
    upper = {(j, k): sum(p * m[j] * m[k] for p, m in given) for j in size for k in size if j <= k}
    return [[upper[min(j, k), max(j, k)] for k in size] for j in size]


def law_second_moment(law: TinyLaw, ratio: Number) -> Matrix:
    cell = next(c for c in law.cells if c.left <= ratio <= c.right)
    return second_moment(cell.atoms(ratio))


def box_atoms(shape: tuple[int, int], sides: tuple[int, int], sampler: str, outside: Number = 1) -> Atoms:
    """Boxes of the given sides, the mask 0 inside and `outside` elsewhere."""
    boxes = box_masks(*shape, sides, sampler)
    return [(fmpq(1, len(boxes)), [outside * (1 - bit) for bit in box]) for box in boxes]


def all_sides(shape: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Sides for which every sampler has a position: 0, ..., n-1 an axis."""
    yield from pixels(shape)


def axis_table(formula: Callable[[int, int], sp.Expr], n: int) -> list[list[fmpq]]:
    """A sympy expression of two pixels, counted from 1, at every pair of an axis."""
    entries = [[sp.Rational(formula(j, k)) for k in range(1, n + 1)] for j in range(1, n + 1)]
    return [[fmpq(int(e.p), int(e.q)) for e in row] for row in entries]


def over_both_axes(rows: Matrix, columns: Matrix) -> Matrix:
    """The product of one number an axis, for pixels row by row."""
    both = pixels((len(rows), len(columns)))
    return [[rows[j[0]][k[0]] * columns[j[1]][k[1]] for k in both] for j in both]


def gaps(left: Matrix, right: Matrix) -> list[Number]:
    return [a - b for row, other in zip(left, right, strict=True) for a, b in zip(row, other, strict=True)]
