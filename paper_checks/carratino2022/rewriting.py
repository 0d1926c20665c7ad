"""Mixup as perturbed ERM: the split of lambda, Theorem 1, the laws for which it holds, and Lemma 2."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from flint import fmpq

from msda_theory import Augmentation, Beta, Discrete, Mixture, RatioLaw, exact_loss, perturbed_loss
from msda_theory.expansions import perturbed_data
from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.masks import Mixup
from msda_theory.symbolic import half_split, perturbation_covariances, perturbed_form
from paper_checks.carratino2022.printed import AT_HALF, LAWS, SKEW, SQUARE, SYMMETRIC, bent
from paper_checks.exact_cases import readable
from paper_checks.findings import DEPENDS, FAILS, Evidence, Finding, Trial, verdict_of
from paper_checks.orders import smooth_digits
from paper_checks.park2022.rewriting import derivation_figures
from paper_checks.registry import claim
from verify import tolerances
from verify.tiny_perturbed import Perturbed, TinyMixup, TinyRatio, mixup_loss, pair_loss
from verify.tiny_problems import Matrix

IMAGE, RTOL = (4, 3), 1e-9
#: what Theorem 1 states, and what it does not: unequal parameters, atoms, mass at 1/2
FLOAT_LAWS: tuple[RatioLaw, ...] = (
    Beta(0.5, 0.5),
    Beta(0.3, 2.0),
    Mixture((0.5, 0.5), (Beta(1.0, 1.0), Discrete((0.5, 0.2), (0.5, 0.5)))),
)


@claim("carratino2022:split", fault="m_ij for m_ji in the lower half")
def split(trial: Trial) -> Finding:
    """E m_ij = (E m_ji(lambda_1') + E m_ij(lambda_1))/2 for each pair, the halves as conditional laws."""
    derivation = half_split(fault=trial.plant(None, "exchange"))
    problem, gaps = bent(3), []
    for law in SYMMETRIC:
        half = law.conditioned()
        for i, j in ((0, 1), (1, 2), (2, 0)):
            lower = trial.plant((j, i), (i, j))
            halves = half.mean(lambda t, i=i, j=j, k=lower: _both_halves(problem, i, j, k, t))  # type: ignore[misc]
            gaps.append(law.mean(lambda t, i=i, j=j: pair_loss(problem, i, j, t)) - halves)  # type: ignore[misc]
    figures = {
        **derivation_figures(derivation),
        "rational cases": len(gaps),
        "largest gap": readable(max(gaps, key=abs)),
    }
    holds = derivation.holds and all(g == 0 for g in gaps)
    reason = "a density symmetric about 1/2 gives each half probability 1/2, and m_ij(1-lambda) = m_ji(lambda)"
    return Finding(verdict_of(holds), reason, Evidence("symbolic", figures))


def _both_halves(p: TinyMixup, i: int, j: int, lower: tuple[int, int], theta: fmpq) -> fmpq:
    return (pair_loss(p, *lower, theta) + pair_loss(p, i, j, theta)) / 2


@claim("carratino2022:thm1", fault="the samples exchanged in the labels' perturbation alone")
def theorem1(trial: Trial) -> Finding:
    """The loss, x~ as the mean of the mixed point, perturbations with mean zero: Beta(alpha, alpha), any f and l."""
    derivation = perturbed_form(fault=trial.plant(None, "exchange"))
    gaps = _rewriting_gaps(SYMMETRIC, TinyRatio.conditioned, trial)
    means = [value for law in SYMMETRIC for value in _mean_perturbations(Perturbed(bent(3), law.conditioned()))]
    library = _library_gap(FLOAT_LAWS[0])
    figures = {
        **derivation_figures(derivation),
        "rational cases": len(gaps),
        "largest gap": readable(max(gaps, key=abs)),
        "largest mean of a perturbation": readable(max(means, key=abs)),
        "tanh network on digits, gap": library[0],
        "its tolerance": library[1],
    }
    holds = derivation.holds and all(value == 0 for value in (*gaps, *means)) and library[0] <= library[1]
    reason = (
        "an identity for every f and every l, no derivative needed; the data may have any mean and the labels any "
        "balance (the sum over j includes j = i)"
    )
    return Finding(verdict_of(holds), reason, Evidence("symbolic", figures))


def _rewriting_gaps(laws: tuple[TinyRatio, ...], half: Callable[[TinyRatio], TinyRatio], trial: Trial) -> list[fmpq]:
    """The Mixup loss less the perturbed one, theta by `half` of the law."""
    return [
        mixup_loss(bent(m), law) - Perturbed(bent(m), half(law)).loss(exchanged=trial.faulty)
        for law in laws
        for m in (2, 3)
    ]


def _mean_perturbations(perturbed: Perturbed) -> list[fmpq]:
    """m E delta_i and m E eps_i, coordinate by coordinate."""
    p, mean, m = perturbed.problem, perturbed.mean, range(len(perturbed.problem.x))

    def summed(rows: Matrix, i: int, k: int) -> fmpq:
        return perturbed.theta.mean(lambda t: sum(perturbed.perturbation(rows, i, j, t, mean)[k] for j in m))

    return [summed(rows, i, k) for rows in (p.x, p.y) for i in m for k in range(len(rows[0]))]


@cache
def _library_gap(law: RatioLaw) -> tuple[float, float]:
    """|perturbed loss - exact loss| of a tanh network with ten outputs on four digits, and what may be rounding."""
    model, x, y = smooth_digits(IMAGE)
    data = model, SoftmaxCrossEntropy(), x[:4], y[:4]
    exact = exact_loss(*data, Augmentation(law, Mixup(IMAGE)), rtol=RTOL)
    perturbed = perturbed_loss(*data, law, rtol=RTOL)
    rounding = tolerances.rounding(torch.float64, abs(exact.value), x[0].numel() ** 2)
    return abs(exact.value - perturbed.value), exact.error + perturbed.error + rounding


@claim("carratino2022:any-law", fault="the samples exchanged in the labels' perturbation alone")
def any_law(trial: Trial) -> Finding:
    """theta = max(lambda, 1-lambda) for every law; lambda on [1/2, 1] for symmetric laws, mass at 1/2 or not."""
    derivation = half_split(fault=trial.plant(None, "label"))
    folded = _rewriting_gaps(LAWS, TinyRatio.folded, trial)
    densities = _rewriting_gaps(SYMMETRIC, TinyRatio.conditioned, trial)
    atom, uneven = (mixup_loss(SQUARE, law) - Perturbed(SQUARE, law.conditioned()).loss() for law in (AT_HALF, SKEW))
    library = [_library_gap(law) for law in FLOAT_LAWS]
    figures = {
        **derivation_figures(derivation),
        "theta = max(lambda, 1-lambda), rational cases": len(folded),
        "its largest gap": readable(max(folded, key=abs)),
        "laws": "; ".join(law.name for law in LAWS),
        "symmetric density, lambda on [1/2, 1], largest gap": readable(max(densities, key=abs)),
        f"{AT_HALF.name}, lambda on [1/2, 1], gap": readable(atom),
        f"{SKEW.name}, lambda on [1/2, 1], gap": readable(uneven),
        "counterexample": "f(x) = x, l = u^2/2, x_1 = 0, x_2 = 1: the Mixup loss less that with lambda on [1/2, 1]",
        "tanh network on digits, gap / tolerance": max(gap / allowed for gap, allowed in library),
    }
    both = derivation.holds and all(g == 0 for g in (*folded, *densities)) and all(g <= t for g, t in library)
    reason = (
        "with theta = max(lambda, 1-lambda) every law of lambda will do, symmetric or not, and every law on [1/2, 1] "
        "is such a theta; with theta as lambda restricted to [1/2, 1], as the note says, every symmetric density will "
        "do (its word is pdf), but not a symmetric law with mass at 1/2, which then counts twice, nor an asymmetric "
        "one; a law on [1/2, 1] that is itself symmetric about 1/2, as the last slides read word for word, is the "
        "point mass at 1/2 alone"
    )
    verdict = DEPENDS if both and atom != 0 and uneven != 0 else FAILS
    return Finding(verdict, reason, Evidence("symbolic", figures))


@claim("carratino2022:lemma2", fault="sigma^2 + 1 - thetabar for gamma^2")
def lemma2(trial: Trial) -> Finding:
    """The printed covariances against their definition, entry by entry, for every law; and the library's."""
    derivation = perturbation_covariances(fault=trial.plant(None, "square"))
    gaps, p = [], bent(3)
    for law in LAWS:
        perturbed = Perturbed(p, law.folded())
        for rows in ((p.x, p.x), (p.x, p.y), (p.y, p.y)):
            for i in range(len(p.x)):
                gap = perturbed.enumerated(i, *rows) - perturbed.covariance(i, *rows, unsquared=trial.faulty)
                gaps += gap.entries()
    worst, allowed = _library_covariances(Beta(0.3, 2.0))
    figures = {
        **derivation_figures(derivation),
        "rational entries": len(gaps),
        "largest gap": readable(max(gaps, key=abs)),
        "library, largest gap": worst,
        "its tolerance": allowed,
    }
    holds = derivation.holds and all(g == 0 for g in gaps) and worst <= allowed
    reason = "for every law of theta with these moments; Sigma_xx itself is that of the samples times thetabar^2"
    return Finding(verdict_of(holds), reason, Evidence("symbolic", figures))


def _library_covariances(law: RatioLaw) -> tuple[float, float]:
    """The library's covariances against sums over partners and nodes of theta, in float64."""
    x, y = (
        torch.tensor([[float(v) for v in row] for row in rows], dtype=torch.float64) for rows in (bent(4).x, bent(4).y)
    )
    data = perturbed_data(x, y, law)
    rule = data.theta.rule(8)
    nodes, mass = torch.from_numpy(rule.ratio), torch.from_numpy(rule.mass)
    found, gap = data.covariances(), 0.0
    for i in range(len(x)):
        pairs = [
            data.perturbation(nodes, torch.full((len(nodes),), i), torch.full((len(nodes),), j)) for j in range(len(x))
        ]
        for name, (a, b) in {"xx": (0, 0), "xy": (0, 1), "yy": (1, 1)}.items():
            mean = sum(torch.einsum("n,na,nb->ab", mass, pair[a], pair[b]) for pair in pairs) / len(x)
            gap = max(gap, float((getattr(found, name)[i] - mean).abs().max()))
    scale = float(torch.cat([x, y], 1).square().sum(1).max())
    return gap, tolerances.rounding(torch.float64, scale, 8 * len(nodes))
