"""The expansion about mean mixed points over exact numbers: the oracle of `msda_theory.expansions.mean_point`.

Every moment of point and label is an average over ratios, masks and all pairs (leading sample, partner), one after
another: no moment of the share N is taken apart from the data's.  With z and v the mixed point and label,

    m_i = E[z | i],  ybar_i = E[v | i],  V_i = E[(z-m_i)(z-m_i)^T | i],  S_i = E[(v-ybar_i)(z-m_i) | i].

Affine f and quadratic h: the terms add up to the loss.  Quadratic f and linear h: they leave

    1/m sum_i E[ -(v-ybar_i) (z-m_i)^T Q (z-m_i) | i ] / 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from flint import fmpq

from verify.tiny_laws import Cell, Mask, Number, TinyLaw
from verify.tiny_problems import BetaInt, TinyProblem, Vector, average, mixed

HALF = fmpq(1, 2)
Integrand = Callable[[list[Number], Number], Number]


@dataclass(frozen=True)
class TinyMeanPoint:
    standard: Number
    label: Number
    r2: Number
    r3: Number
    left: Number

    @property
    def total(self) -> Number:
        return self.standard + self.label + self.r2 + self.r3


def mean_point_terms(problem: TinyProblem, law: TinyLaw, ratio: BetaInt, *, faulty: bool = False) -> TinyMeanPoint:
    """The terms for labels weighed by lambda; `faulty` keeps lambda where the second sample leads."""
    halves, m = split_at_half(law), fmpq(len(problem.x))
    terms = TinyMeanPoint(0, 0, 0, 0, 0)
    for i in range(len(problem.x)):
        terms = _added(terms, _of_sample(problem, halves, ratio, i, faulty), m)
    return terms


def split_at_half(law: TinyLaw) -> TinyLaw:
    """The law with its cells cut at lambda = 1/2, where the leading sample changes."""
    cells: list[Cell] = []
    for cell in law.cells:
        edges = [cell.left, HALF, cell.right] if cell.left < HALF < cell.right else [cell.left, cell.right]
        cells += [Cell(a, b, _on(cell.atoms, b <= HALF), cell.analytic) for a, b in pairwise(edges)]
    return TinyLaw(law.name, law.size, tuple(cells), law.polynomial)


def _on(atoms: Callable[[Number], list[tuple[Number, Mask]]], second_leads: bool) -> Callable[..., list]:
    """Atoms whose mask ends with 1 where the second sample leads, 0 where the first does."""
    flag = int(second_leads)
    return lambda lam: [(p, [*mask, flag]) for p, mask in atoms(lam)]


def _of_sample(p: TinyProblem, law: TinyLaw, ratio: BetaInt, i: int, faulty: bool) -> TinyMeanPoint:
    pixels = range(len(p.w))

    def expected(g: Integrand) -> Number:
        def over_partners(lam: Number, flagged: Mask) -> Number:
            *mask, second_leads = flagged
            if second_leads:  # the leading sample's own share is 1-M, its weight 1-lambda
                mask, lam = [1 - v for v in mask], lam if faulty else 1 - lam
            values = (g(mixed(mask, p.x[i], r), lam * p.y[i] + (1 - lam) * y) for r, y in zip(p.x, p.y, strict=True))
            return sum(values) / fmpq(len(p.x))

        return average(law, ratio.density, over_partners)

    point = [expected(lambda z, v, j=j: z[j]) for j in pixels]  # type: ignore[misc]
    label = expected(lambda z, v: v)
    upper = {
        (j, k): expected(lambda z, v, j=j, k=k: (z[j] - point[j]) * (z[k] - point[k]))  # type: ignore[misc]
        for j in pixels
        for k in pixels
        if j <= k
    }
    coupling = [expected(lambda z, v, j=j: (z[j] - point[j]) * (v - label)) for j in pixels]  # type: ignore[misc]
    f, slope = p.f(point), p.gradient(point)
    pairs = [(upper[min(j, k), max(j, k)], j, k) for j in pixels for k in pixels]
    return TinyMeanPoint(
        p.loss(point, label),
        -sum(c * g for c, g in zip(coupling, slope, strict=True)),
        p.q * sum(v * slope[j] * slope[k] for v, j, k in pairs) * HALF,
        (p.p + p.q * f - label) * sum(v * p.Q[j][k] for v, j, k in pairs) * HALF,
        expected(lambda z, v: -(v - label) * _form(p, z, point)) * HALF,
    )


def _form(p: TinyProblem, z: Vector, point: Vector) -> Number:
    away = [a - b for a, b in zip(z, point, strict=True)]
    return sum(away[j] * p.Q[j][k] * away[k] for j in range(len(away)) for k in range(len(away)))


def _added(total: TinyMeanPoint, one: TinyMeanPoint, m: fmpq) -> TinyMeanPoint:
    names = ("standard", "label", "r2", "r3", "left")
    return TinyMeanPoint(*(getattr(total, name) + getattr(one, name) / m for name in names))
