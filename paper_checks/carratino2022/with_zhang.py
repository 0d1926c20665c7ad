"""The second-order approximations of the Mixup loss by Carratino et al. and by Zhang et al., side by side.

Zhang et al. move sample i, its label kept, towards r by 1-lambda under D~, and expand about x_i; Carratino et al. mix
its label too and expand about the mean (x~_i, y~_i) of the mixed point, so that nothing of first order is left.
"""

from __future__ import annotations

import warnings

from flint import fmpq, fmpq_mat

from msda_theory import Augmentation, Beta, CancellingTermsWarning, approximate_mixup_risk, exact_loss, taylor_loss
from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.masks import Mixup
from paper_checks.carratino2022.printed import HALF, ONE, ZERO, merged_risk
from paper_checks.exact_cases import described_problem, problem, readable
from paper_checks.findings import DEPENDS, FAILS, Evidence, Finding, Trial
from paper_checks.orders import smooth_digits
from paper_checks.registry import claim
from paper_checks.zhang2021.terms import zhang_terms
from verify.tiny_perturbed import DEGREE, Perturbed, beta, mixup_loss, of_class
from verify.tiny_problems import BetaInt, TinyProblem

RATIOS = (BetaInt(1, 1), BetaInt(1, 2), BetaInt(3, 3))
IMAGE, ALPHAS, RTOL = (4, 3), (0.1, 1.0, 10.0), 1e-7
INPUTS, LABELS = [[ZERO], [ONE], [fmpq(3)]], [ZERO, ONE, ONE]
BENT_LINEAR = TinyProblem(INPUTS, LABELS, [ONE], [[fmpq(2)]], ONE, ZERO)
BENT_SQUARED = TinyProblem(INPUTS, LABELS, [ONE], [[HALF]], ZERO, ONE)


@claim("carratino2022:vs-zhang", fault="a factor 1/2 with the cross term of Carratino et al.")
def with_zhang(trial: Trial) -> Finding:
    """Where both are exact, to which order they agree, and a problem on which each is the closer."""
    both = [error for p in _both_exact() for ratio in RATIOS for error in _errors(p, ratio, trial)]
    orders = [c for p in (BENT_LINEAR, BENT_SQUARED) for ratio in RATIOS for c in _difference(p, ratio, trial)[:3]]
    zhang, carratino = zip(*(_errors(p, RATIOS[0], trial) for p in (BENT_LINEAR, BENT_SQUARED)), strict=True)
    figures = {
        "loss quadratic in the mixed point and label, largest error of either": readable(max(both, key=abs)),
        "difference at orders 0, 1, 2 in the spread of the data": readable(max(orders, key=abs)),
        "Zhang et al. closer": described_problem(BENT_LINEAR),
        "errors there, Zhang et al. and Carratino et al.": f"{zhang[0]}, {carratino[0]}",
        "Carratino et al. closer": described_problem(BENT_SQUARED),
        "errors there, Zhang et al. and Carratino et al. ": f"{zhang[1]}, {carratino[1]}",
        **{f"tanh network on digits, Beta({a:g}, {a:g}), errors": _errors_on_digits(a) for a in ALPHAS},
    }
    each = abs(zhang[0]) < abs(carratino[0]) and abs(carratino[1]) < abs(zhang[1])
    agree = all(value == 0 for value in (*both, *orders))
    reason = (
        "both are the loss itself where l(y, f(x)) is quadratic in (x, y) together, and differ elsewhere by third "
        "order in the spread of the data; which is closer depends on the problem: Zhang et al. need it quadratic in x "
        "alone, and are exact for a quadratic f and a linear h where Carratino et al. are not; for a quadratic f and "
        "the squared loss, and for a tanh network on digits at every alpha tried, Carratino et al. are closer; "
        "theirs also takes losses that are not linear in the label"
    )
    return Finding(DEPENDS if agree and each else FAILS, reason, Evidence("exact", figures))


def _both_exact() -> list[TinyProblem]:
    """Linear f with the squared loss; quadratic f with a linear h and one label for all."""
    bent = problem(2, 3, linear=False, centred=False)
    same = TinyProblem(bent.x, [ONE] * 3, bent.w, bent.Q, bent.p, bent.q)
    return [problem(2, 3, linear=True, centred=False), same]


def _approximations(p: TinyProblem, ratio: BetaInt, trial: Trial) -> tuple[fmpq, fmpq]:
    """Those of Zhang et al. and of Carratino et al."""
    risk = merged_risk(Perturbed(of_class(p), beta(ratio.a, ratio.b).folded()), halved=trial.faulty)
    return zhang_terms(p, ratio).total, risk.standard + risk.merged


def _errors(p: TinyProblem, ratio: BetaInt, trial: Trial) -> tuple[fmpq, fmpq]:
    exact = mixup_loss(of_class(p), beta(ratio.a, ratio.b))
    zhang, carratino = _approximations(p, ratio, trial)
    return zhang - exact, carratino - exact


def _difference(p: TinyProblem, ratio: BetaInt, trial: Trial) -> list[fmpq]:
    """Coefficients of 1, s, s^2, .. in the difference, all data drawn in to s of their distance to the mean."""
    points = [fmpq(k) for k in range(DEGREE + 1)]

    def at(s: fmpq) -> fmpq:
        mean = sum(p.y) / len(p.y)
        x = [[c + s * (v - c) for v, c in zip(row, p.mean, strict=True)] for row in p.x]
        drawn = TinyProblem(x, [mean + s * (y - mean) for y in p.y], p.w, p.Q, p.p, p.q)
        zhang, carratino = _approximations(drawn, ratio, trial)
        return zhang - carratino

    powers = fmpq_mat(len(points), len(points), [s**k if k else ONE for s in points for k in range(len(points))])
    solved = powers.solve(fmpq_mat(len(points), 1, [at(s) for s in points]))
    return [solved[k, 0] for k in range(len(points))]


def _errors_on_digits(alpha: float) -> str:
    """Of Zhang et al., and of Carratino et al., on eight digits."""
    model, x, y = smooth_digits(IMAGE)
    loss, law = SoftmaxCrossEntropy(), Beta(alpha, alpha)
    augmentation = Augmentation(law, Mixup(IMAGE))
    exact = exact_loss(model, loss, x, y, augmentation, rtol=RTOL).value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CancellingTermsWarning)
        carratino = approximate_mixup_risk(model, loss, x, y, law).total - exact
    return f"{taylor_loss(model, loss, x, y, augmentation).total - exact:.2g}, {carratino:.2g}"
