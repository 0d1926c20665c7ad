"""Lemma 3.4: Mixup of the hidden layer of a two-layer ReLU network, squared loss, over rational numbers.

Where features and labels are mixed alike and f is affine in the features, the residual of a mixed pair is the mixed
residual, lambda e_i + (1-lambda) e_j.  So, with c = E_D[lambda (1-lambda)],

    L_mix = (1 - 2c) (1/n) sum_i e_i^2 + 2c ((1/n) sum_i e_i)^2 = L_std - 2c (variance of the residuals).
"""

from __future__ import annotations

from itertools import product

from flint import fmpq

from paper_checks.exact_cases import RATIOS as ALL_RATIOS
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.coefficients import largest
from paper_checks.registry import claim
from paper_checks.tiny_network import TinyNetwork, dot, quadratic_form, tiny_network
from paper_checks.zhang2021.rescaled import RATIOS, odds_share, rescaled_average
from verify.tiny_laws import Number, mixup
from verify.tiny_problems import BetaInt, average, mixed


def manifold_loss(net: TinyNetwork, ratio: BetaInt) -> fmpq:
    """E (1/n^2) sum_ij (lambda y_i + (1-lambda) y_j - f(lambda s_i + (1-lambda) s_j))^2, pair by pair."""
    samples = list(zip(net.features, net.y, strict=True))

    def at(lam: Number, _: object) -> Number:
        total: Number = 0
        for (s, y), (r, z) in product(samples, repeat=2):
            f = dot(net.theta, mixed([lam] * len(s), s, r)) + net.bias
            total = total + (lam * y + (1 - lam) * z - f) ** 2
        return total / fmpq(len(samples) ** 2)

    return average(mixup(1), ratio.density, at)


def rescaled_head_loss(net: TinyNetwork, ratio: BetaInt) -> fmpq:
    """E (1/n^2) sum_ir (y_i - theta.(s_i - sbar + (1-lambda)/lambda (s_r - sbar)) - bias)^2: the proof's covariates."""
    pairs = [(s, y, r) for s, y in zip(net.centred, net.y, strict=True) for r in net.centred]

    def at(lam: Number) -> Number:
        points = ((dot(net.theta, mixed([lam] * len(s), s, r)), y) for s, y, r in pairs)
        return sum((lam * (y - net.bias) - u) ** 2 for u, y in points) / fmpq(len(pairs))

    return rescaled_average(ratio, 1, at)


def shrunk_variance(net: TinyNetwork, ratio: BetaInt, trial: Trial) -> Number:
    """L_std - 2 E_D[lambda (1-lambda)] (1/n) sum_i (e_i - ebar)^2.  Planted: c for 2c."""
    total, e = ratio.a + ratio.b, net.residuals(net.features)
    c = fmpq(ratio.a * ratio.b, total * (total + 1))
    mean = sum(e) / fmpq(len(e))
    return net.standard_loss(net.features) - trial.plant(2, 1) * c * sum((v - mean) ** 2 for v in e) / fmpq(len(e))


def slopes(net: TinyNetwork, ratio: BetaInt) -> list[Number]:
    """The gradient of the enumerated Mixup loss in (theta_1, theta_0): central differences, exact for a quadratic."""
    size = len(net.theta) + 1
    steps = [[fmpq(int(j == k)) for k in range(size)] for j in range(size)]
    return [
        (manifold_loss(net.moved(step), ratio) - manifold_loss(net.moved([-v for v in step]), ratio)) / fmpq(2)
        for step in steps
    ]


def corrected_head(trial: Trial) -> Corrected:
    net = tiny_network()
    gaps = [manifold_loss(net, r) - shrunk_variance(net, r, trial) for r in (*ALL_RATIOS, *RATIOS)]
    rescaled = [
        rescaled_head_loss(net, r)
        - net.standard_loss(net.centred)
        - odds_share(r, 2) * quadratic_form(net.theta, net.covariance)
        for r in RATIOS
    ]
    best = net.least_squares()
    at_best, elsewhere = ([v for r in ALL_RATIOS for v in slopes(n, r)] for n in (best, net))
    figures = {
        "L_mix less L_std + 2c Var(e)": largest(gaps),
        "cases": len(gaps),
        "gradient of L_mix at the least-squares head": largest(at_best),
        "the same at another head": largest(elsewhere),
        "the proof's covariates: loss less L_std less (8)": largest(rescaled),
    }
    holds = all(g == 0 for g in (*gaps, *at_best, *rescaled)) and any(g != 0 for g in elsewhere)
    return Corrected(
        "(i) Mixup of the hidden layer and of the labels, squared loss, is L_mix = L_std - 2 E_D[lambda (1-lambda)] "
        "(1/n) sum_i (e_i - ebar)^2, e_i = y_i - f(x_i), exactly and for every alpha, beta > 0 and every W: with the "
        "bias free its minimisers are those of L_std, and nothing is regularised; (ii) (8), Sigma-hat with 1/n, is "
        "what the loss at the covariates sigma(W x_i) - sbar + (1-lambda)/lambda (sigma(W r) - sbar) with labels y_i "
        "has beside L_std, exactly, for min(alpha, beta) > 1",
        verdict_of(holds),
        Evidence("exact", figures),
    )


@claim("zhang2021:lemma3.4", fault="E[lambda(1-lambda)] for 2 E[lambda(1-lambda)]")
def lemma34(trial: Trial) -> Finding:
    """What Mixup adds is compared at two heads, so that a term of the labels alone cannot make the difference."""
    net = tiny_network()
    heads = (net, net.moved([fmpq(1), fmpq(1), fmpq(-1), fmpq(0)]))
    figures: dict[str, str] = {}
    differ = []
    for r in RATIOS:
        added = [manifold_loss(n, r) - n.standard_loss(n.features) for n in heads]
        printed = [odds_share(r, 2) * quadratic_form(n.theta, n.covariance) for n in heads]
        own = [rescaled_head_loss(n, r) - n.standard_loss(n.centred) for n in heads]
        figures |= {
            f"Beta({r.a},{r.b}): Mixup adds, at two heads": ", ".join(map(str, added)),
            f"Beta({r.a},{r.b}): (8); the proof's covariates add": f"{', '.join(map(str, printed))}; "
            f"{', '.join(map(str, own))}",
            f"Beta({r.a},{r.b}): (7) with the proof's A'' = 1": ", ".join(str(v / 2) for v in printed),
        }
        differ.append(added[0] - added[1] != printed[0] - printed[1] and own == printed)
    figures["network"] = str(net)
    reason = (
        "(8) is infinite unless min(alpha, beta) > 1, as (7) is; and where it is finite it is not what Mixup of the "
        "hidden layer adds, but the regulariser of covariates divided by their own lambda: it penalises theta_1, and "
        "Mixup adds -2 E[lambda(1-lambda)] times the variance of the residuals, which does not.  (The constant of (8) "
        "is right for the printed loss (y-f)^2, whose A'' is 2; the proof's A'' = 1 would halve it)"
    )
    return Finding(verdict_of(not all(differ)), reason, Evidence("exact", figures), corrected_head(trial))
