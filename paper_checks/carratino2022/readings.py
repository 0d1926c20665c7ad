"""The slides' readings of R1, R2 and R3 ("this term does ..."), on exact examples and on trained networks.

The slides give no threshold.  Ours: one quantity grows with another if their rank correlation over the samples is at
least 1/2, and a step down a term lowers or raises something if its first-order change does, each in the median over
five seeds, on both data sets, for networks trained without augmentation and with Mixup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy as sp
from flint import fmpq, fmpq_mat

from paper_checks.carratino2022.bounds import AXES, LINE
from paper_checks.carratino2022.inequalities import softmax_curvature
from paper_checks.carratino2022.networks import SEEDS, bending, correlations, cosines, growth, means, over_seeds, shown
from paper_checks.carratino2022.tiny import Share, TinyMixup, curvature, curvature_inverse, entropy, trace
from paper_checks.exact_cases import HALF, readable
from paper_checks.findings import DEPENDS, FAILS, HOLDS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from verify.training_runs import Spread

GROWS = 0.5
THRESHOLD = {"grows means": f"rank correlation >= {GROWS}, median of {SEEDS} seeds, each data set and training"}
EVEN, SURE = [HALF, HALF], [fmpq(9, 10), fmpq(1, 10)]
#: three samples on a line, each of its own class; averages of pairs alone
THREE = TinyMixup([[fmpq(2)], [fmpq(-1)], [fmpq(-1)]], [[1, 0, 0], [0, 1, 0], [0, 0, 1]], Share(HALF, fmpq(0)))
ATOMS = [(HALF, fmpq(2, 3)), (fmpq(1), fmpq(1, 3))]
HESSIANS = [fmpq_mat([[1, 0], [0, 0]]), fmpq_mat([[0, 1], [1, 0]]), fmpq_mat([[0, 0], [0, 1]])]
LOPSIDED, UNIFORM_3 = [HALF, fmpq(1, 4), fmpq(1, 4)], [fmpq(1, 3)] * 3
TWO_LIKELY, ONE_LIKELY = [fmpq(49, 100), fmpq(49, 100), fmpq(1, 50)], [fmpq(7, 10), fmpq(3, 20), fmpq(3, 20)]


def grows(spreads: dict[str, Spread]) -> bool:
    return all(s.median >= GROWS for s in spreads.values())


def falls(spreads: dict[str, Spread], below: float) -> bool:
    return all(s.median < below for s in spreads.values())


def least_squares_gaps(*, curved: bool) -> set[sp.Expr]:
    """Sigma_yx - H J Sigma_xx for J = H+ Sigma_yx Sigma_xx^-1 (without H+ if not `curved`): {0} makes J least squares.

    For whatever weight W, E |W^(1/2) (eps - H G delta)|^2 has the gradient -2 H W (Sigma_yx - H G Sigma_xx) in G.
    """
    _, h, inverse = softmax_curvature(3)
    a, b, c = sp.symbols("a b c", positive=True)
    inputs = sp.Matrix([[a, b], [b, c]])
    free = sp.Matrix(2, 2, sp.symbols("s:4", real=True))
    labels = sp.Matrix.vstack(free, -sp.ones(1, 2) * free)  # eps sums to zero
    target = (inverse if curved else sp.eye(3)) * labels * inputs.inv()
    return {sp.cancel(entry) for entry in labels - h * target * inputs}


def constant_r1(data: TinyMixup, p: Sequence[fmpq]) -> fmpq:
    """R1_i = -R3_i = tr(K H+)/2 of the first sample, for a network that gives p everywhere."""
    return trace(data.explained(0) * curvature_inverse(p)) / 2


@claim("carratino2022:r1-reading", fault="J without the inverse of H")
def r1_reading(trial: Trial) -> Finding:
    values, weights = (over_seeds(correlations, f"entropy, {name}", trial.seed) for name in ("R1_i", "weight"))
    gaps = least_squares_gaps(curved=not trial.faulty)
    even, sure = constant_r1(LINE, EVEN), constant_r1(LINE, SURE)
    figures: dict[str, Any] = {
        "Sigma_yx - H J Sigma_xx": ", ".join(map(str, gaps)),
        "R1_i of a constant network on x = 0, 1, lambda uniform, S = (1/2, 1/2)": str(even),
        "the same, S = (9/10, 1/10), of lower entropy": str(sure),
        "entropy and tr H, S = (49, 49, 2)/100": f"{readable(entropy(TWO_LIKELY))}, {trace(curvature(TWO_LIKELY))}",
        "entropy and tr H, S = (70, 15, 15)/100": f"{readable(entropy(ONE_LIKELY))}, {trace(curvature(ONE_LIKELY))}",
    }
    figures |= THRESHOLD | shown("rank correlation of entropy and R1_i", values)
    figures |= shown("rank correlation of entropy and tr Sigma_xx tr H", weights)
    reason = (
        'J is the least-squares regression of eps on H delta, under every weight, with H+ for H^-1. "Stronger" as '
        "the weight on a Jacobian away from J, H times Sigma_xx: true, tr Sigma_xx tr H goes with the entropy (tr H "
        "increases with it for two classes, for three not always). As the value of R1_i: false, it contains tr(K "
        "H+)/2, which grows as the entropy falls; an exact example and the trained networks go the other way"
    )
    by_value = grows(values) and sure <= even
    true = gaps == {sp.S.Zero} and grows(weights)
    verdict = FAILS if not true else HOLDS if by_value else DEPENDS
    return Finding(verdict, reason, Evidence("empirical", figures))


def bent_r2(size: fmpq) -> fmpq:
    """R2 of f = (s x_1 (x_1 - 1), 0) on AXES, where f = 0 at every x~_i and the Laplacian is 2 s."""
    inner = [2 * size * (HALF - AXES.modified_label(i)[0]) * AXES.covariance(i, "x", "x")[0, 0] for i in range(3)]
    return sum(inner, fmpq(0)) / 6


@claim("carratino2022:r2-reading", fault="y~ - S for S - y~ in the slope")
def r2_reading(trial: Trial) -> Finding:
    harder, same = (
        over_seeds(correlations, f"|S - y~|{name}", trial.seed) for name in (", |R2_i|", " at x~, EL2N at x")
    )
    values = {s: bent_r2(fmpq(s)) for s in (0, 1, 10)}
    figures: dict[str, Any] = {
        f"R2, f = (s x_1 (x_1 - 1), 0), Laplacian 2s, s = {s}": str(v) for s, v in values.items()
    }
    figures |= THRESHOLD | shown("rank correlation of |S - y~| and |R2_i|", harder)
    figures |= shown("rank correlation of |S - y~| at x~_i and EL2N at x_i", same)
    rises = over_seeds(bending, "Laplacian, -R2", trial.seed)
    figures |= shown("cosine of a step down R2 and the gradient of the mean squared Laplacian", rises)
    drives_away = values[10] < values[1] < values[0] == 0
    reason = (
        "R2 is linear in the Hessian, so that no Hessian is its minimum: in the exact example it falls without bound "
        "as the Laplacian grows from 0, and nothing else but R1 changes. |S - y~| is no score of hardness at the mixed "
        "point: it is 0 where the network predicts the mixed label, and (1 - thetabar) |y_i - ybar| where it is sure "
        "and right"
    )
    holds = not drives_away and falls(rises, 0) and grows(harder) and grows(same)
    return Finding(verdict_of(holds), reason, Evidence("exact", figures), _r2_slope(trial))


def _r2_slope(trial: Trial) -> Corrected:
    """The term in the Hessian of f_1, summed over theta and j, against its slope, for a basis of Hessians."""
    sign = trial.plant(1, -1)
    data = TinyMixup(AXES.x, AXES.y, Share.of_atoms(ATOMS))
    gaps = [
        _summed_out(data, i, p, hessian) - sign * (p - data.modified_label(i)[0]) * _inner(data, i, hessian) / 2
        for i in range(3)
        for p in (HALF, fmpq(9, 10))
        for hessian in HESSIANS
    ]
    figures = {"gaps": len(gaps), "largest gap": str(max(gaps, key=abs))}
    statement = (
        "R2 is linear in the Hessians, with the slope (S_k - y~_k) Sigma_xx^(i) / 2n in that of f_k at x~_i, and has "
        "no minimum in them: a step down it lowers the second derivatives of f_k, and their Laplacian, where class k "
        "is overpredicted, and raises them where it is underpredicted, whatever they are"
    )
    return Corrected(statement, verdict_of(all(gap == 0 for gap in gaps)), Evidence("exact", figures))


def _summed_out(data: TinyMixup, i: int, p: fmpq, hessian: fmpq_mat) -> fmpq:
    """(S_1 - y~_1) E delta^T A delta / 2 over the atoms of theta and the partners, for S_1 = p."""
    forms = [chance * (delta.transpose() * hessian * delta)[0, 0] for chance, delta in data.moves(i, ATOMS)]
    return (p - data.modified_label(i)[0]) * sum(forms, fmpq(0)) / (2 * len(data.x))


def _inner(data: TinyMixup, i: int, hessian: fmpq_mat) -> fmpq:
    return trace(data.covariance(i, "x", "x") * hessian)


@claim("carratino2022:r3-reading", fault="R3 with tr(K H), as on the slide, for R1 + R3")
def r3_reading(trial: Trial) -> Finding:
    lowers, entropies = over_seeds(cosines, "entropy, -R3", trial.seed), over_seeds(means, "entropy", trial.seed)
    value = over_seeds(growth, "r1", trial.seed)
    three = {name: -constant_r1(THREE, p) for name, p in (("(2, 1, 1)/4", LOPSIDED), ("(1, 1, 1)/3", UNIFORM_3))}
    figures: dict[str, Any] = {f"R3_i, three classes on a line, S = {name}": str(v) for name, v in three.items()}
    figures |= shown("cosine of a step down R3 and the gradient of the mean entropy", lowers)
    figures |= shown("R1 after training over before", value) | shown("mean entropy at x~", entropies)
    holds = three["(1, 1, 1)/3"] > three["(2, 1, 1)/4"] and falls(lowers, 0) and falls(value, 1)
    reason = (
        "R3 = -1/2n sum_i sum_k K_kk/S_k drives the least S_k to 0, which for two classes lowers the entropy of the "
        "sample; for three R3 can fall as the entropy rises. R1 contains -R3, and does not fade: it grows in training, "
        "with Mixup and more so without. Networks trained with Mixup have more entropy at x~ than those without it, "
        "not less"
    )
    return Finding(verdict_of(holds), reason, Evidence("empirical", figures), _merged_step(trial))


def _merged_step(trial: Trial) -> Corrected:
    """The square multiplied out: H J Sigma_xx = Sigma_yx, so that tr(H J Sigma_xx J^T) = tr(K H+) in R1 and -R3."""
    gaps = least_squares_gaps(curved=True)
    lowers = over_seeds(cosines, f"entropy, -{trial.plant('R1 + R3', 'printed R3')}", trial.seed)
    weight = over_seeds(growth, "weight", trial.seed)
    figures: dict[str, Any] = {"Sigma_yx - H J Sigma_xx": ", ".join(map(str, gaps))}
    figures |= shown("cosine of a step down R1 + R3 and the gradient of the mean entropy", lowers)
    figures |= shown("tr Sigma_xx tr H after training over before", weight)
    statement = (
        "R1 + R3 = 1/n sum_i tr(H G Sigma_xx G^T)/2 - tr(G Sigma_xy), G = nabla f(x~_i): the terms in 1/S cancel, and "
        "what is left of the prediction is its H. A step down the sum lowers the mean entropy of the trained networks, "
        "and the weight of Jacobians in it, tr Sigma_xx tr H, falls in training"
    )
    holds = gaps == {sp.S.Zero} and falls(lowers, 0) and falls(weight, 1)
    return Corrected(statement, verdict_of(holds), Evidence("empirical", figures))
