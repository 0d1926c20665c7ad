"""App. D.1: the variance of the rescaled mixed input x^ = (M x_i + (1-M) r) / E[M], by the law of total variance.

(1-M) Sigma (1-M)^T and x Var(M) x^T are read coordinate by coordinate, as diag(1-M) Sigma diag(1-M) and
diag(x) Var(M) diag(x); lambda is under D~, and the mean of M is over lambda too, as the text has it.
"""

from __future__ import annotations

from flint import fmpq

from paper_checks.exact_cases import HALF, RATIOS, described, problem
from paper_checks.findings import Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.coefficients import largest
from paper_checks.registry import claim
from verify.tiny_laws import Number, TinyLaw, bernoulli, blended, cutmix, exact_area, mixup
from verify.tiny_problems import BetaInt, TinyProblem, Vector, average, mixed

Square = list[list[Number]]


def enumerated(p: TinyProblem, tiny: TinyLaw, ratio: BetaInt, x: Vector) -> tuple[list[Number], Square]:
    """Mean and covariance of x^ over lambda, M and the partner, one by one; E[M] enumerated as well."""
    scale, pixels = mean_mask(tiny, ratio), range(tiny.size)

    def of_products(j: int, k: int | None = None) -> Number:
        """E[x^_j x^_k], or E[x^_j]."""

        def at(_: Number, mask: list[Number]) -> Number:
            points = [mixed(mask, x, r) for r in p.x]
            return sum(v[j] * (1 if k is None else v[k]) for v in points) / fmpq(len(points))

        return average(tiny, ratio.tilted_density, at) / (scale[j] * (1 if k is None else scale[k]))

    mean = [of_products(j) for j in pixels]
    return mean, [[of_products(j, k) - mean[j] * mean[k] for k in pixels] for j in pixels]


def mean_mask(tiny: TinyLaw, ratio: BetaInt) -> list[Number]:
    """E[M_j] under D~."""
    return [average(tiny, ratio.tilted_density, lambda _, mask, j=j: mask[j]) for j in range(tiny.size)]  # type: ignore[misc]


def printed(p: TinyProblem, tiny: TinyLaw, ratio: BetaInt, x: Vector, scale: list[Number], *, trial: Trial) -> Square:
    """(E[(1-M_j)(1-M_k)] Sigma_jk + x_j Cov(M_j, M_k) x_k) / (scale_j scale_k), Sigma = (1/m) sum x x^T.

    Planted: E[1-M_j] E[1-M_k] for E[(1-M_j)(1-M_k)].
    """
    mean, pixels = mean_mask(tiny, ratio), range(tiny.size)

    def entry(j: int, k: int) -> Number:
        both = average(tiny, ratio.tilted_density, lambda _, mask: mask[j] * mask[k])
        lost = trial.plant(1 - mean[j] - mean[k] + both, (1 - mean[j]) * (1 - mean[k]))
        sigma = sum(r[j] * r[k] for r in p.x) / fmpq(len(p.x))
        return (lost * sigma + x[j] * (both - mean[j] * mean[k]) * x[k]) / (scale[j] * scale[k])

    return [[entry(j, k) for k in pixels] for j in pixels]


def gaps(tiny: TinyLaw, ratio: BetaInt, trial: Trial, *, last_line: bool = True) -> list[Number]:
    """x_i less the mean of x^, and the formula less the covariance; the last line has E_D~[lambda] for E[M_j]."""
    p = problem(tiny.size, 3, linear=True, centred=True)
    share = average(tiny, ratio.tilted_density, lambda lam, _: lam)
    scale = [share] * tiny.size if last_line else mean_mask(tiny, ratio)
    found = []
    for x in p.x[:2]:
        mean, covariance = enumerated(p, tiny, ratio, x)
        stated = printed(p, tiny, ratio, x, scale, trial=trial)
        found += [a - b for a, b in zip(x, mean, strict=True)]
        found += [a - b for u, v in zip(stated, covariance, strict=True) for a, b in zip(u, v, strict=True)]
    return found


@claim("park2022:appD-var", fault="E[1-M] E[1-M]^T for E[(1-M)(1-M)^T]")
def rescaled_variance(trial: Trial) -> Finding:
    box = exact_area(2, fmpq(1))
    meeting = (mixup(3), bernoulli(3), box, blended(box, HALF))
    last = [g for tiny in meeting for ratio in RATIOS for g in gaps(tiny, ratio, trial)]
    missing = cutmix(2, 2, "inside")
    first = [g for ratio in RATIOS for g in gaps(missing, ratio, trial, last_line=False)]
    outside = gaps(missing, RATIOS[0], Trial())
    figures = {
        "last line less the enumeration, E[M] = lambda 1": largest(last),
        "entries compared": len(last) + len(first),
        "third line less the enumeration, CutMix inside": largest(first),
        "last line less the enumeration, CutMix inside": largest(outside),
        "first case": described(meeting[0], problem(3, 3, linear=True, centred=True), RATIOS[0]),
    }
    reason = (
        "with E[r] = 0 and M-bar the mean of M over lambda and mask, E[x^_i] = x_i and the variance is as printed, "
        "read coordinate by coordinate; the last line needs E[M] = lambda 1, as assumed, and its lambda^2 is read as "
        "the square of E_D~[lambda], which the text below it defines: one number for all lambda.  The law of M is "
        "that of (14): for boxes it is not what a sample sees over both roles"
    )
    holds = all(g == 0 for g in (*last, *first)) and any(g != 0 for g in outside)
    return Finding(verdict_of(holds), reason, Evidence("exact", figures))
