"""App. D.1: the generalised linear model at the rescaled data x^ = (M x_i + (1-M) r) / E[M], and eq. (26)."""

from __future__ import annotations

from dataclasses import replace

import torch
from flint import fmpq

from msda_theory import Discrete, masks
from paper_checks.exact_cases import HALF, RATIOS, described, problem
from paper_checks.findings import DEPENDS, FAILS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.glm_order import logistic_digits, order_of_moves
from paper_checks.least_squares import LeastSquares, over_points
from paper_checks.orders import has_stated_order
from paper_checks.park2022.coefficients import largest
from paper_checks.park2022.rescaled_variance import mean_mask, printed
from paper_checks.registry import claim
from verify.tiny_laws import Number, TinyLaw, bernoulli, blended, cutmix, exact_area, mixup
from verify.tiny_problems import BetaInt, TinyProblem

#: masks with E[M] = lambda 1, as the text assumes, and one without
LAWS = (mixup(2), bernoulli(2), blended(exact_area(2, fmpq(1)), HALF))
UNEQUAL = cutmix(2, 2, "printed")
SAMPLES = 6


def centred(size: int) -> TinyProblem:
    """A quadratic A and data of full rank and mean zero, for the least squares."""
    rows = [[fmpq((3 * i * i + 5 * i * j * j + 2 * j) % 7 - 3, 2) for j in range(size)] for i in range(SAMPLES)]
    mean = [sum(column) / fmpq(SAMPLES) for column in zip(*rows, strict=True)]
    x = [[value - shift for value, shift in zip(row, mean, strict=True)] for row in rows]
    return replace(problem(size, SAMPLES, linear=True, centred=True), x=x)


def with_weights(p: TinyProblem, theta: list[Number]) -> TinyProblem:
    return replace(p, w=theta)


def carried_over(law: TinyLaw, ratio: BetaInt, trial: Trial) -> list[Number]:
    """Loss of x^ at theta less that of the mixed points at theta / E[M]; the same for minimiser and least value.

    Planted: theta times E[M].
    """
    p, scale, ones = centred(law.size), mean_mask(law, ratio), [fmpq(1)] * law.size
    shares = trial.plant(scale, [1 / s for s in scale])
    there = with_weights(p, [w / s for w, s in zip(p.w, shares, strict=True)])
    loss = over_points(p, law, ratio, scale, p.loss) - over_points(p, law, ratio, ones, there.loss)
    plain, scaled = (LeastSquares.mixed(p, law, ratio, s) for s in (ones, scale))
    moved = [a / s - b for a, b, s in zip(scaled.theta, plain.theta, shares, strict=True)]
    return [loss, scaled.value - plain.value, *moved]


def clean_quotients(law: TinyLaw, ratio: BetaInt) -> set[fmpq]:
    """theta.x_i of the minimiser at x^ over that of the minimiser at the mixed points, for every sample."""
    p, scale = centred(law.size), mean_mask(law, ratio)
    plain, scaled = (LeastSquares.mixed(p, law, ratio, s) for s in ([fmpq(1)] * law.size, scale))
    return {with_weights(p, scaled.theta).f(x) / with_weights(p, plain.theta).f(x) for x in p.x}


def least_in_interval(ratio: BetaInt, share: fmpq, reach: fmpq) -> fmpq:
    """The least squared loss of Mixup on one coordinate, its points divided by `share`, for |theta| <= reach."""
    free = LeastSquares.mixed(centred(1), mixup(1), ratio, [share])
    theta, cross = free.theta[0], -2 * free.value / free.theta[0]
    nearest = max(-reach, min(reach, theta))
    return cross / theta * nearest**2 * HALF - cross * nearest


@claim("park2022:appD-scaling", fault="theta times E[M] for theta over E[M]")
def scaling(trial: Trial) -> Finding:
    cases = [(law, r) for law in (*LAWS, UNEQUAL) for r in (RATIOS if law.size == 2 else RATIOS[1:2])]
    kept = [g for law, r in cases for g in carried_over(law, r, trial)]
    ratio, p = RATIOS[0], centred(2)
    share = mean_mask(mixup(2), ratio)
    at_theta = [over_points(p, mixup(2), ratio, s, p.loss) for s in ([fmpq(1)] * 2, share)]
    quotients = {law.name: clean_quotients(law, ratio) for law in (*LAWS, UNEQUAL)}
    reach = fmpq(1, 10)
    bounded = [least_in_interval(ratio, s, reach) for s in (fmpq(1), share[0])]
    figures = {
        "loss at theta / E[M], minimiser, least value: gaps": largest(kept),
        "laws and ratios": len(cases),
        "loss at one theta, as mixed and rescaled": ", ".join(map(str, at_theta)),
        f"least loss for |theta| <= {reach}, as mixed and rescaled": ", ".join(map(str, bounded)),
        "E_D~[lambda]": str(share[0]),
        **{f"theta.x_i, quotient of the two, {k}": ", ".join(map(str, sorted(q))) for k, q in quotients.items()},
        "case": described(mixup(2), p, ratio),
    }
    once = all(quotients[law.name] == {share[0]} for law in LAWS) and len(quotients[UNEQUAL.name]) > 1
    otherwise = at_theta[0] != at_theta[1] and bounded[0] != bounded[1] and once
    reason = (
        "E[M] is one number a coordinate, so that theta at x^ is theta / E[M] at the mixed points: over all theta the "
        "least loss is the same, and so are the minimiser's predictions at the mixed points.  But the loss at a given "
        "theta, and with it the regulariser, is another; so is the least loss over a bounded Theta, as Theorem 4 has "
        "it; and at x_i itself the two minimisers' theta.x_i differ by the factor E[lambda] where E[M] = lambda 1 "
        "(the sign is kept, the probability is not), and by no common factor for boxes as drawn"
    )
    return Finding(DEPENDS if all(g == 0 for g in kept) and otherwise else FAILS, reason, Evidence("exact", figures))


def approximate_loss(p: TinyProblem, law: TinyLaw, ratio: BetaInt, trial: Trial) -> tuple[Number, Number]:
    """(26) with Var as on the lines below it, as printed and with -y_i theta.x_i kept."""
    scale, m, total = mean_mask(law, ratio), fmpq(len(p.x)), fmpq(0)
    for x in p.x:
        variance, f = printed(p, law, ratio, x, scale, trial=trial), p.f(x)
        form = sum(p.w[j] * variance[j][k] * p.w[k] for j in range(law.size) for k in range(law.size))
        total += p.p * f + p.q * f**2 * HALF + p.q * form * HALF
    label = sum(y * p.f(x) for x, y in zip(p.x, p.y, strict=True))
    return total / m, (total - label) / m


def logistic_slope(mask: masks.MaskLaw, trial: Trial) -> float:
    """The order of the remainder of the corrected (26) on logistic digits, three ratios, E[M] pixel by pixel."""
    theta, x, y = logistic_digits()
    tilted = Discrete((0.3, 0.6, 0.9), (0.2, 0.5, 0.3)).tilted()
    atoms = [(w, mask.atoms(v)) for v, w in zip(tilted.values, tilted.weights, strict=True)]
    drawn = torch.cat([a.masks.flatten(1) for _, a in atoms])
    mass = torch.cat([w * a.probabilities for w, a in atoms])
    mean, m = mass @ drawn, len(x)
    lost = ((1 - drawn).T * mass) @ (1 - drawn)
    lost = trial.plant(lost, torch.outer(1 - mean, 1 - mean))
    deviation = ((drawn - mean).T * mass) @ (drawn - mean)
    f, towards = x @ theta, theta / mean
    form = towards @ (lost * (x.T @ x) / m) @ towards + ((x * towards) @ deviation * (x * towards)).sum(1)
    second = float((torch.sigmoid(f) * torch.sigmoid(-f) * form).mean() / 2)
    points = torch.einsum("sd,id,d->is", drawn, x, towards), torch.einsum("sd,rd,d->sr", 1 - drawn, x, towards)
    moves = (points[0].unsqueeze(2) + points[1] - f[:, None, None]).flatten(1)
    weights = (mass.unsqueeze(1) / m).expand(-1, m).flatten()
    return order_of_moves(f, y, moves, weights, 0.0, second, len(theta))


@claim("park2022:eq26", fault="E[1-M] E[1-M]^T for E[(1-M)(1-M)^T]")
def approximate_glm_loss(trial: Trial) -> Finding:
    figures: dict[str, str] = {}
    as_printed, right = [], []
    for law in (*LAWS, UNEQUAL):
        p = problem(law.size, 3, linear=True, centred=True)
        for ratio in RATIOS:
            exact = over_points(p, law, ratio, mean_mask(law, ratio), p.loss)
            as_printed.append(exact - approximate_loss(p, law, ratio, Trial())[0])
            right.append(exact - approximate_loss(p, law, ratio, trial)[1])
        figures[f"loss at x^ less (26), {law.name}"] = str(as_printed[-1])
    p = problem(2, 3, linear=True, centred=True)
    figures |= {
        "-(1/m) sum_i y_i theta.x_i there": str(-sum(y * p.f(x) for x, y in zip(p.x, p.y, strict=True)) / fmpq(3)),
        "case": described(LAWS[0], p, RATIOS[-1]),
    }
    shape = (4, 3)
    makes = {"Mixup": masks.Mixup(shape), "CutMix inside": masks.CutMix(shape, sampler="inside")}
    orders = {f"order of the remainder, logistic, {k}": logistic_slope(mask, trial) for k, mask in makes.items()}
    corrected = Corrected(
        "with -(1/m) sum_i y_i theta.x_i in both lines, for E[r] = 0, Var(x^_i) given i, and E[M] in place of "
        "lambda-bar where they differ: the second-order expansion of the loss at x^, the mask drawn as in (14)",
        verdict_of(all(g == 0 for g in right) and all(map(has_stated_order, orders.values()))),
        Evidence("exact", {"A quadratic: loss at x^ less it": largest(right), "cases": len(right), **orders}),
    )
    reason = (
        "both lines lack the mean of -y_i theta.x^_i, which the loss above them has, and which is -y_i theta.x_i; a "
        "quadratic A leaves no other gap"
    )
    return Finding(verdict_of(not all(g != 0 for g in as_printed)), reason, Evidence("exact", figures), corrected)
