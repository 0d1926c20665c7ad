"""App. A.3.1, the steps of the proof of Lemma 3.3: the scaling, the mean and the variance of x~_i, the second order."""

from __future__ import annotations

from dataclasses import replace

from flint import fmpq

from paper_checks.exact_cases import described, problem
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.least_squares import LeastSquares, gram_hat
from paper_checks.park2022.coefficients import largest
from paper_checks.park2022.rescaled_variance import enumerated
from paper_checks.registry import claim
from paper_checks.zhang2021.rescaled import RATIOS, odds_share, rescaled_loss, rescaled_moments, spread, standard_loss
from paper_checks.zhang2021.terms import beta_share
from verify.tiny_laws import Number, mixup
from verify.tiny_problems import BetaInt, TinyProblem

CASE = problem(2, 3, linear=True, centred=True)
LEAST_SQUARES = replace(CASE, p=fmpq(0))


def rescaled_solution(p: TinyProblem, ratio: BetaInt) -> LeastSquares:
    """Of the points divided by their own lambda, by their enumerated moments."""
    pixels, n = range(len(p.w)), fmpq(len(p.x))
    moments = [rescaled_moments(p, ratio, x) for x in p.x]
    gram = [[sum(cov[j][k] + mean[j] * mean[k] for mean, cov in moments) / n for k in pixels] for j in pixels]
    cross = [sum(y * mean[j] for y, (mean, _) in zip(p.y, moments, strict=True)) / n for j in pixels]
    return LeastSquares.of(gram, cross)


def variance_gaps(ratio: BetaInt, weight: fmpq) -> list[Number]:
    """Var(x~_i) less weight Sigma-hat, entry by entry, for every i."""
    covariances = [rescaled_moments(CASE, ratio, x)[1] for x in CASE.x]
    return [
        v - weight * s
        for covariance in covariances
        for row, hat in zip(covariance, gram_hat(CASE), strict=True)
        for v, s in zip(row, hat, strict=True)
    ]


def one_share_gaps(ratio: BetaInt) -> list[Number]:
    """The variance of the points divided by one number, E[lambda], less E(1-lambda)^2 / (E lambda)^2 Sigma-hat."""
    covariance, hat = enumerated(CASE, mixup(2), ratio, CASE.x[0])[1], gram_hat(CASE)
    return [covariance[j][k] - ratio_of_means(ratio) * hat[j][k] for j in range(2) for k in range(2)]


def mean_gaps(ratio: BetaInt) -> list[Number]:
    """E[x~_i - x_i], for every i."""
    return [a - b for x in CASE.x for a, b in zip(rescaled_moments(CASE, ratio, x)[0], x, strict=True)]


def second_order_gap(ratio: BetaInt, weight: fmpq, factor: fmpq) -> Number:
    """What x~ adds to the loss, less factor A'' weight theta^T Sigma-hat theta; A is quadratic, A'' = q."""
    return rescaled_loss(CASE, ratio) - standard_loss(CASE) - factor * CASE.q * weight * spread(CASE)


def corrected_steps(trial: Trial) -> Corrected:
    half = fmpq(1, 2)
    weight = {r: trial.plant(odds_share(r, 2), ratio_of_means(r)) for r in RATIOS}
    variances = [gap for r in RATIOS for gap in variance_gaps(r, weight[r])]
    orders = [second_order_gap(r, weight[r], half) for r in RATIOS]
    fixed = []
    for r in RATIOS:
        share = 1 - beta_share(r, 1)
        plain, scaled = (LeastSquares.mixed(LEAST_SQUARES, mixup(2), r, [s] * 2) for s in (fmpq(1), share))
        moved = [a - share * b for a, b in zip(scaled.theta, plain.theta, strict=True)]
        fixed += [scaled.value - plain.value, *moved]
    figures = {
        "Var(x~_i) less E[(1-lambda)^2/lambda^2] Sigma-hat": largest(variances),
        "second order, A quadratic": largest(orders),
        "one share for all draws: theta less share theta, and least values": largest(fixed),
    }
    return Corrected(
        "for min(alpha, beta) > 1 and centred data, E x~_i = x_i and Var(x~_i) = E_D~[(1-lambda)^2/lambda^2] "
        "Sigma-hat, so that to second order E A(theta.x~_i) = A + (1/2) A'' E_D~[(1-lambda)^2/lambda^2] theta^T "
        "Sigma-hat theta; a minimiser is carried over, and the least value kept, where all points are divided by one "
        "number, not where each is divided by its own lambda",
        verdict_of(all(g == 0 for g in (*variances, *orders, *fixed))),
        Evidence("exact", figures),
    )


def ratio_of_means(ratio: BetaInt) -> fmpq:
    """E(1-lambda)^2 / lambda-bar^2 under D~."""
    return beta_share(ratio, 2) / (1 - beta_share(ratio, 1)) ** 2


@claim("zhang2021:lemma3.3-proof", fault="E(1-lambda)^2 / (E lambda)^2 for E[(1-lambda)^2/lambda^2]")
def lemma33_proof(trial: Trial) -> Finding:
    figures: dict[str, str] = {}
    fails, unmixed = True, LeastSquares.unmixed(LEAST_SQUARES)
    for r in RATIOS:
        weights = {"1": fmpq(1), "E(1-l)^2/lbar^2": ratio_of_means(r), "E[(1-l)^2/l^2]": odds_share(r, 2)}
        wrong = [variance_gaps(r, w) for k, w in weights.items() if k != "E[(1-l)^2/l^2]"] + [one_share_gaps(r)]
        taken, own = LeastSquares.mixed(LEAST_SQUARES, mixup(2), r, [fmpq(1)] * 2), rescaled_solution(LEAST_SQUARES, r)
        name = f"Beta({r.a},{r.b})"
        figures |= {
            f"{name}: the three weights of Sigma-hat": ", ".join(f"{k} = {v}" for k, v in weights.items()),
            f"{name}: variance, divided by E[lambda], less the second": largest(wrong[-1]),
            f"{name}: E[x~_i - x_i]": largest(mean_gaps(r)),
            f"{name}: second order without the 1/2, gap": str(second_order_gap(r, weights["E[(1-l)^2/l^2]"], fmpq(1))),
            f"{name}: least squares, Mixup and x~": f"theta {taken}; {own}",
        }
        fails &= all(any(g != 0 for g in gaps) for gaps in wrong) and taken.value != own.value
        shrunk = [(1 + weights["E[(1-l)^2/l^2]"]) * v for v in own.theta]
        fails &= taken.theta == shrunk == unmixed.theta
        fails &= second_order_gap(r, weights["E[(1-l)^2/l^2]"], fmpq(1)) != 0 and all(g == 0 for g in mean_gaps(r))
    figures["unmixed, least squares"] = str(unmixed)
    figures["case"] = described(mixup(2), LEAST_SQUARES, RATIOS[0])
    reason = (
        "E[x~_i - x_i] = 0 holds.  But the variance is printed as Sigma-hat, then weighed by "
        "E(1-lambda)^2/lambda-bar^2, then by E[(1-lambda)^2/lambda^2]: three numbers, of which the last is right (the "
        "second is not for points divided by lambda-bar either: it lacks Var(lambda) x_i x_i^T); the second order "
        "first lacks its 1/2; and the first step divides each point by its own lambda, which changes the problem: for "
        "the squared loss on centred data Mixup keeps the least-squares solution, and x~ shrinks it by 1 + "
        "E[(1-lambda)^2/lambda^2]"
    )
    return Finding(verdict_of(not fails), reason, Evidence("exact", figures), corrected_steps(trial))
