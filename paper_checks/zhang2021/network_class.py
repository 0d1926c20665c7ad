"""Theorems A.1 and 3.5: the class of two-layer networks that Manifold Mixup's regulariser bounds.

Reading: Sigma^sigma is the covariance of sigma(Wx) (a sample covariance with 1/n has (n-1)/n of it), the bound is one
on E_S Rad(W, S) as in the proof of Theorem 3.4, L and B are Lemma A.1's Lipschitz constant and range of the loss.
"""

from __future__ import annotations

import math
from itertools import product

import torch
from flint import fmpq
from torch import Tensor, nn

from msda_theory.bounds import (
    Ellipsoid,
    contraction_constant,
    generalisation_gap,
    network_bound,
    rademacher_complexity,
)
from msda_theory.losses import Squared
from paper_checks.counterexamples import load
from paper_checks.counterexamples.recheck import refutes
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from verify.expected_complexity import ellipsoid_complexity, moments
from verify.small_gap import SmallGap
from verify.violations import Search, search

POINTS, INPUTS, UNITS = 4, 2, 2
PARAMETERS = UNITS * (INPUTS + 1) + POINTS * INPUTS
INTERCEPT = 0.5
RANK_TOLERANCE = 1e-9
#: one unit with values 0, 0, 1, 2 and labels of both signs; slopes up to 1/4 and mean outputs up to 1/8
GAP = SmallGap(tuple((fmpq(s), fmpq(y)) for s, y in ((0, -2), (0, 2), (1, 2), (2, -2))), fmpq(1, 4), fmpq(1, 8))
SIZES = (1, 2, 4, 8)
LEVELS = (0.01, 0.1, 0.5, 0.9)


def small_networks(rows: Tensor) -> Tensor:
    """ReLU features (cases, POINTS, UNITS) of rows that hold W, its bias and the points x, uniformly likely."""
    weight, bias, x = rows.split((UNITS * INPUTS, UNITS, POINTS * INPUTS), 1)
    x, weight = x.reshape(-1, POINTS, INPUTS), weight.reshape(-1, UNITS, INPUTS)
    return torch.relu(x @ weight.mT + bias.unsqueeze(1))


def bounded_mean_output(rows: Tensor, intercept: float) -> tuple[Tensor, Tensor]:
    """Complexity of theta_1^T Sigma theta_1 <= 1, |mean output| <= INTERCEPT; and (sqrt(rank) + intercept) / sqrt 2."""
    features = small_networks(rows)
    mean, covariance = moments(features)
    inverse, rank = _pseudo_inverse(covariance)
    lower = ellipsoid_complexity(inverse, features - mean.unsqueeze(1), INTERCEPT)
    return lower, (rank.sqrt() + intercept) / math.sqrt(2)


def no_intercept(rows: Tensor) -> tuple[Tensor, Tensor]:
    """theta_0 = 0 and Sigma of full rank: complexity and sqrt((rank + mu^T Sigma^+ mu) / 2), without the factor 2."""
    features = small_networks(rows)
    mean, covariance = moments(features)
    inverse, rank = _pseudo_inverse(covariance)
    square = rank + torch.einsum("cp,cpq,cq->c", mean, inverse, mean)
    return ellipsoid_complexity(inverse, features), torch.where(rank == UNITS, (square / 2).sqrt(), torch.nan)


def _pseudo_inverse(covariance: Tensor) -> tuple[Tensor, Tensor]:
    rank = torch.linalg.matrix_rank(covariance.detach(), hermitian=True, rtol=RANK_TOLERANCE)
    return torch.linalg.pinv(covariance, hermitian=True, rtol=RANK_TOLERANCE), rank.to(covariance)


def one_unit(values: list[fmpq]) -> tuple[fmpq, fmpq]:
    """Sigma and E_S E_xi |xi_1 s_1 + xi_2 s_2| / 2 of a unit with these values: the complexity, times sqrt(Sigma)."""
    mean = sum(values, fmpq(0)) / len(values)
    variance = sum(((v - mean) ** 2 for v in values), fmpq(0)) / len(values)
    size = sum((abs(a + b) + abs(a - b) for a, b in product(values, repeat=2)), fmpq(0))
    return variance, size / (4 * len(values) ** 2)


def constant_feature() -> tuple[float, float]:
    """x = +-1, W = (1, -1): sigma(x) + sigma(-x) = 1, theta_1 = t (1, 1) costs nothing and Sigma mu = 0.

    The complexity for gamma = 1 and the sample (1, -1), and the printed bound for n = 2.
    """
    covariance = torch.tensor([[1, -1], [-1, 1]], dtype=torch.float64) / 4
    mean, both = torch.full((2,), 0.5, dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    found = rademacher_complexity(Ellipsoid(covariance, 1.0), both).value
    return found, network_bound(1.0, covariance, mean, 2, as_printed=True)


def unlucky_sample() -> tuple[float, float]:
    """sigma = 1 with probability 1/16, else 0; the sample (1, 1): Rad(W, S) of this S, and the printed bound."""
    mean, variance = torch.tensor([1 / 16], dtype=torch.float64), torch.tensor([[15 / 256]], dtype=torch.float64)
    found = rademacher_complexity(Ellipsoid(variance, 1.0), torch.ones(2, 1, dtype=torch.float64)).value
    return found, network_bound(1.0, variance, mean, 2, as_printed=True)


def searched(trial: Trial) -> Search:
    intercept = trial.plant(INTERCEPT, 0.0)
    return search(lambda rows: bounded_mean_output(rows, intercept), PARAMETERS, seed=trial.seed)


@claim("zhang2021:thmA.1", fault="the intercept's term left out of the corrected bound")
def network_class(trial: Trial) -> Finding:
    example, (kernel, finite), (found, bound) = load("zhang2021:thmA.1"), constant_feature(), unlucky_sample()
    variance, size = one_unit([fmpq(1), fmpq(2)])
    combining = size**2 / variance > fmpq(1, 2)
    figures = {
        "counterexample, 10 (1, 1) alone: certified": refutes(example),
        "x = +-1, W = (1, -1), theta_0 = 0: complexity, printed bound": f"{kernel}, {finite:.4f}",
        "empirical complexity of an unlucky sample, printed bound": f"{found:.4f}, {bound:.4f}",
        "sigma in {1, 2}: E_S Rad^2, (gamma rank / n) of the last line": f"{size**2 / variance}, 1/2",
    }
    plain, corrected = search(no_intercept, PARAMETERS, seed=trial.seed), searched(trial)
    figures |= plain.figures("theta_0 = 0, Sigma regular, without the factor 2")
    fails = refutes(example) and math.isinf(kernel) and found > bound and combining
    reason = (
        "theta holds W, theta_0 and theta_1, and theta_0 is free: the supremum is infinite. With theta_0 = 0 and W "
        "fixed it is infinite where mu is not in the range of Sigma, and the printed bound with the pseudo-inverse is "
        "not. With mu in the range it bounds the mean over S (even without the 2; the norm in the proof belongs "
        "inside E_xi, outside it is 0), not the empirical complexity of every S. The line 'Combining all the pieces' "
        "drops mu and fails with theta_0 = 0"
    )
    statement = (
        "for W that does not depend on the sample, theta_1^T Sigma theta_1 <= gamma and |theta_0 + theta_1 . mu| <= "
        "b: E_S Rad <= (sqrt(gamma rank(Sigma)) + b) / sqrt(n), Sigma singular or not. With |theta_0| <= b and mu in "
        "the range of Sigma: sqrt(gamma (rank(Sigma) + |Sigma^(+/2) mu|^2) / n) + b / sqrt(n)"
    )
    holds = corrected.worst <= 0 and plain.worst <= 0
    right = Corrected(statement, verdict_of(holds), Evidence("deterministic", corrected.figures("search, ReLU, n = 2")))
    return Finding(verdict_of(not fails), reason, Evidence("enclosure", figures), right)


def learned_layer(seed: int) -> dict[str, float]:
    """The network of the counterexample: W = 0 on 100 coordinates, those of the samples among them, and 1 elsewhere."""
    n, inputs = 100, 2000
    drawn = torch.randint(0, inputs, (n,), generator=torch.Generator().manual_seed(seed))
    order = torch.cat([drawn.unique(), torch.arange(inputs)])
    first = torch.zeros(inputs, dtype=torch.bool).scatter(0, order[:n], True)
    spare = (~first).nonzero().flatten()[: n - int(first.sum())]
    layer = nn.Linear(inputs, 1, bias=False, dtype=torch.float64)
    layer.weight.data = 1 - (first.scatter(0, spare, True)).double().unsqueeze(0)
    x = torch.eye(inputs, dtype=torch.float64)
    with torch.no_grad():
        f = torch.relu(layer(x))
    mean, variance = f.mean(0), f.var(0, correction=0).reshape(1, 1)
    complexity = network_bound(0.05, variance, mean, n, as_printed=True)
    return {
        "L": float(f.square().mean()),
        "L_n": float(f[drawn].square().mean()),
        "theta_1^T Sigma theta_1": float(variance),
        "printed bound on L, delta = 1/20": 2 * 2 * complexity + math.sqrt(math.log(20) / (2 * n)),
    }


@claim("zhang2021:thm3.5", fault="the Lipschitz constant of t - y, not of its square")
def network_generalisation(trial: Trial) -> Finding:
    example, learned = load("zhang2021:thm3.5"), learned_layer(trial.seed)
    bound = learned["printed bound on L, delta = 1/20"]
    fails = refutes(example) and learned["L"] > bound > learned["L_n"] and learned["theta_1^T Sigma theta_1"] <= 0.05
    figures = {"counterexample certified": refutes(example), **learned}
    reason = (
        "theta holds W: the first layer may depend on the sample, and Sigma and mu of that W know nothing of it. x "
        "uniform on 2000 unit vectors, y = 0, n = 100, one unit, W in [0, 1]^2000, theta_1 = 1: for every sample a W "
        "with theta_1^T Sigma theta_1 <= 1/20 is 0 on it and 1 on 95 % of the law. No L and B that do not grow with n "
        "and d help: 4L + B sqrt(log(1/delta)/2) <= sqrt(n)/2 and d = 20 n give the same. (If L may depend on "
        "everything, the statement says nothing.) For a fixed W, theta_0 is missing as in Theorem A.1"
    )
    return Finding(verdict_of(not fails), reason, Evidence("enclosure", figures), _for_fixed_layer(trial))


def _for_fixed_layer(trial: Trial) -> Corrected:
    """Over all samples of a small law: E sup (L - L_n) <= 2 L Rad, and the tail at several delta."""
    output = float(GAP.largest_output)
    lipschitz = trial.plant(2 * contraction_constant(Squared(), output, (-2.0, 2.0)), 1.0)
    gamma = float(GAP.largest_slope**2 * GAP.variance)
    covariance = torch.tensor([[float(GAP.variance)]], dtype=torch.float64)
    zero, level = torch.zeros(1, dtype=torch.float64), float(GAP.largest_level)
    ratios, tails = [], []
    for n in SIZES:
        complexity = network_bound(gamma, covariance, zero, n, intercept=level)
        ratios.append(float(GAP.mean_supremum(n)) / (2 * lipschitz * complexity))
        tails += [
            (delta, float(GAP.exceeds(n, generalisation_gap(complexity, lipschitz, output, n, delta))))
            for delta in LEVELS
        ]
    found = search(lambda rows: bounded_mean_output(rows, INTERCEPT), PARAMETERS, seed=trial.seed)
    figures = {
        "E sup (L - L_n) over 2 L Rad, every sample of size 1, 2, 4, 8": ", ".join(f"{r:.3f}" for r in ratios),
        "largest P(sup > bound) - delta": max(p - delta for delta, p in tails),
        **found.figures("complexity, ReLU, n = 2"),
    }
    holds = max(ratios) <= 1 and all(p <= delta for delta, p in tails) and found.worst <= 0
    statement = (
        "for W fixed before the sample, theta_1^T Sigma theta_1 <= gamma, |theta_0 + theta_1 . mu| <= b, |f| <= T and "
        "|y| <= Y, with probability >= 1 - delta for all of them: L(theta) <= L_n(theta) + 2L (sqrt(gamma "
        "rank(Sigma)) + b) / sqrt(n) + B sqrt(log(1/delta) / (2n)), L = 2 (T + Y) and B = 4T (T + Y) (the loss less "
        "y^2)"
    )
    return Corrected(statement, verdict_of(holds), Evidence("deterministic", figures))
