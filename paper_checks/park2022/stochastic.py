"""Section 4: Stochastic Mixup & CutMix, its mask and its coefficient."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product

from flint import fmpq

from msda_theory.symbolic import stochastic_coefficient
from paper_checks.exact_cases import BOX_SAMPLERS, HALF, RATIOS, described, problem
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.coefficients import largest
from paper_checks.park2022.enumeration import gaps, law_second_moment
from paper_checks.park2022.rewriting import derivation_figures
from paper_checks.registry import claim
from verify.tiny_laws import Cell, Mask, Number, TinyLaw, cutmix, mixup
from verify.tiny_problems import BetaInt, msda_loss

IMAGE = (2, 3)
CHANCES = (fmpq(1, 4), HALF, fmpq(9, 10))
#: one inside each cell of the 2 x 3 box laws
AT = (fmpq(1, 3), fmpq(3, 5), fmpq(4, 5), fmpq(19, 20))

Share = Callable[[Number], Number]


def of_mixup(lam: Number) -> Number:
    return lam


def as_printed(lam: Number) -> Number:
    return 1 - lam


def alternated(q: fmpq, sampler: str, share: Share) -> TinyLaw:
    """M = share(lambda) with probability q and CutMix's mask with probability 1-q."""
    boxes = cutmix(*IMAGE, sampler)

    def joined(box: Cell) -> Cell:
        def atoms(lam: Number) -> list[tuple[Number, Mask]]:
            return [(q, [share(lam)] * boxes.size), *(((1 - q) * p, mask) for p, mask in box.atoms(lam))]

        return Cell(box.left, box.right, atoms)

    return TinyLaw(f"Stochastic ({sampler})", boxes.size, tuple(joined(cell) for cell in boxes.cells))


PROBLEM = problem(IMAGE[0] * IMAGE[1], 2, linear=False, centred=False)


@cache
def alternation(q: fmpq, sampler: str, ratio: BetaInt) -> fmpq:
    """q times the loss (5) of Mixup and 1-q times that of CutMix."""
    mixed, boxed = msda_loss(PROBLEM, mixup(len(PROBLEM.w)), ratio), msda_loss(PROBLEM, cutmix(*IMAGE, sampler), ratio)
    return q * mixed + (1 - q) * boxed


def loss_gaps(share: Share) -> list[fmpq]:
    """(4) with the alternated mask, less the alternation of the two losses."""
    q, cases = CHANCES[0], product(BOX_SAMPLERS, RATIOS)
    return [msda_loss(PROBLEM, alternated(q, s, share), ratio) - alternation(q, s, ratio) for s, ratio in cases]


@claim("park2022:stochastic-def", fault="M = 1-lambda kept in the corrected mask")
def stochastic_mask(trial: Trial) -> Finding:
    """The alternation of the two augmentations has the average of their losses."""
    wrong, right = loss_gaps(as_printed), loss_gaps(trial.plant(of_mixup, as_printed))
    figures = {
        "loss (4) of the printed mask less the average of the two": largest(wrong),
        "for Beta(1,1), boxes as (10) counts, q = 1/4": str(wrong[0]),
        "problem": described(alternated(CHANCES[0], "printed", as_printed), PROBLEM, RATIOS[0]),
        "E[M] - lambda of the Mixup part": "1 - 2 lambda",
    }
    derivation = stochastic_coefficient(fault=trial.plant(None, "mask"))
    corrected = Corrected(
        "M = lambda 1 with probability q, which is Mixup (2), and the mask of CutMix with probability 1-q; then the "
        "loss is q times Mixup's and 1-q times CutMix's",
        verdict_of(derivation.holds and all(g == 0 for g in right)),
        Evidence("symbolic", {**derivation_figures(derivation), "largest gap of the losses": largest(right)}),
    )
    reason = (
        "M = (1-lambda) 1 mixes (1-lambda) x_i + lambda x_j under the label lambda y_i + (1-lambda) y_j: not Mixup, "
        "E[M] is not lambda, and the loss is another, for equal alpha and beta too"
    )
    return Finding(verdict_of(all(g == 0 for g in wrong)), reason, Evidence("exact", figures), corrected)


def coefficient_gaps(share: Share, q: fmpq, weight: fmpq) -> list[fmpq]:
    """Of the alternated mask, less `weight` times Mixup's (1-lambda)^2 and 1-weight times CutMix's."""
    found: list[fmpq] = []
    for sampler in BOX_SAMPLERS:
        for lam in AT:
            box = law_second_moment(cutmix(*IMAGE, sampler), lam)
            stated = [[weight * (1 - lam) ** 2 + (1 - weight) * a for a in row] for row in box]
            found += gaps(law_second_moment(alternated(q, sampler, share), lam), stated)
    return found


@claim("park2022:stochastic-coef", fault="q a_cutmix + (1-q) a_mixup kept")
def stochastic_average(trial: Trial) -> Finding:
    """q is the probability of Mixup: the weights are exchanged in print, which q = 1/2 hides."""
    swapped = {q: coefficient_gaps(of_mixup, q, 1 - q) for q in CHANCES}
    literal = {q: coefficient_gaps(as_printed, q, 1 - q) for q in CHANCES}
    right = {q: coefficient_gaps(of_mixup, q, trial.plant(q, 1 - q)) for q in CHANCES}
    figures = {f"a_jk less the printed average, q = {q}": largest(g) for q, g in swapped.items()}
    figures |= {f"the same with M = (1-lambda) 1, q = {q}": largest(g) for q, g in literal.items()}
    derivation = stochastic_coefficient(fault=trial.plant(None, "swap"))
    corrected = Corrected(
        "q a_mixup + (1-q) a_cutmix, with M = lambda 1 for Mixup; a_cutmix is (10) if the box is placed as (10) counts",
        verdict_of(derivation.holds and all(g == 0 for each in right.values() for g in each)),
        Evidence(
            "symbolic",
            {**derivation_figures(derivation), **{f"largest gap, q = {q}": largest(g) for q, g in right.items()}},
        ),
    )
    reason = (
        "with probability q the mask is Mixup's, so q weighs Mixup's coefficient, not CutMix's; at q = 1/2, the value "
        "that the paper uses, the two agree, if the Mixup part is lambda 1"
    )
    holds = all(g == 0 for each in swapped.values() for g in each)
    return Finding(verdict_of(holds), reason, Evidence("exact", figures), corrected)
