"""The set Theta of sec. 3.2, and Remark 3.1 on attacks in the maximum norm."""

from __future__ import annotations

import math
from itertools import combinations, product

import sympy as sp
import torch
from torch import Tensor

from msda_theory import Augmentation, Beta, masks, taylor_loss
from msda_theory.bounds import adversarial_loss_linear, adversarial_taylor, in_theta, robust_radii
from msda_theory.losses import Logistic
from paper_checks.attacked_cases import (
    SLACK,
    Cases,
    added_to_second_order,
    centred,
    linear,
    printed_reach,
    regularisers,
    split,
)
from paper_checks.findings import DEPENDS, FAILS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.refuted import certified
from paper_checks.registry import claim
from paper_checks.robust_any_law import any_law_cases, any_law_row
from paper_checks.robust_any_law import reach as any_law_reach
from verify.tolerances import rounding
from verify.violations import search

SAMPLES, SIZE = 4, 3


@claim("zhang2021:theta-set", fault="(1-y) f for (y-1) f in the definition of Theta")
def theta_set(trial: Trial) -> Finding:
    """Label by label, as sets of values of f: the correct predictions lie in Theta."""
    f = sp.Symbol("f", real=True)
    theta = {y: sp.solveset(y * f + trial.plant(y - 1, 1 - y) * f >= 0, f, sp.S.Reals) for y in (0, 1)}
    correct = {1: sp.Interval(0, sp.oo), 0: sp.Interval.open(-sp.oo, 0)}
    contained = {y: bool(correct[y].is_subset(theta[y])) for y in (0, 1)}
    values = torch.tensor([-2.0, -1e-300, 0.0, 1e-300, 3.0], dtype=torch.float64)
    library = [bool(v) for y in (0, 1) for v in in_theta(lambda z: z.squeeze(1), values.unsqueeze(1), y + 0 * values)]
    expected = [bool(theta[y].contains(sp.Float(float(v)))) for y in (0, 1) for v in values]
    figures = {
        **{f"f with y = {y}: correct, in Theta": f"{correct[y]}, {theta[y]}" for y in (0, 1)},
        "in Theta, not correct": str({y: theta[y] - correct[y] for y in (0, 1)}),
        "the library's set": "the same" if library == expected else "another",
    }
    reason = (
        "y f + (y-1) f = (2y-1) f is f where y = 1 and -f where y = 0; the containment is strict: f = 0 with y = 0 is "
        "in Theta and predicted as 1"
    )
    holds = all(contained.values()) and library == expected
    return Finding(verdict_of(holds), reason, Evidence("symbolic", figures))


def norm_gaps(size: int) -> set[sp.Expr]:
    """size eps^2 - |delta|^2 and size |theta|_2^2 - |theta|_1^2, less the sums of non-negative terms that they are."""
    eps, t = sp.Symbol("eps", positive=True), sp.symbols(f"t:{size}", nonnegative=True)
    ball = size * eps**2 - sum(v**2 for v in t) - sum((eps - v) * (eps + v) for v in t)
    dual = size * sum(v**2 for v in t) - sum(t) ** 2 - sum((u - v) ** 2 for u, v in combinations(t, 2))
    return {sp.expand(ball), sp.expand(dual)}


@claim("zhang2021:remark3.1", fault="an l2 ball of radius eps for eps sqrt(d)")
def remark31(trial: Trial) -> Finding:
    """The implication is right, for exact and second-order losses; what it is drawn from needs centred data."""
    identities = norm_gaps(SIZE) == {0}
    worst, allowed = _beyond_the_ball(trial)
    row = SAMPLES * SIZE + SIZE + 1
    printed = search(lambda rows: linf_sides(rows, Trial(), centre=False), row, seed=trial.seed)
    found = search(lambda rows: linf_sides(rows, trial), row, seed=trial.seed)
    general = search(lambda rows: any_law_sides(rows, trial), any_law_row(0), trials=1000, ascents=16, seed=trial.seed)
    refuted, example = certified("zhang2021:remark3.1", _example_again())
    figures = {
        "|delta|_2^2 <= d eps^2 and |theta|_1^2 <= d |theta|_2^2": "sums of squares" if identities else "no identities",
        "l_inf loss by its 2^d corners less the l2 loss of the library, at most": worst,
        "allowed": allowed,
        **example,
        **printed.figures("data not centred"),
    }
    implied, bounded = identities and worst <= allowed, max(found.worst, general.worst) <= SLACK
    corrected = Corrected(
        "for centred data, E[r] = 0, L~_mix >= mean of the second-order loss under l_inf attacks of size eps_mix, for "
        "every theta in Theta; and for any mask law, CutMix included, any label rule and mean of the data and a bias, "
        "of sizes eta_i / sqrt(d), eta_i as in the correction of Theorem 3.1",
        verdict_of(implied and bounded),
        Evidence("deterministic", found.figures("Mixup, data centred") | general.figures("any mask law")),
    )
    reason = (
        "as an implication it holds: the l_inf ball lies in the l2 ball and both losses grow with the reach of the "
        "attack; as a statement on L~_mix it inherits that Theorem 3.1 is false where E[r] is not 0, and then fails "
        "too; and Theorem 3.1 bounds the second-order loss, not the exact one that the remark displays"
    )
    verdict = DEPENDS if implied and bounded and refuted and printed.worst > 0 else FAILS
    return Finding(verdict, reason, Evidence("symbolic", figures), corrected)


def _beyond_the_ball(trial: Trial) -> tuple[float, float]:
    """How far the exact l_inf loss, by enumeration of the corners, exceeds the l2 loss, and what rounding allows."""
    draw = torch.Generator().manual_seed(trial.seed)
    theta, x = (torch.randn(16, SIZE, generator=draw, dtype=torch.float64) for _ in range(2))
    theta[0] = 1.0  # here both balls reach equally far
    corners = torch.tensor(list(product((-0.3, 0.3), repeat=SIZE)), dtype=torch.float64)
    excess = []
    for w in theta:
        for y in (0, 1):
            labels = torch.full((len(x),), y)
            moved = Logistic()(((x.unsqueeze(1) + corners) @ w).unsqueeze(-1), labels.double()[:, None, None])
            ball = adversarial_loss_linear(w, x, labels, 0.3 * math.sqrt(trial.plant(SIZE, 1)))
            excess.append(float((moved.amax(1) - ball).max()))
    return max(excess), rounding(torch.float64, float((x.abs() @ theta.abs().T).max()) + 1, 16)


def linf_sides(rows: Tensor, trial: Trial, *, centre: bool = True) -> tuple[Tensor, Tensor]:
    """What the l_inf attack of size eps_mix adds to the loss to second order, and R1 + R2, in Theta.

    rows: samples, theta, and the ratio lambda in (0, 1) through the logistic function.
    """
    x, theta, ratio = split(rows, (SAMPLES, SIZE), (SIZE,), (1,))
    cases = linear(centred(x) if centre else x, theta)
    share = 2 * torch.sigmoid(ratio) * torch.sigmoid(-ratio)
    second = share.unsqueeze(2).expand(-1, SIZE, SIZE) / 2
    shortest = cases.norms.amin(1, keepdim=True)
    radius = (printed_reach(cases, share, shortest) / cases.slope.norm(dim=2)).amin(1, keepdim=True)
    reach = radius * spread(cases, trial)
    return added_to_second_order(cases, reach), regularisers(cases, share, second)


def any_law_sides(rows: Tensor, trial: Trial) -> tuple[Tensor, Tensor]:
    """The same for sizes eta_i / sqrt(d), any mask law, data with any mean, linear models with a bias."""
    cases, first, second = any_law_cases(rows, 0)
    reach = any_law_reach(cases, first, Trial()) / cases.slope.norm(dim=2) * spread(cases, trial)
    return added_to_second_order(cases, reach), regularisers(cases, first, second)


def spread(cases: Cases, trial: Trial) -> Tensor:
    """|grad f|_1 / sqrt(d): how far an attack of size eps in l_inf moves f, over eps sqrt(d).  Planted: no sqrt(d)."""
    return cases.slope.abs().sum(2) / trial.plant(math.sqrt(cases.slope.shape[2]), 1.0)


def _example_again() -> tuple[float, float]:
    """Both sides of the counterexample by the library; a radius in l_inf reaches |theta|_1/|theta|_2 times as far."""
    x, y = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64), torch.tensor([1, 1, 0])
    theta, augmentation = torch.tensor([0.5, 0.5], dtype=x.dtype), Augmentation(Beta(1.0, 1.0), masks.Mixup((2,)))
    radius = robust_radii(lambda z: z @ theta, x, y, augmentation).eps_mix * float(theta.abs().sum() / theta.norm())
    mixed = taylor_loss(lambda z: z @ theta, Logistic(), x, y, augmentation).total
    return mixed, float(adversarial_taylor(lambda z: z @ theta, x, y, radius).mean())
