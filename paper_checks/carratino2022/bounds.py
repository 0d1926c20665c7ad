"""The slides' bounds on R1, R2 and R3 of the cross-entropy: each step, and what holds where one does not.

H = diag(S) - S S^T has no inverse (H 1 = 0); where the slides print one, the Moore-Penrose inverse H+ is read, as
Corollary 4 needs.  A bound with J in it is checked for any matrix in the place of nabla f - J.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy as sp
import torch
from flint import arb, fmpq

from paper_checks.carratino2022.inequalities import (
    entropy_is_above,
    explained_gap,
    hessian_ratios,
    penrose_gaps,
    trace_of_product_gap,
    trace_product_gap,
)
from paper_checks.carratino2022.tiny import UNIFORM, TinyMixup, curvature, curvature_inverse, entropy, trace
from paper_checks.exact_cases import HALF, readable
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from verify.tolerances import rounding

#: two samples on a line, and three whose modified inputs lie on the axes of the plane; labels one-hot
LINE = TinyMixup([[fmpq(0)], [fmpq(1)]], [[0, 1], [1, 0]], UNIFORM)
AXES = TinyMixup.about([[1, 0], [0, 1], [0, 0]], [[1, 0], [1, 0], [0, 1]], UNIFORM)
PREDICTIONS = [[p, 1 - p] for p in (fmpq(1, 100), fmpq(1, 10), fmpq(1, 3), HALF, fmpq(4, 5))]
TIGHT = 0.99


@claim("carratino2022:r1-bound", fault="half of the product of the traces")
def r1_bound(trial: Trial) -> Finding:
    """tr(Sigma B^T H B) <= tr Sigma tr(H B B^T) <= tr Sigma tr H tr(B B^T), and tr H <= entropy."""
    gaps = {size: trace_product_gap(size, trial.plant(sp.S.One, sp.S.Half)) for size in (2, 3, 4)}
    above = entropy_is_above()
    even = [HALF, HALF]
    figures = {
        "tr A tr B - tr AB less squares, A, B >= 0 of size 2, 3, 4": ", ".join(map(str, gaps.values())),
        "-log p >= 1 - p on (0, 1]": above,
        "bound over value, Sigma and B rank one and aligned, p = (1/2, 1/2)": readable(
            entropy(even) / trace(curvature(even))
        ),
    }
    reason = (
        "both lines are tr AB <= tr A tr B for positive semidefinite A, B, whatever stands for nabla f - J; tr H = "
        "1 - sum_k p_k^2 <= entropy since -log p >= 1 - p (natural logarithms or bits)"
    )
    holds = above and all(gap == 0 for gap in gaps.values())
    return Finding(verdict_of(holds), reason, Evidence("symbolic", figures))


def harmonic_terms() -> tuple[list[fmpq], fmpq]:
    """<Sigma^(i), sum_k v_k nabla^2 f_k> of each sample and R2, for f = (x_1 x_2, 0) on AXES: the Laplacians are 0.

    f = 0 at every x~_i, so that S = (1/2, 1/2).
    """
    inner = [2 * (HALF - AXES.modified_label(i)[0]) * AXES.covariance(i, "x", "x")[0, 1] for i in range(3)]
    return inner, sum(inner, fmpq(0)) / 6


@claim("carratino2022:r2-bound", fault="the Laplacians kept in the corrected bound")
def r2_bound(trial: Trial) -> Finding:
    inner, r2 = harmonic_terms()
    figures = {
        "x": str(AXES.x),
        "y": str(AXES.y),
        "lambda": "uniform",
        "f": "(x_1 x_2, 0), Laplacians 0",
        "inner products": ", ".join(map(str, inner)),
        "R2": str(r2),
        "printed bounds": "0",
    }
    fails = r2 > 0 and any(value > 0 for value in inner)
    reason = (
        "the first step, tr(Sigma A) <= tr Sigma tr A, needs A = (S - y~)^T nabla^2 f to be positive semidefinite, and "
        "a Hessian is not: for a harmonic f the bound is 0 and R2 is not"
    )
    return Finding(verdict_of(not fails), reason, Evidence("exact", figures), _operator_norm_bound(trial))


def _operator_norm_bound(trial: Trial) -> Corrected:
    identity = trace_of_product_gap(3), trace_product_gap(3)
    largest = float(hessian_ratios(laplacians=trial.faulty, seed=trial.seed).max())
    slack = rounding(torch.float64, 1.0, 100)
    figures = {
        "tr AB - |U^T V|^2": str(identity[0]),
        "|u|^2 |v|^2 - (u . v)^2 less squares": str(identity[1]),
        "largest value over bound, gradient ascent from 32 starts": largest,
    }
    holds = identity == (0, 0) and TIGHT <= largest <= 1 + slack
    statement = (
        "|<Sigma, (S - y~)^T nabla^2 f>| <= tr Sigma |S - y~| (sum_k ||nabla^2 f_k||^2)^(1/2), ||.|| the largest "
        "|eigenvalue|: tr Sigma (s - A) >= 0 where s >= A, then Cauchy-Schwarz. The printed first step holds where "
        "(S - y~)^T nabla^2 f is positive semidefinite"
    )
    return Corrected(statement, verdict_of(holds), Evidence("symbolic", figures))


def _named(p: Sequence[fmpq]) -> str:
    return f"S = ({', '.join(map(str, p))})"


@claim("carratino2022:r3-equality", fault="K_kk S_k for K_kk / S_k")
def r3_equality(trial: Trial) -> Finding:
    pairs = [(_value(LINE, 0, p), trace(LINE.explained(0) * curvature(p))) for p in PREDICTIONS]
    figures = {f"left, right, {_named(p)}": f"{a}, {b}" for p, (a, b) in zip(PREDICTIONS, pairs, strict=True)}
    fails = all(a != b for a, b in pairs)
    reason = (
        "H^(-1/2) on both sides of K = Sigma_yx Sigma_xx^-1 Sigma_xy makes H^-1 under the trace, and the second line "
        "has H (and H^-1 does not exist, for H 1 = 0: with H+ the two sides differ by a factor of (2 p(1-p))^2 for two "
        "classes)"
    )
    data = {"x": str(LINE.x), "y": str(LINE.y), "lambda": "uniform"}
    return Finding(verdict_of(not fails), reason, Evidence("exact", data | figures), _inverse_kept(trial))


def _inverse_kept(trial: Trial) -> Corrected:
    power = trial.plant(-1, 1)
    gap, penrose = explained_gap(3, power), penrose_gaps(3)
    exact = all(
        _value(LINE, 0, p) == sum(LINE.explained(0)[k, k] * v**power for k, v in enumerate(p)) for p in PREDICTIONS
    )
    figures = {
        "tr(K H+) - sum_k K_kk / S_k, three classes": str(gap),
        "Penrose conditions of P diag(1/S) P": str(sorted(penrose)),
        "equal on the five examples": exact,
    }
    statement = (
        "|| Sigma_xy H^(-1/2) ||^2 = tr(K H+) = sum_k K_kk / S_k, with K = Sigma_yx Sigma_xx+ Sigma_xy and H+ = P "
        "diag(1/S) P, P = I - 1 1^T / c, labels that sum to one: R3 = -1/2n sum_i sum_k K_kk^(i) / S_k(f(x~_i))"
    )
    return Corrected(statement, verdict_of(gap == 0 and penrose == {0} and exact), Evidence("symbolic", figures))


@claim("carratino2022:r3-bound", fault="the largest S_k for the smallest in the corrected bound")
def r3_bound(trial: Trial) -> Finding:
    found = {_named(p): (_value(LINE, 0, p), arb(_label_factor(LINE, 0)) * entropy(p)) for p in PREDICTIONS}
    figures = {f"value, printed bound, {name}": f"{v}, {readable(b)}" for name, (v, b) in found.items()}
    fails = all(b < v for v, b in found.values())
    reason = (
        "the bound follows from the line before, where H stands for H^-1, and is false with it: R3 grows as the "
        "entropy falls. For two classes on a line the value is K_11 / p(1-p) >= 4 K_11, the bound 2 K_11 entropy <= "
        "1.39 K_11, at every p"
    )
    data = {"x": str(LINE.x), "y": str(LINE.y), "lambda": "uniform"}
    return Finding(verdict_of(not fails), reason, Evidence("enclosure", data | figures), _both_sides(trial))


def _both_sides(trial: Trial) -> Corrected:
    """tr K = tr(H H+ K) <= tr H tr(H+ K); K_kk >= 0 in the closed form; tr K <= tr Sigma_xx+ tr Sigma_yx Sigma_xy."""
    identity = trace_product_gap(3) == 0 and explained_gap(3) == 0 and entropy_is_above()
    cases = [(data, i, p) for data in (LINE, AXES) for p in PREDICTIONS for i in range(len(data.x))]
    inside = [_lower(*case) <= _value(*case) <= _upper(*case, trial.plant(min, max)) for case in cases]
    even = (LINE, 0, PREDICTIONS[3])
    figures = {
        "tr AB <= tr A tr B, tr(K H+) = sum_k K_kk / S_k, tr H <= entropy": identity,
        "exact examples inside both bounds": f"{sum(inside)} of {len(inside)}",
        "upper bound over value on the line, S = (1/2, 1/2)": str(_upper(*even, min) / _value(*even)),
        "lower bound over value there": readable(_lower(*even) / _value(*even)),
    }
    statement = (
        "tr K / entropy(S) <= || Sigma_xy H^(-1/2) ||^2 <= tr(Sigma_yx Sigma_xy) tr(Sigma_xx+) / min_k S_k with K = "
        "Sigma_yx Sigma_xx+ Sigma_xy: the entropy bounds R3 from the other side, and the least S_k stands for it above"
    )
    return Corrected(statement, verdict_of(identity and all(inside)), Evidence("symbolic", figures))


def _value(data: TinyMixup, i: int, p: Sequence[fmpq]) -> fmpq:
    """tr(K H+)."""
    return trace(data.explained(i) * curvature_inverse(p))


def _lower(data: TinyMixup, i: int, p: Sequence[fmpq]) -> arb:
    return arb(trace(data.explained(i))) / entropy(p)


def _upper(data: TinyMixup, i: int, p: Sequence[fmpq], of: Callable[[Sequence[fmpq]], fmpq]) -> fmpq:
    return _label_factor(data, i) / of(p)


def _label_factor(data: TinyMixup, i: int) -> fmpq:
    """tr(Sigma_yx Sigma_xy) tr(Sigma_xx^-1)."""
    cross = data.covariance(i, "x", "y")
    return trace(cross.transpose() * cross) * trace(data.covariance(i, "x", "x").inv())
