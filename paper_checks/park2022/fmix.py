"""Appendix I: do the theorems apply to FMix as they stand?"""

from __future__ import annotations

import numpy as np
import sympy as sp
import torch

from msda_theory.masks import FMix
from msda_theory.symbolic import seen_moments
from paper_checks.exact_cases import RATIOS, exact_cases, is_nonzero, is_zero, problem, readable
from paper_checks.findings import DEPENDS, FAILS, Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.park2022.rewriting import derivation_figures
from paper_checks.park2022.theorem1 import printed_terms
from paper_checks.registry import claim
from verify.tiny_fmix import four_pixels, three_pixels
from verify.tiny_laws import Number, TinyLaw
from verify.tiny_problems import expansion, msda_loss, tilted_loss, tilted_moments
from verify.tolerances import monte_carlo

DRAWS = 20_000


def complement_gaps() -> list[sp.Expr]:
    """The paper's moments less those seen over both roles, where M(lambda) and 1-M(1-lambda) have one law.

    Then mu(1-lambda) = 1-mu and a_jk(1-lambda) = E[M_j M_k | lambda] = mu_j + mu_k - 1 + a_jk; and
    E_D~ g = E_D[lambda g(lambda) + (1-lambda) g(1-lambda)].
    """
    ratio, mu_j, mu_k, a = sp.symbols("lambda mu_j mu_k a_jk")
    seen_first = ratio * (1 - mu_j) + (1 - ratio) * mu_j
    seen_second = a + (1 - ratio) * (mu_j + mu_k - 1)
    first = ratio * (1 - mu_j) + (1 - ratio) * (1 - (1 - mu_j))
    second = ratio * a + (1 - ratio) * (mu_j + mu_k - 1 + a)
    return [sp.expand(first - seen_first), sp.expand(second - seen_second)]


def printed_gaps(law: TinyLaw, trial: Trial) -> list[Number]:
    """(4) less (6)-(9), on centred data."""
    return [
        msda_loss(p, law, ratio) - printed_terms(p, law, ratio, trial).total
        for p, ratio in exact_cases(law, centred=True)
    ]


def own_mean_gaps(law: TinyLaw, trial: Trial) -> list[Number]:
    """(4) less (6)-(9) with E_D~[1-mu] for E_D~[1-lambda] in R1; planted: D for D~."""
    cases = list(exact_cases(law, centred=True))
    moments = {ratio: tilted_moments(law, trial.plant(ratio.tilted_density, ratio.density)) for _, ratio in cases}
    return [msda_loss(p, law, ratio) - expansion(p, moments[ratio]).total for p, ratio in cases]


def rewriting_gaps(law: TinyLaw) -> list[Number]:
    """(4) less (14): of the law itself, whatever its mean."""
    p = problem(law.size, 2, linear=True, centred=False)
    return [msda_loss(p, law, ratio) - tilted_loss(p, law, ratio.tilted_density) for ratio in RATIOS[1:]]


def sampler_asymmetry(seed: int) -> tuple[float, float]:
    """Largest |E[M_j M_k | lambda] - E[(1-M_j)(1-M_k) | 1-lambda]|, by displacement and in standard errors."""
    law, ratio, rng = FMix((6, 6)), torch.full((DRAWS,), 0.3, dtype=torch.float64), np.random.default_rng(seed)
    kept, gone = law.sample(ratio, rng), 1 - law.sample(1 - ratio, rng)
    first, second = (torch.fft.ifft2(torch.fft.fft2(v).abs() ** 2).real.flatten(1)[:, 1:] / 36 for v in (kept, gone))
    errors = ((first.var(0) + second.var(0)) / DRAWS).sqrt()
    off = (first.mean(0) - second.mean(0)).abs() / errors
    return float(off.max()), monte_carlo(1.0, comparisons=off.numel())


@claim("park2022:appI-fmix", fault="E(1-lambda) for E[(1-M_j)(1-M_k)] in R2 and R3")
def fmix(trial: Trial) -> Finding:
    exact_mean, by_coin = ([make(coin=coin) for make in (three_pixels, four_pixels)] for coin in (False, True))
    holds = [g for law in exact_mean for g in printed_gaps(law, trial)]
    off = {law.name: printed_gaps(law, Trial(trial.seed))[0] for law in by_coin}
    rewritten = [g for law in (*exact_mean, *by_coin) for g in rewriting_gaps(law)]
    derivation, identities = seen_moments(), complement_gaps()
    deviation, allowed = sampler_asymmetry(trial.seed)
    figures = {
        **derivation_figures(derivation),
        "printed moments less those seen, complement-symmetric masks": ", ".join(map(str, identities)),
        "(4) - printed, E[M] = lambda": ", ".join(sorted(set(map(readable, holds)))),
        **{f"(4) - printed, {name}": readable(g) for name, g in off.items()},
        "(4) - (14), both roundings": ", ".join(sorted(set(map(readable, rewritten)))),
        f"sampler, {DRAWS} draws, asymmetry in standard errors": deviation,
        "allowed (false alarm 1e-6)": allowed,
    }
    symmetric = derivation.holds and not any(identities) and all(map(is_zero, rewritten)) and deviation <= allowed
    first = symmetric and all(map(is_zero, holds))
    verdict = DEPENDS if first and all(map(is_nonzero, off.values())) else FAILS
    reason = (
        "-g has the law of the noise g, so 1-M(1-lambda) has that of M(lambda), and (13)-(14), R2 and R3 are right. Of "
        "FMix with E[M] = lambda, as sec. 2 assumes (lambda d ones, rounded up with the probability of the fraction), "
        "Theorem 1 holds; as its code rounds, up or down by a coin, E[M] is off by up to 1/(2d) and R1 with it. Judged "
        "is Theorem 1 and, of 3 and 4, what they ask of the mask: the same; Theorem 2 names no method"
    )
    return Finding(verdict, reason, Evidence("exact", figures), _with_own_mean([*exact_mean, *by_coin], trial))


def _with_own_mean(laws: list[TinyLaw], trial: Trial) -> Corrected:
    gaps = [g for law in laws for g in own_mean_gaps(law, trial)]
    statement = (
        "with E_D~[1-mu_j], mu = E[M | lambda], for E_D~[1-lambda] in R1, (6)-(9) hold for FMix however it rounds, as "
        "long as up at lambda is as likely as down at 1-lambda"
    )
    figures = {"cases": len(gaps), "gaps": ", ".join(sorted(set(map(readable, gaps))))}
    return Corrected(statement, verdict_of(all(map(is_zero, gaps))), Evidence("exact", figures))
