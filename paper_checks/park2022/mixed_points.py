"""Mixed points of finite classes, their measures xi and the classifier of Theorem 6 of Park et al., in rationals.

Masks are taken at finitely many ratios or, where they are 0 or 1, averaged over Beta(1,1).  No code is shared with the
library.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from flint import fmpq

from paper_checks.exact_cases import HALF
from verify.tiny_laws import TinyLaw, bernoulli, cutmix, hmix, mixup
from verify.tiny_problems import BetaInt, average

Point = tuple[fmpq, ...]
Row = list[fmpq]
SEVEN = [fmpq(k, 8) for k in range(1, 8)]


@dataclass(frozen=True)
class Sample:
    """A point of a class's support, and its probability."""

    x: Point
    label: int
    mass: fmpq


@dataclass(frozen=True)
class Mixed:
    """A mixed point of classes (i, j): its probability xi, and the same weighted by the label of the first."""

    x: Point
    i: int
    j: int
    xi: fmpq
    labelled: fmpq


Table = list[tuple[Point, fmpq, fmpq]]  # masks with P(M) and E[lambda; M]


def table_at(law: TinyLaw, ratios: list[fmpq]) -> Table:
    """The ratio is uniform on finitely many values."""
    cells = [(lam, next(c for c in law.cells if c.left < lam <= c.right)) for lam in ratios]
    atoms = [(lam, fmpq(p) / len(ratios), tuple(map(fmpq, mask))) for lam, cell in cells for p, mask in cell.atoms(lam)]
    return [(mask, p, lam * p) for lam, p, mask in atoms]


@cache
def table_of_beta(law: TinyLaw) -> Table:
    """The ratio is Beta(1,1); masks that do not depend on it, but for their probabilities."""
    masks = sorted({tuple(map(int, mask)) for c in law.cells for _, mask in c.atoms((c.left + c.right) / 2)})
    uniform = BetaInt(1, 1).density

    def weigh(mask: tuple[int, ...], power: int) -> fmpq:
        return fmpq(average(law, uniform, lambda lam, drawn: (lam if power else 1) if tuple(drawn) == mask else 0))

    return [(tuple(map(fmpq, mask)), weigh(mask, 0), weigh(mask, 1)) for mask in masks]


def mixed_points(samples: list[Sample], table: Table) -> list[Mixed]:
    pairs = [(s, t) for s in samples for t in samples]
    return [
        Mixed(
            tuple(m * a + (1 - m) * b for m, a, b in zip(mask, s.x, t.x, strict=True)),
            s.label,
            t.label,
            s.mass * t.mass * p,
            s.mass * t.mass * labelled,
        )
        for s, t in pairs
        for mask, p, labelled in table
    ]


def square_distance(x: Point, z: Point) -> fmpq:
    return sum(((a - b) ** 2 for a, b in zip(x, z, strict=True)), fmpq(0))


def inside(mixed: Iterable[Mixed], x: Point, square_eps: fmpq) -> list[Mixed]:
    """Those in A_{x,eps}: in the open ball about x."""
    return [z for z in mixed if square_distance(x, z.x) < square_eps]


def small_balls(mixed: list[Mixed], x: Point) -> list[list[Mixed]]:
    """What lies in balls about x up to the nearest other mixed point, and in one that holds more."""
    far = [(square_distance(x, z.x), z) for z in mixed if z.xi > 0]
    nearest = min(d for d, _ in far if d > 0)
    scales = [fmpq(1, 100), fmpq(1), fmpq(3)]
    return [[z for d, z in far if d < nearest * scale] for scale in scales]


def theorem6(mixed: Iterable[Mixed], k: int, *, swapped: bool = False) -> Row:
    """h_eps from xi and xi_lambda, as Theorem 6 prints it.  `swapped`: xi - xi_lambda for xi_lambda."""
    xi, labelled = ([[fmpq(0)] * k for _ in range(k)] for _ in range(2))
    for z in mixed:
        xi[z.i][z.j] += z.xi
        labelled[z.i][z.j] += z.xi - z.labelled if swapped else z.labelled
    others = [[j for j in range(k) if j != i] for i in range(k)]
    top = [xi[i][i] + sum(labelled[i][j] + xi[j][i] - labelled[j][i] for j in others[i]) for i in range(k)]
    return [fmpq(value) / sum(top) for value in top]


def label_mass(mixed: Iterable[Mixed], k: int) -> Row:
    """The labels of the mixed points, summed one by one: the restricted loss is -sum_q of it times log theta_q."""
    total = [fmpq(0)] * k
    for z in mixed:
        total[z.i] += z.labelled
        total[z.j] += z.xi - z.labelled
    return total


def is_minimiser(h: Row, labels: Row) -> bool:
    """Of -sum_q labels_q log theta_q on the simplex: sum h = 1 and labels_q / h_q the same where labels_q > 0."""
    ratios = {c / theta for c, theta in zip(labels, h, strict=True) if c > 0 and theta > 0}
    supported = all((c > 0) == (theta > 0) for c, theta in zip(labels, h, strict=True))
    return supported and sum(h) == 1 and len(ratios) == 1


def _support(d: int) -> list[Sample]:
    """Three classes of two points, unequally likely; disjoint by their first coordinate."""
    points = [(fmpq(n), *(fmpq((3 * n + 2 * j) * n % 5) for j in range(1, d))) for n in range(6)]
    return [Sample(x, n % 3, fmpq(n + 1, 21)) for n, x in enumerate(points)]


@cache
def cases() -> dict[str, list[Mixed]]:
    """Three classes of images of 2 or 4 pixels, mixed by each law that has finitely many rational masks."""
    tables = {"Mixup": (2, table_at(mixup(2), SEVEN)), "Bernoulli": (3, table_of_beta(bernoulli(3)))}
    for sampler in ("inside", "printed", "torus"):
        tables[f"CutMix ({sampler})"] = 4, table_of_beta(cutmix(2, 2, sampler))
        tables[f"HMix ({sampler})"] = 4, table_at(hmix(2, 2, HALF, sampler), SEVEN[1::2])
    return {name: mixed_points(_support(d), table) for name, (d, table) in tables.items()}


def groups(mixed: list[Mixed]) -> dict[Point, list[Mixed]]:
    """X_MSDA, which is finite here: each point with all its expressions."""
    found: dict[Point, list[Mixed]] = {}
    for z in mixed:
        if z.xi > 0:
            found.setdefault(z.x, []).append(z)
    return found


@cache
def neighbourhoods(name: str) -> list[tuple[list[Mixed], list[list[Mixed]]]]:
    """For each point of X_MSDA of a case: all its expressions, and the small balls about it."""
    mixed = cases()[name]
    return [(own, small_balls(mixed, x)) for x, own in groups(mixed).items()]
