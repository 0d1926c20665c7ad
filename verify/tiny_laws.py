"""Mask laws once more, in plain Python over exact numbers: the naive twins of `msda_theory.masks`.

A law is a list of cells of the ratio; on each, a function from the ratio to its atoms [(probability, mask)].  Numbers
are python-flint's: fmpq where everything is rational, acb balls (rigorous enclosures) where it is not.  No code is
shared with the library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

from flint import acb, arb, fmpq

Number = Any  # fmpq or acb; int for 0 and 1
Mask = list[Number]
AtomsAt = Callable[[Number], list[tuple[Number, Mask]]]

TAIL = fmpq(1, 2**9)


@dataclass(frozen=True)
class Cell:
    """Ratios in (left, right), and the atoms of the mask's law there; `analytic` in the ratio, or only enclosed."""

    left: fmpq
    right: fmpq
    atoms: AtomsAt
    analytic: bool = True


@dataclass(frozen=True)
class TinyLaw:
    """A mask law on `size` pixels; `polynomial` where masks and probabilities are polynomials in the ratio."""

    name: str
    size: int
    cells: tuple[Cell, ...]
    polynomial: bool = True


def mixup(size: int) -> TinyLaw:
    return TinyLaw("Mixup", size, (_whole(lambda lam: [(1, [lam] * size)]),))


def bernoulli(size: int) -> TinyLaw:
    def atoms(lam: Number) -> list[tuple[Number, Mask]]:
        masks = [list(bits) for bits in product((0, 1), repeat=size)]
        return [(_power(lam, sum(m)) * _power(1 - lam, size - sum(m)), m) for m in masks]

    return TinyLaw("Bernoulli", size, (_whole(atoms),))


def cutmix(height: int, width: int, sampler: str) -> TinyLaw:
    return _boxes("CutMix", height, width, fmpq(1), sampler)


def hmix(height: int, width: int, r: fmpq, sampler: str) -> TinyLaw:
    return _boxes("HMix", height, width, r, sampler)


def exact_area(n: int, r: fmpq) -> TinyLaw:
    """HMix on an n x n torus (r = 1: CutMix), the side rounded at random so that the mean area is (1-lambda) r.

    The box law that meets the assumption E[M] = lambda 1 at every ratio.
    """
    edges = [fmpq(0), *sorted(s for k in range(1, n + 1) if (s := 1 - fmpq(k, n) ** 2 / r) > 0), fmpq(1)]
    cells = [_exact_area_cell(n, r, left, right) for left, right in pairwise(edges)]
    return TinyLaw(f"{'CutMix' if r == 1 else 'HMix'} (torus, exact area)", n * n, tuple(cells), polynomial=r == 1)


def _exact_area_cell(n: int, r: fmpq, left: fmpq, right: fmpq) -> Cell:
    middle = (1 - (left + right) / 2) * r
    side = max(s for s in range(n) if s**2 <= middle * n**2)
    small, large = (box_masks(n, n, (k, k), "torus") for k in (side, side + 1))

    def atoms(lam: Number) -> list[tuple[Number, Mask]]:
        grown = ((1 - lam) * r * n**2 - side**2) / (2 * side + 1)
        weighted = [((1 - grown) / len(small), box) for box in small] + [(grown / len(large), box) for box in large]
        return [(p, [_outside(lam, r) * (1 - inside) for inside in box]) for p, box in weighted]

    return Cell(left, right, atoms)


def stochastic(height: int, width: int, q: fmpq, sampler: str) -> TinyLaw:
    """Mixup with probability q, CutMix with probability 1-q."""
    return blended(cutmix(height, width, sampler), q)


def blended(boxes: TinyLaw, q: fmpq) -> TinyLaw:
    """Mixup with probability q, the given law with probability 1-q."""

    def joined(box: Cell) -> Cell:
        def atoms(lam: Number) -> list[tuple[Number, Mask]]:
            return [(q, [lam] * boxes.size), *(((1 - q) * p, mask) for p, mask in box.atoms(lam))]

        return Cell(box.left, box.right, atoms)

    return TinyLaw(boxes.name.replace("CutMix", "Stochastic"), boxes.size, tuple(joined(cell) for cell in boxes.cells))


def gmix(height: int, width: int, *, factor: int = 2) -> TinyLaw:
    """1-M_i = exp(-pi ||i-p||^2 / (factor (1-lambda) H W)), p uniform over the pixels; the paper prints factor 2."""
    pixels = list(product(range(height), range(width)))
    distances = [[(i[0] - p[0]) ** 2 + (i[1] - p[1]) ** 2 for i in pixels] for p in pixels]

    def with_kernel(kernel: Callable[[Number, int], Number]) -> AtomsAt:
        def atoms(lam: Number) -> list[tuple[Number, Mask]]:
            masked = {distance: 1 - kernel(lam, distance) for distance in {d for row in distances for d in row}}
            return [(fmpq(1, len(pixels)), [masked[d] for d in row]) for row in distances]

        return atoms

    def gaussian(lam: Number, distance: int) -> Number:
        return (-acb.pi() * distance / (factor * height * width * (1 - lam))).exp() if distance else 1

    def enclosed(lam: Number, distance: int) -> Number:  # next to lambda = 1, where the kernel has no power series
        largest = gaussian(acb(1 - TAIL), distance).real if distance else 1
        return acb(largest * arb(0.5, 0.5)) if distance else 1

    body = Cell(fmpq(0), 1 - TAIL, with_kernel(gaussian))
    tail = Cell(1 - TAIL, fmpq(1), with_kernel(enclosed), analytic=False)
    return TinyLaw(f"GMix (factor {factor})", height * width, (body, tail), polynomial=False)


def box_masks(height: int, width: int, sides: tuple[int, int], sampler: str) -> list[list[int]]:
    """The equally likely box indicators, row by row, as the four samplers of CutMix place them."""
    rows, columns = (_intervals(n, s, sampler) for n, s in zip((height, width), sides, strict=True))
    return [[int(i in a and j in b) for i in range(height) for j in range(width)] for a in rows for b in columns]


def _intervals(n: int, side: int, sampler: str) -> list[set[int]]:
    if sampler == "printed":
        return [set(range(c, c + side)) for c in range(n - side)]
    if sampler == "inside":
        return [set(range(c, c + side)) for c in range(n - side + 1)]
    if sampler == "clip":
        return [set(range(max(c - side // 2, 0), min(c + side // 2, n))) for c in range(n)]
    return [{(c + t) % n for t in range(side)} for c in range(n)]


def _boxes(name: str, height: int, width: int, r: fmpq, sampler: str) -> TinyLaw:
    steps = {1 - fmpq(k, n) ** 2 / r for n in (height, width) for k in range(1, n + 1)}
    edges = [fmpq(0), *sorted(s for s in steps if 0 < s < 1), fmpq(1)]
    cells = tuple(_box_cell(height, width, r, sampler, a, b) for a, b in pairwise(edges))
    return TinyLaw(f"{name} ({sampler})", height * width, cells, polynomial=r == 1)


def _box_cell(height: int, width: int, r: fmpq, sampler: str, left: fmpq, right: fmpq) -> Cell:
    share = (1 - (left + right) / 2) * r
    rows, columns = (max(s for s in range(n + 1) if s**2 <= share * n**2) for n in (height, width))
    boxes = box_masks(height, width, (rows, columns), sampler)

    def atoms(lam: Number) -> list[tuple[Number, Mask]]:
        return [(fmpq(1, len(boxes)), [_outside(lam, r) * (1 - inside) for inside in box]) for box in boxes]

    return Cell(left, right, atoms)


def _outside(lam: Number, r: fmpq) -> Number:
    return 1 if r == 1 else lam / (1 - (1 - lam) * r)


def _whole(atoms: AtomsAt) -> Cell:
    return Cell(fmpq(0), fmpq(1), atoms)


def _power(base: Number, exponent: int) -> Number:
    result: Number = 1
    for _ in range(exponent):
        result = result * base
    return result
