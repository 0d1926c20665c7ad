"""Theorem 2: a mask for a prescribed second moment; which second moments a mask can have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import sympy as sp
import torch
from flint import fmpq, fmpq_mat

from msda_theory.masks import Gaussian
from paper_checks.exact_cases import HALF
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from verify.tiny_laws import box_masks
from verify.tolerances import monte_carlo

LAMBDA = sp.Symbol("lambda", real=True)
DRAWS = 100_000
ROOT = [[fmpq(2, 5), fmpq(-1, 7), fmpq(0)], [fmpq(1, 3), fmpq(1, 2), fmpq(1, 9)], [fmpq(0), fmpq(1), fmpq(-1, 4)]]


def gaussian_gap(mean: sp.Expr, downdate: sp.Expr, size: int = 3) -> set[sp.Expr]:
    """Entries of E[(1-M)(1-M)^T] - A for M = mean 1 + F Z and any root F F^T = A - downdate 1 1^T, E[Z Z^T] = 1."""
    root, noise = sp.Matrix(size, size, sp.symbols(f"F:{size * size}")), sp.Matrix(sp.symbols(f"Z:{size}"))
    gone = sp.ones(size, 1) * (1 - mean) - root * noise
    prescribed = root * root.T + downdate * sp.ones(size, size)
    return {sp.factor(_over_noise(e, noise) - a) for e, a in zip(gone * gone.T, prescribed, strict=True)}


def _over_noise(expression: sp.Expr, noise: sp.Matrix) -> sp.Expr:
    """E over noise with E[Z] = 0 and E[Z_j Z_k] = [j = k]."""
    terms = sp.Poly(expression, *noise).terms()
    return sp.Add(*(c for powers, c in terms if sum(powers) == 0 or max(powers) == 2))


def signs_gap(mean: fmpq, ratio: fmpq) -> fmpq:
    """The largest |entry| of E[(1-M)(1-M)^T] - A with signs for Z, which have its first two moments, summed out."""
    size = len(ROOT)
    gone = [
        [1 - mean - sum((f * z for f, z in zip(row, flip, strict=True)), fmpq(0)) for row in ROOT]
        for flip in product((-1, 1), repeat=size)
    ]
    pairs = list(product(range(size), repeat=2))
    prescribed = {(j, k): sum(ROOT[j][n] * ROOT[k][n] for n in range(size)) + (1 - ratio) ** 2 for j, k in pairs}
    gaps = [sum(n[j] * n[k] for n in gone) / fmpq(len(gone)) - prescribed[j, k] for j, k in pairs]
    return max(gaps, key=abs)


def sampler_deviation(seed: int, ratio: float, shift: float) -> tuple[float, float]:
    """The library's masks: largest |mean of (1-M_j)(1-M_k) - A_jk - shift| over its allowance, both in its units."""
    distance = torch.arange(5.0).double().unsqueeze(-1) - torch.arange(5.0)
    prescribed = (1 - ratio) ** 2 + 0.2 * torch.exp(-(distance**2) / 2)
    law = Gaussian((5,), lambda _: prescribed)
    gone = 1 - law.sample(torch.full((DRAWS,), ratio, dtype=torch.float64), seed)
    products = torch.einsum("nj,nk->njk", gone, gone).flatten(1)
    errors = products.std(0) / DRAWS**0.5
    off = (products.mean(0) - prescribed.flatten() - shift).abs() / errors
    return float(off.max()), monte_carlo(1.0, comparisons=off.numel())


@claim("park2022:thm2", fault="the mean 1-lambda kept in the corrected mask")
def theorem2(trial: Trial) -> Finding:
    printed, ratio = gaussian_gap(1 - LAMBDA, (1 - LAMBDA) ** 2), fmpq(3, 4)
    figures = {
        "printed M: E[(1-M_j)(1-M_k)] - a_jk": ", ".join(map(str, printed)),
        "the same, exactly, lambda = 3/4": str(signs_gap(1 - ratio, ratio)),
    }
    fails = printed == {sp.factor(2 * LAMBDA - 1)} and signs_gap(1 - ratio, ratio) == 2 * ratio - 1
    reason = (
        "M = 1-lambda + K^{1/2} Z, as printed, has E[1-M] = lambda, so E[(1-M_j)(1-M_k)] = a_jk + 2 lambda - 1: right "
        "at lambda = 1/2 alone"
    )
    return Finding(verdict_of(not fails), reason, Evidence("symbolic", figures), _corrected_mask(trial))


def _corrected_mask(trial: Trial) -> Corrected:
    right = gaussian_gap(trial.plant(LAMBDA, 1 - LAMBDA), (1 - LAMBDA) ** 2)
    ratio = fmpq(3, 4)
    exact = signs_gap(trial.plant(ratio, 1 - ratio), ratio)
    off, allowed = sampler_deviation(trial.seed, 0.75, trial.plant(0.0, 0.5))
    figures = {
        "E[(1-M_j)(1-M_k)] - a_jk": ", ".join(map(str, right)),
        "the same, exactly, lambda = 3/4": str(exact),
        f"sampler, largest deviation of {DRAWS} draws in standard errors": off,
        "allowed (false alarm 1e-6)": allowed,
    }
    holds = right == {sp.S.Zero} and exact == 0 and off <= allowed
    statement = "M = lambda 1 + (A - (1-lambda)^2 1 1^T)^{1/2} Z has E[M] = lambda 1 and E[(1-M_j)(1-M_k)] = a_jk"
    return Corrected(statement, verdict_of(holds), Evidence("symbolic", figures))


Rows = Sequence[Sequence[fmpq]]


def form(matrix: Rows, v: Sequence[fmpq]) -> fmpq:
    """v^T A v."""
    return sum((p * a * q for p, row in zip(v, matrix, strict=True) for a, q in zip(row, v, strict=True)), fmpq(0))


def downdated(matrix: Rows, share: fmpq) -> Rows:
    """A - share^2 1 1^T."""
    return [[a - share**2 for a in row] for row in matrix]


def eq_10(n: int, side: int, sampler: str) -> Rows:
    """CutMix's coefficients: the probability that the box covers both pixels."""
    boxes, pixels = box_masks(n, n, (side, side), sampler), range(n * n)
    return [[fmpq(sum(b[j] * b[k] for b in boxes), len(boxes)) for k in pixels] for j in pixels]


def _steepest(matrix: Rows) -> list[fmpq]:
    """1 - t K 1 with the t that makes v^T K v least: below 0 where 1^T K 1 = 0 and K 1 is not 0."""
    slope = [sum(row, fmpq(0)) for row in matrix]
    curvature = form(matrix, slope)
    t = sum(s * s for s in slope) / curvature if curvature > 0 else fmpq(1)
    return [1 - t * s for s in slope]


def _is_positive_definite(matrix: Rows) -> bool:
    """By its leading minors."""
    sizes = range(1, len(matrix) + 1)
    return all(fmpq_mat(k, k, [a for row in matrix[:k] for a in row[:k]]).det() > 0 for k in sizes)


def _no_mask_at_all() -> dict[str, fmpq]:
    """v^T (A - (1-lambda)^2 1 1^T) v for prescribed A: were M a real mask of mean lambda, it would be a variance."""
    alone = [[HALF * (j == k) for k in range(3)] for j in range(3)]
    forms = {"a_jk = [j = k]/2, three pixels, lambda = 1/2, v = 1": form(downdated(alone, HALF), [fmpq(1)] * 3)}
    for sampler in ("printed", "inside"):
        matrix = downdated(eq_10(3, 2, sampler), fmpq(4, 9))
        v = [fmpq(0)] * 8 + [fmpq(1)] if sampler == "printed" else _steepest(matrix)
        forms[f"eq. (10), 3 x 3, box 2 x 2, lambda = 5/9, {sampler}"] = form(matrix, v)
    return forms


def _no_mask_in_unit_interval() -> tuple[bool, dict[str, str]]:
    """N_1 + N_2 + N_3 - N_1 N_2 - N_1 N_3 - N_2 N_3 <= 1 on [0, 1]^3, so that sum_{j<k} a_jk >= 3(1-lambda) - 1.

    The left side is affine in each N_j, and so largest at a vertex.
    """
    highest = max(sum(n) - n[0] * n[1] - n[0] * n[2] - n[1] * n[2] for n in product((0, 1), repeat=3))
    near = fmpq(3, 20)
    matrix = [[HALF if j == k else near for k in range(3)] for j in range(3)]
    needed, given = 3 * HALF - highest, 3 * near
    admissible = _is_positive_definite(downdated(matrix, HALF)) and all(matrix[j][j] <= HALF for j in range(3))
    figures = {
        "in [0, 1]": "three pixels, lambda = 1/2, a_jj = 1/2, a_jk = 3/20: K positive definite, a_jj <= 1-lambda",
        "sum over j<k of a_jk": str(given),
        "at least, for any mask in [0, 1]": str(needed),
    }
    return admissible and given < needed, figures


def variance_gap(share: Callable[[sp.Expr], sp.Expr]) -> sp.Expr:
    """v^T K v - Var(v . (1-M)) for any law of three masks with mean lambda, K = A - share(lambda)^2 1 1^T."""
    p, q, v, w = sp.symbols("p q v w")
    atoms = [sp.symbols("m_1 m_2"), sp.symbols("n_1 n_2")]
    chances = (p, q, 1 - p - q)
    last = tuple((LAMBDA - p * a - q * b) / chances[2] for a, b in zip(*atoms, strict=True))
    along = [v * (1 - a) + w * (1 - b) for a, b in (*atoms, last)]
    second = sum(c * t**2 for c, t in zip(chances, along, strict=True))
    variance = sum(c * (t - (1 - LAMBDA) * (v + w)) ** 2 for c, t in zip(chances, along, strict=True))
    return sp.simplify(second - share(LAMBDA) ** 2 * (v + w) ** 2 - variance)


@claim("park2022:thm2-exists", fault="A - lambda^2 1 1^T for A - (1-lambda)^2 1 1^T in the condition")
def any_second_moment(trial: Trial) -> Finding:
    forms = _no_mask_at_all()
    outside, figures = _no_mask_in_unit_interval()
    fails = all(value < 0 for value in forms.values()) and outside
    reason = (
        "for masks of mean lambda, as sec. 2 has them, and any a_jk, as the summary says: a diagonal A, or eq. (10) "
        "itself, would give a negative variance v^T K v; under Theorem 2's condition there is a real-valued mask, but "
        "none in [0, 1], where the paper's others lie, even where a_jj <= 1-lambda"
    )
    shown = {f"v^T K v, {k}": str(v) for k, v in forms.items()} | figures
    return Finding(verdict_of(not fails), reason, Evidence("exact", shown), _admissible(trial))


def _admissible(trial: Trial) -> Corrected:
    def share(ratio: sp.Expr) -> sp.Expr:
        return trial.plant(1 - ratio, ratio)

    necessary, sufficient = variance_gap(share), gaussian_gap(LAMBDA, share(LAMBDA) ** 2)
    figures = {
        "necessary: v^T K v - Var(v . (1-M))": str(necessary),
        "sufficient: second moment of lambda 1 + K^{1/2} Z, less A": ", ".join(map(str, sufficient)),
    }
    statement = (
        "a real-valued mask with E[M] = lambda 1 and E[(1-M_j)(1-M_k)] = a_jk exists if and only if K = A - "
        "(1-lambda)^2 1 1^T is nonnegative definite: K is the covariance of 1-M, and lambda 1 + K^{1/2} Z has it"
    )
    holds = necessary == 0 and sufficient == {sp.S.Zero}
    return Corrected(statement, verdict_of(holds), Evidence("symbolic", figures))
