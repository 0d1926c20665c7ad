"""Theorem 3: the approximate MSDA loss against the second-order adversarial loss, Mixup and CutMix.

L~ is read with E[r] = 0, as Theorem 1 assumes; eps_i, which Theorem 3 does not define, as in Zhang et al.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from flint import fmpq
from torch import Tensor

from msda_theory import Augmentation, Beta, ZeroHessianNotice, masks, taylor_loss
from msda_theory.augmentation import SeenMoments
from msda_theory.bounds import adversarial_taylor, robust_radii
from msda_theory.expansions import taylor_terms
from msda_theory.losses import Logistic
from paper_checks.attacked_cases import SLACK, added_to_second_order, centred, printed_reach, regularisers, relu, split
from paper_checks.exact_cases import tiny_laws
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.meeting_laws import MEETING, UNIFORM, as_tensors
from paper_checks.refuted import certified
from paper_checks.registry import claim
from paper_checks.robust_any_law import exact_gaps, searched
from paper_checks.zhang2021.adversarial_theorem import proof
from verify.tiny_problems import tilted_moments, two_role_moments
from verify.violations import search

SAMPLES, HIDDEN = 4, 3
PRINTED = (
    "||x_i|| <= c_x sqrt(d) is the wrong way round, so that c_x and the radius can be as large as one likes; turned "
    "round, the d in eta^2 d / 2 is one too many (as in zhang2021:thm3.3); s has a sign, so for E[M] = lambda a sample "
    "of class 0 in Theta makes eps_cut < 0, no radius; eps_i is not defined; and a parallel translation to E[r] = 0 "
    "takes f = grad f . x away, so that centred data are an assumption"
)


def printed_cut(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, augmentation: Augmentation) -> float:
    """eps_cut sqrt(d) with the least c_x that ||x_i|| <= c_x sqrt(d) allows."""
    radii = robust_radii(model, x, y, augmentation)
    return float(x.flatten(1).norm(dim=1).max()) * min(radii.smallest * radii.share, float(radii.covered.min()))


def absolute(v: Tensor) -> Tensor:
    """relu(x_1) + relu(-x_1)."""
    first = v.flatten(1)[:, 0]
    return first.relu() + (-first).relu()


def meeting_sides(rows: Tensor, first: Tensor, second: Tensor, trial: Trial) -> tuple[Tensor, Tensor]:
    """A mask law with E[M] = lambda, networks without biases, centred data in Theta, the corrected radii.

    Planted: the longest sample for the shortest in c_x.
    """
    size = second.shape[-1]
    x, inner, outer = split(rows, (SAMPLES, size), (HIDDEN, size), (HIDDEN,))
    cases = relu(centred(x), inner, outer)
    norm = trial.plant(cases.norms.amin(1, keepdim=True), cases.norms.amax(1, keepdim=True))
    reach = printed_reach(cases, first[0], norm)
    return added_to_second_order(cases, reach), regularisers(cases, first.unsqueeze(0), second.unsqueeze(0))


def printed_sides(rows: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Inside the printed hypotheses, where eps_cut > 0: a mask law with E[M] = lambda, centred data of class 1, f > 0,
    the least c_x that ||x_i|| <= c_x sqrt(d) allows.
    """
    size = second.shape[-1]
    x, inner, outer = split(rows, (SAMPLES, size), (HIDDEN, size), (HIDDEN,))
    cases = relu(centred(x), inner, outer.abs())
    cases = cases.labelled(torch.ones_like(cases.f))
    length = cases.slope.norm(dim=2)
    cosine = ((cases.slope * cases.x).sum(2) / (length * cases.norms)).amin(1, keepdim=True)
    reach = cosine * first[0] * cases.norms.amax(1, keepdim=True) * length
    upper = regularisers(cases, first.unsqueeze(0), second.unsqueeze(0))
    return added_to_second_order(cases, reach, float(size)), upper


def row_length(size: int) -> int:
    return SAMPLES * size + HIDDEN * size + HIDDEN


@claim("park2022:thm3[mixup]", fault="max for min of ||x_i|| in the corrected c_x")
def theorem3_mixup(trial: Trial) -> Finding:
    x, y = torch.tensor([[-2.0], [1.0], [1.0]], dtype=torch.float64), torch.ones(3)
    augmentation = Augmentation(Beta(1.0, 1.0), masks.Mixup((1,)))
    radius = printed_cut(absolute, x, y, augmentation)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroHessianNotice)
        mixed = taylor_loss(absolute, Logistic(), x, y, augmentation, as_printed=True).total
    attacked = float(adversarial_taylor(absolute, x, y, radius, as_printed=True).mean())
    refuted, figures = certified("park2022:thm3[mixup]", (mixed, attacked))
    two_classes = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    signed = robust_radii(lambda v: v[:, 0], two_classes, torch.tensor([1, 0]), augmentation).eps_cut
    figures["eps_cut for f = x, x = (1, -1), y = (1, 0)"] = f"{signed:.4f}"
    first, second = as_tensors(two_role_moments(tiny_laws("mixup")[0], UNIFORM))
    printed = search(lambda rows: printed_sides(rows, first, second), row_length(4), seed=trial.seed)
    figures |= printed.figures("as printed")
    found = search(lambda rows: meeting_sides(rows, first, second, trial), row_length(4), seed=trial.seed)
    proved, gaps = proof()
    corrected = Corrected(
        "with ||x_i|| >= c_x sqrt(d), centred data, |s| for s and no d: L~ >= mean of l~_adv(eps_i sqrt(d)), eps_i = "
        "c_x R_i E_D~[1-lambda], and so of eps_cut = eps_mix: Theorem 3.3 of Zhang et al., corrected",
        verdict_of(proved and found.worst <= SLACK),
        Evidence("symbolic", gaps | found.figures("corrected")),
    )
    reason = f"for f = |x|, all of class 1 and centred, all printed hypotheses hold, and the bound fails: {PRINTED}"
    return Finding(
        verdict_of(not (refuted and signed < 0 < printed.worst)), reason, Evidence("enclosure", figures), corrected
    )


@claim("park2022:thm3[cutmix]", fault="E_D~[1-lambda] for n_j in the corrected radii")
def theorem3_cutmix(trial: Trial) -> Finding:
    refuted, figures = certified("park2022:thm3[cutmix]", cutmix_again())
    moments = as_tensors(tilted_moments(MEETING, UNIFORM.tilted_density))
    printed = search(lambda rows: printed_sides(rows, *moments), row_length(4), seed=trial.seed)
    figures |= printed.figures("as printed")
    reason = (
        f"for f = |x_1|, all of class 1 and centred, and a CutMix with E[M] = lambda, all printed hypotheses hold, and "
        f"the bound fails: {PRINTED}. Boxes that stay inside the image do not meet E[M] = lambda, and a sample "
        f"sees both roles: there the radii have to be built from n_j"
    )
    fails = refuted and printed.worst > 0
    return Finding(verdict_of(not fails), reason, Evidence("enclosure", figures), for_any_law(trial))


def for_any_law(trial: Trial) -> Corrected:
    gaps = exact_gaps()
    moments = two_role_moments(MEETING, UNIFORM)
    holds, found = searched(trial)
    meeting = search(
        lambda rows: meeting_sides(rows, *as_tensors(moments), Trial()),
        row_length(4),
        trials=1000,
        ascents=16,
        steps=100,
        seed=trial.seed,
    )
    shares, law = set(moments.first), "both roles, E[M] = lambda, uniform ratios: n_j"
    figures = {
        "exact laws": len(gaps),
        "gap less half h'' times the variance": str(max(gaps, key=abs)),
        law: ", ".join(map(str, shares)),
        **found,
        **meeting.figures("E[M] = lambda"),
    }
    statement = (
        "for any mask law and label rule, any mean of the data, networks with biases and zero Hessian: L~ >= mean of "
        "l~_adv(eta_i) where all eta_i = (2 y_i - 1) grad f . (n * (x_i - xbar)) / |grad f| >= 0, n_j = E[N_j] over "
        "both roles; where E[M] = lambda, the data are centred, f = grad f . x and theta in Theta, eta_i = "
        "E_D~[1-lambda] R_i |x_i|, so eps_cut = eps_mix, with ||x_i|| >= c_x sqrt(d) and no d"
    )
    exact = all(g == 0 for g in gaps) and shares == {fmpq(1, 3)}
    return Corrected(statement, verdict_of(exact and holds and meeting.worst <= SLACK), Evidence("exact", figures))


def cutmix_again() -> tuple[float, float]:
    """L~ from enumerated moments; the radius by Bernoulli masks, which are the same on the one pixel that f sees."""
    x = torch.zeros(3, 2, 2, dtype=torch.float64)
    x[:, 0, 0] = torch.tensor([-1.0, 0.5, 0.5])
    y = torch.ones(3, 1, dtype=x.dtype)
    given = tilted_moments(MEETING, UNIFORM.tilted_density)
    terms = taylor_terms(absolute, Logistic(), x, y, SeenMoments(*as_tensors(given), 0.0), centred=True)
    radius = printed_cut(absolute, x, y, Augmentation(Beta(1.0, 1.0), masks.Bernoulli((2, 2))))
    return float(terms.total), float(adversarial_taylor(absolute, x, y, radius, as_printed=True).mean())
