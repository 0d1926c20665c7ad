"""Theorem B.1: one radius for all minimisers, for networks with f = grad f . x and zero Hessian."""

from __future__ import annotations

import math

import sympy as sp
import torch
from flint import arb

from msda_theory import Augmentation, Beta, masks, taylor_loss
from msda_theory.bounds import adversarial_taylor, shared_constants
from msda_theory.losses import Logistic
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.refuted import certified
from paper_checks.registry import claim
from paper_checks.zhang2021.adversarial_constants import SIZE_OF_SAMPLE
from paper_checks.zhang2021.shared_any_law import holds_for_any_law
from paper_checks.zhang2021.shared_cosine import EFFORT, AsPrinted, Family
from paper_checks.zhang2021.shared_formulas import planted, theorem_b1, theorem_b1_below
from paper_checks.zhang2021.two_axes import promised_probability, refuted_probability
from verify.violations import search

HIDDEN = 3
READINGS = {"(2-p) tau''^2 / 4": theorem_b1, "(2-p) / (4 tau''^2)": theorem_b1_below}


def derived_gaps() -> set[sp.Expr]:
    """R~/tau as printed, its root squared, less what p^ = p/2 gives; (2-p)/4 tau''^2 read as (2-p) tau''^2 / 4: {0}."""
    p, kappa, kappa_1, kappa_2, low, high = sp.symbols("p kappa kappa_1 kappa_2 tau' tau''", positive=True)
    odds = (1 - p / 2) / (p / 2)
    root = p * kappa * low**2 / ((2 - p) / 4 * high**2 + p * kappa * low**2)
    linear = p * kappa_1 * low / (p * kappa_1 * low + (2 - p) * kappa_2 * high)
    gaps = (
        root - 1 / (1 + odds * high**2 / 4 / (kappa * low**2)),
        linear - 1 / (1 + odds * kappa_2 * high / (kappa_1 * low)),
    )
    return {sp.simplify(gap) for gap in gaps}


def linear_part_is_enough() -> bool:
    """1 + B r^2 <= (1 + B r)^2 for B = o kappa_2/kappa_1 >= 1, o = (2-p)/p >= 1 and r = tau''/tau': so the bound on R2
    follows from the linear part of R~ alone (`constants_proof.first_part_is_enough`), whatever the root is."""
    more, r = sp.symbols("s r", positive=True)
    gap = sp.expand((1 + (1 + more) * r) ** 2 - (1 + (1 + more) * r**2))
    return bool(gap.is_positive)


def margin_with_the_factor_d() -> float:
    """L~_mix less the mean of the printed l~_adv, at x = +-e_1 in R^36, theta = 2 e_1 and p_tau = 0.99."""
    size = 36
    first = torch.eye(size, dtype=torch.float64)[0]
    x, y = torch.stack([first, -first]), torch.tensor([1, 0])

    def model(z: torch.Tensor) -> torch.Tensor:
        return 2 * z[:, 0]

    augmentation = Augmentation(Beta(1.0, 1.0), masks.Mixup((size,)))
    constants = shared_constants([model], x, y, augmentation, 0.99)
    radius = constants.printed_cosine(0.99) * constants.smallest_deviation
    mixed = taylor_loss(model, Logistic(), x, y, augmentation).total
    return mixed - float(adversarial_taylor(model, x, y, radius, as_printed=True).mean())


@claim("zhang2021:thmB.1", fault="p for p/2 in R~")
def theorem_b_1(trial: Trial) -> Finding:
    below, example = certified("zhang2021:thmB.1", _example_again())
    refuted = refuted_probability(SIZE_OF_SAMPLE)
    promised = promised_probability(SIZE_OF_SAMPLE, refuted)
    with_d = margin_with_the_factor_d()
    family = AsPrinted(theorem_b1, HIDDEN)
    printed = search(family.sides, family.parameters, seed=trial.seed, **EFFORT)
    figures: dict[str, str | float] = {
        **example,
        **printed.figures("not centred, n = 4, d = 2, without the d in l~_adv"),
        "law on two axes, n = 64: chance that L~_mix < L_std at every minimiser, at least": arb(refuted).str(8),
        "law on two axes, n = 64: chance promised to L~_mix >= mean l~_adv, at least": promised.str(8),
        "centred data, d = 36: L~_mix - mean l~_adv, with delta^2 d/2 as printed": with_d,
    }
    fails = below and bool(promised > 1 - arb(refuted)) and with_d < 0 < printed.worst
    reason = (
        "tau'' is not defined in the statement; as the proof uses it, it bounds |grad f| from above. Whatever number "
        "> 0 it is, and however (2-p)/4 tau''^2 is read, R~ > 0, and Theorem 3.2's counterexample applies, f = theta "
        ". x being in F_Theta: E[r] = 0 is used and not assumed. With it the inequality still fails for the l~_adv "
        "printed for networks, which has d times the second-order term, and holds without the d"
    )
    return Finding(verdict_of(not fails), reason, Evidence("enclosure", figures), _for_every_network(trial))


def _example_again() -> tuple[float, float]:
    """L~_mix at the theta of the example, and the part of L_std that is the same for every theta in Theta."""
    x = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, 2.0]], dtype=torch.float64)
    augmentation = Augmentation(Beta(1.0, 1.0), masks.Mixup((2,)))
    mixed = taylor_loss(lambda z: 3 * z[:, 1], Logistic(), x, torch.ones(4), augmentation).total
    return mixed, math.log(2) / 2


def _for_every_network(trial: Trial) -> Corrected:
    general, figures = holds_for_any_law(theorem_b1, HIDDEN, trial)
    figures["R~ as printed less what p^ = p/2 gives"] = str(derived_gaps())
    holds = [general, derived_gaps() == {0}, linear_part_is_enough()]
    for reading, formula in READINGS.items():
        family = Family(planted(formula, trial), HIDDEN)
        found = search(family.sides, family.parameters, seed=trial.seed, **EFFORT)
        least = family.again(found.at)
        figures |= found.figures(reading)
        figures[f"{reading}: L~_mix - mean l~_adv in the worst case, by the library"] = least
        holds += [found.worst <= 0 < least]
    statement = (
        "for centred data, l~_adv with delta^2/2, and tau'' the largest |grad f| over the sample and Theta*: "
        "wherever at least p/2 of the samples have |cos(x_i, grad f)| >= tau and |grad f| >= tau' for all theta in "
        "Theta*, which has probability at least 1 - exp(-n p^2/2) for independent x_i (those of a sample centred by "
        "its own mean are not: count there), L~_mix >= mean l~_adv(R~ c_x E_D~[1-lambda] sqrt(d)) for every theta in "
        "Theta*, a set in Theta (no minimiser is needed); R~ as printed with (2-p) tau''^2 / 4, or its second part "
        "alone, p kappa_1 tau' / (p kappa_1 tau' + (2-p) kappa_2 tau''), which is enough. For any mask law and label "
        "rule, any mean of the data, networks with biases and zero Hessian, wherever all (2 y_i - 1) grad f . z_i >= "
        "0: the same with the seen deviations z_i = n * (x_i - xbar), n_j = E[N_j] over both roles, in the place of "
        "the x_i in the cosines, and R~ min|z_i| for the radius"
    )
    return Corrected(statement, verdict_of(all(holds)), Evidence("deterministic", figures))
