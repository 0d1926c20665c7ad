"""Is sigma^2/thetabar^2 what to maximise, for Mixup to regularise more?"""

from __future__ import annotations

from typing import Any

import sympy as sp
from flint import fmpq

from paper_checks.carratino2022.tiny import UNIFORM, Share, TinyMixup, trace
from paper_checks.exact_cases import HALF
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim

BETA_2 = Share.of_beta(2)
#: the maximiser of sigma^2/thetabar^2, and the law that has none of it: lambda always 1/2
MAXIMISER = Share.of_atoms([(HALF, fmpq(2, 3)), (fmpq(1), fmpq(1, 3))])
ALWAYS_HALF = Share.of_atoms([(HALF, fmpq(1))])
PAIRS = {
    "Beta(2, 2) against Beta(1, 1)": (BETA_2, UNIFORM),
    "always 1/2 against the maximiser": (ALWAYS_HALF, MAXIMISER),
}
SAMPLES = [[fmpq(0), fmpq(1)], [fmpq(2), fmpq(0)], [fmpq(1), fmpq(3)], [fmpq(-1), fmpq(1)]]
LABELS = [[1, 0], [0, 1], [0, 1], [1, 0]]


def mean_trace(theta: Share) -> fmpq:
    """1/n sum_i tr Sigma_xx^(i), sample by sample."""
    data = TinyMixup(SAMPLES, LABELS, theta)
    return sum((trace(data.covariance(i, "x", "x")) for i in range(4)), fmpq(0)) / 4


def label_trace(theta: Share) -> fmpq:
    """1/n sum_i tr(Sigma_yx Sigma_xy)."""
    crosses = [TinyMixup(SAMPLES, LABELS, theta).covariance(i, "x", "y") for i in range(4)]
    return sum((trace(c.transpose() * c) for c in crosses), fmpq(0)) / 4


def held_trace(theta: Share) -> fmpq:
    """The mean trace where the x~_i are held fixed, and not the x_i: that over thetabar^2."""
    return mean_trace(theta) / theta.mean**2


def even_r3(theta: Share) -> fmpq:
    """|R3| = R1 of a network that gives each of the two classes 1/2: sum_k K_kk, in the mean."""
    data = TinyMixup(SAMPLES, LABELS, theta)
    return sum((trace(data.explained(i)) for i in range(4)), fmpq(0)) / 4


@claim("carratino2022:objective", fault="sigma^2 for 2 sigma^2 in the mean strength")
def objective(trial: Trial) -> Finding:
    measures = {
        "tr Sigma_xx": mean_trace,
        "tr Sigma_xx, x~ held": held_trace,
        "tr(Sigma_yx Sigma_xy)": label_trace,
        "R1 = -R3, constant network": even_r3,
    }
    figures: dict[str, Any] = {"x": str(SAMPLES), "y": str(LABELS)}
    against = []
    for name, (one, other) in PAIRS.items():
        figures[f"sigma^2/thetabar^2, {name}"] = f"{one.printed_ratio} < {other.printed_ratio}"
        figures |= {
            f"{what}, {name}": f"{float(of(one)):.5g} > {float(of(other)):.5g}" for what, of in measures.items()
        }
        against += [one.printed_ratio < other.printed_ratio, *(of(one) > of(other) for of in measures.values())]
    reason = (
        "x~_i - xbar = thetabar (x_i - xbar), so thetabar^2 cancels: Sigma_xx^(i) = sigma^2 (x_i - xbar)(x_i - xbar)^T "
        "+ gamma^2 Sigma_xx, and gamma^2 has (1 - thetabar)^2 as well. sigma^2/thetabar^2 is largest, 1/8, at a law "
        "with less of every trace than lambda = 1/2, where it is 0; Beta(2, 2) has less of it than Beta(1, 1), and "
        "more of the rest"
    )
    return Finding(verdict_of(not all(against)), reason, Evidence("exact", figures), _strength(trial))


def _strength(trial: Trial) -> Corrected:
    mean, var, t = sp.symbols("thetabar sigma2 theta", real=True)
    factor = trial.plant(2, 1)
    strength = factor * var + (1 - mean) ** 2
    largest = (1 - mean) * (mean - sp.S.Half)
    moments = {t**2: var + mean**2, t: mean}
    bound = sp.expand(sp.expand((1 - t) * (t - sp.S.Half)).subs(moments, simultaneous=True) - (largest - var))
    top = sp.expand(strength.subs(var, largest) - mean * (1 - mean))
    ratio = largest / mean**2
    stationary = sp.solve(sp.diff(ratio, mean), mean)
    laws = (UNIFORM, BETA_2, MAXIMISER, ALWAYS_HALF, Share(UNIFORM.mean, fmpq(1, 32)))
    spread = mean_trace(ALWAYS_HALF) * 4
    gaps = [mean_trace(s) - (factor * s.var + (1 - s.mean) ** 2) * spread for s in laws]
    figures = {
        "E(1-theta)(theta-1/2) less ((1-thetabar)(thetabar-1/2) - sigma^2)": str(bound),
        "strength at the largest variance, less thetabar(1-thetabar)": str(top),
        "sigma^2/thetabar^2 is largest at thetabar": f"{stationary}, where it is {ratio.subs(mean, stationary[0])}",
        "mean trace less strength times tr Sigma_xx, five laws, exact": ", ".join(map(str, gaps)),
    }
    holds = bound == 0 and top == 0 and all(g == 0 for g in gaps) and stationary == [sp.Rational(2, 3)]
    statement = (
        "1/n sum_i tr Sigma_xx^(i) = (sigma^2 + gamma^2) tr Sigma_xx with sigma^2 + gamma^2 = 2 sigma^2 + "
        "(1-thetabar)^2 <= thetabar (1-thetabar) <= 1/4, and likewise for the labels: at a given thetabar it grows "
        "with sigma^2 and is largest for theta in {1/2, 1}; over all laws, where lambda is always 1/2"
    )
    return Corrected(statement, verdict_of(holds), Evidence("symbolic", figures))
