"""Theorem 3.2: one radius for all minimisers of the approximate Mixup loss."""

from __future__ import annotations

import math

import sympy as sp
import torch
from flint import arb

from msda_theory import Augmentation, Beta, masks, taylor_loss
from msda_theory.losses import Logistic
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.refuted import certified
from paper_checks.registry import claim
from paper_checks.zhang2021.constants_proof import hoeffding_holds
from paper_checks.zhang2021.shared_any_law import holds_for_any_law
from paper_checks.zhang2021.shared_cosine import EFFORT, AsPrinted, Family
from paper_checks.zhang2021.shared_formulas import planted, theorem32
from paper_checks.zhang2021.two_axes import promised_probability, refuted_probability
from verify.violations import search

SIZE_OF_SAMPLE = 64
SHAPES = ((4, 2), (6, 3))
ALONG_THE_RAY = (1.0, 10.0, 100.0)


def positive_on_theta() -> bool:
    """L~_mix >= mean of log(1+u) - u/2 > 0 on Theta, u = e^-|f| in (0, 1], whatever the mean of the data.

    R1 + R2 is the mean over partners and ratios of l' D + l'' D^2/2, D = (1-lambda) grad f . (r-x), at least
    -(l')^2/(2 l'') = -u/2; and log(1+u) - u/2 is 0 at 0 and rises.
    """
    f, u = sp.Symbol("f", real=True), sp.Symbol("u", positive=True)
    slope, bend = -1 / (1 + sp.exp(f)), sp.exp(f) / (1 + sp.exp(f)) ** 2  # y = 1; y = 0 is its mirror image
    least = sp.simplify(-(slope**2) / (2 * bend) + sp.exp(-f) / 2) == 0
    gap = sp.log(1 + u) - u / 2
    falling = sp.solveset(sp.diff(gap, u) < 0, u, sp.Interval(0, 1))
    return bool(least and gap.subs(u, 0) == 0 and falling is sp.S.EmptySet)


def losses_along_a_ray(seed: int) -> list[float]:
    """L~_mix at t theta for data that theta separates, centred: it falls to 0, so there is no minimiser."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(8, 3, generator=draw, dtype=torch.float64)
    x = x - x.mean(0)
    theta = torch.randn(3, generator=draw, dtype=torch.float64)
    theta = 2 * theta / (x @ theta).abs().min()
    augmentation = Augmentation(Beta(1.0, 1.0), masks.Mixup((3,)))
    y = (x @ theta > 0).to(x)
    return [taylor_loss(lambda z, t=t: t * (z @ theta), Logistic(), x, y, augmentation).total for t in ALONG_THE_RAY]  # type: ignore[misc]


@claim("zhang2021:thm3.2", fault="p_tau for p_tau/2 in R~")
def theorem_32(trial: Trial) -> Finding:
    below, example = certified("zhang2021:thm3.2", _example_again())
    refuted = refuted_probability(SIZE_OF_SAMPLE)
    promised = promised_probability(SIZE_OF_SAMPLE, refuted)
    ray = losses_along_a_ray(trial.seed)
    printed = search(AsPrinted(theorem32).sides, AsPrinted(theorem32).parameters, seed=trial.seed, **EFFORT)
    figures: dict[str, str | float] = {
        **example,
        **printed.figures("not centred, n = 4, d = 2"),
        "law on two axes, n = 64: chance that L~_mix < L_std at every minimiser, at least": arb(refuted).str(8),
        "law on two axes, n = 64: chance promised to L~_mix >= mean l~_adv, at least": promised.str(8),
        "L~_mix > 0 on Theta": "proved" if positive_on_theta() else "not proved",
        "separable data: L~_mix at theta, 10 theta, 100 theta": ", ".join(f"{v:.3g}" for v in ray),
    }
    contradicted = bool(promised > 1 - arb(refuted))
    empty = positive_on_theta() and ray[0] > ray[1] > ray[2] >= 0
    fails = below and contradicted and empty and printed.worst > 0
    reason = (
        "E[r] = 0 is used and not assumed: for data on two axes L~_mix has minimisers over Theta, and with a "
        "probability near 1 L~_mix < L_std at each of them, so that no constants > 0 help. Where the data are "
        "strictly separable L~_mix > 0 on Theta and tends to 0 along a ray: there are no minimisers and the theorem "
        "is empty; otherwise every theta in Theta is orthogonal to some x_i, or is 0 and has no cosine. The "
        "constants are said to exist without saying on what they depend; kappa > 0 needs a bounded Theta*, which is "
        "not assumed"
    )
    return Finding(verdict_of(not fails), reason, Evidence("enclosure", figures), _for_every_theta(trial))


def _example_again() -> tuple[float, float]:
    """L~_mix at the theta of the example, and the part of L_std that is the same for every theta in Theta."""
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    augmentation = Augmentation(Beta(1.0, 1.0), masks.Mixup((2,)))
    mixed = taylor_loss(lambda z: 5 * z[:, 1], Logistic(), x, torch.ones(3), augmentation).total
    return mixed, 2 * math.log(2) / 3


def _for_every_theta(trial: Trial) -> Corrected:
    formula = planted(theorem32, trial)
    general, figures = holds_for_any_law(theorem32, 0, trial)
    holds = [general]
    for samples, size in SHAPES:
        family = Family(formula, samples=samples, size=size)
        found = search(family.sides, family.parameters, seed=trial.seed, **EFFORT)
        least = family.again(found.at)
        figures |= found.figures(f"n = {samples}, d = {size}")
        figures[f"n = {samples}, d = {size}: L~_mix - mean l~_adv in the worst case, by the library"] = least
        holds += [found.worst <= 0 < least]
    violated, worst = hoeffding_holds()
    figures["P(p^ < p_tau/2) / exp(-n p_tau^2/2), largest for n <= 40"] = worst
    statement = (
        "for centred data, any Theta* in Theta without 0 (bounded, for kappa > 0; no minimiser is needed), and "
        "wherever the share p^ of the samples with |cos(x_i, theta)| >= tau for all theta in Theta* is at least "
        "p_tau/2, which has probability at least 1 - exp(-n p_tau^2/2) for independent x_i (those of a sample "
        "centred by its own mean are not: count p^ there): L~_mix >= mean l~_adv(R~ c_x E_D~[1-lambda] sqrt(d)) for "
        "every theta in Theta*, R~ as printed, with kappa the least g(1-g), kappa_1 and kappa_2 the least and the "
        "largest |g-y| over the sample and Theta*; g(-B b_x sqrt(d)) bounds kappa_1, and kappa with 1 less it, where "
        "|theta| <= B. For any mask law and label rule, any mean of the data, a bias too, wherever all (2 y_i - 1) "
        "theta . z_i >= 0: the same with the seen deviations z_i = n * (x_i - xbar), n_j = E[N_j] over both roles, in "
        "the place of the x_i in the cosines, and R~ min|z_i| for the radius; for Mixup z_i = E_D~[1-lambda] x_i"
    )
    return Corrected(statement, verdict_of(all(holds) and not violated), Evidence("deterministic", figures))
