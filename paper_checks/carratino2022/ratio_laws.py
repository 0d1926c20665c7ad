"""The slides' laws of lambda and their moments.

theta = max(lambda, 1 - lambda); for a law symmetric about 1/2 it is lambda given that it lies in [1/2, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp
import torch

from msda_theory import Beta
from msda_theory.folded_ratios import Folded, UpperHalf
from msda_theory.ratios import RatioLaw
from msda_theory.w_ratios import WShaped
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import claim
from verify.tolerances import rounding

A = sp.Symbol("a", positive=True)
ANGLE, X = sp.symbols("phi x", positive=True)
PRINTED = (sp.Rational(3, 4), sp.Rational(1, 32))


@dataclass(frozen=True)
class Moments:
    """thetabar and sigma^2."""

    mean: sp.Expr
    var: sp.Expr

    @staticmethod
    def of(first: sp.Expr, second: sp.Expr) -> Moments:
        return Moments(sp.simplify(first), sp.simplify(second - first**2))

    @property
    def printed_ratio(self) -> sp.Expr:
        return sp.simplify(self.var / self.mean**2)

    @property
    def strength(self) -> sp.Expr:
        """sigma^2 + gamma^2."""
        return sp.expand(2 * self.var + (1 - self.mean) ** 2)

    def agrees(self, law: RatioLaw) -> bool:
        """The library's moments of theta, to rounding."""
        theta = Folded(law)
        allowed = rounding(torch.float64, 1.0, 64)
        return abs(theta.mean - float(self.mean)) <= allowed and abs(theta.var - float(self.var)) <= allowed


def arcsine() -> Moments:
    """Beta(1/2, 1/2) on [1/2, 1]: lambda = (1 + cos phi)/2 with phi uniform on [0, pi/2]."""
    share = (1 + sp.cos(ANGLE)) / 2
    first, second = (sp.integrate(share**k, (ANGLE, 0, sp.pi / 2)) * 2 / sp.pi for k in (1, 2))
    return Moments.of(first, second)


def w_shaped() -> Moments:
    """theta = (1 + X)/2, X = (1 + cos phi)/2 with phi uniform on [0, pi]."""
    share = (1 + (1 + sp.cos(ANGLE)) / 2) / 2
    first, second = (sp.integrate(share**k, (ANGLE, 0, sp.pi)) / sp.pi for k in (1, 2))
    return Moments.of(first, second)


def beta_variance() -> sp.Expr:
    """E X^2 - (E X)^2, E X^k = int x^k dbeta(a, a) dx = B(a+k, a) / B(a, a)."""
    first, second = (sp.gamma(A + k) / sp.gamma(2 * A + k) * sp.gamma(2 * A) / sp.gamma(A) for k in (1, 2))
    return sp.gammasimp(second - first**2)


@claim("carratino2022:beta-var", fault="1/(4(a+1))")
def variance_of_beta(trial: Trial) -> Finding:
    found = beta_variance()
    printed = 1 / (4 * (trial.plant(2 * A, A) + 1))
    masses = {
        n: sp.integrate((sp.gamma(2 * n) / sp.gamma(n) ** 2 * X ** (n - 1) * (1 - X) ** (n - 1)).expand(), (X, 0, 1))
        for n in (1, 2, 3, 5)
    }
    figures = {
        "Var X": str(sp.factor(found)),
        "integral of the density, a = 1, 2, 3, 5": ", ".join(map(str, masses.values())),
    }
    holds = sp.simplify(found - printed) == 0 and set(masses.values()) == {sp.S.One}
    return Finding(verdict_of(holds), "E X^k = B(a+k, a)/B(a, a), for every a > 0", Evidence("symbolic", figures))


@claim("carratino2022:beta-half", fault="E|2 lambda - 1| = 1/2, that of the uniform law")
def half_of_beta(trial: Trial) -> Finding:
    right = arcsine()
    fails = (right.mean, right.var) != PRINTED
    reason = (
        "3/4 and Var(X)/4 = 1/32 are the moments of (1 + X)/2; Beta(1/2, 1/2) cut to [1/2, 1] is another law, with "
        "more mass next to 1. (thetabar = 3/4 is right for the uniform law alone)"
    )
    shown = {
        "printed": "3/4, 1/32",
        "thetabar": f"{right.mean} = {float(right.mean):.6f}",
        "sigma^2": f"{right.var} = {float(right.var):.6f}",
    }
    return Finding(verdict_of(not fails), reason, Evidence("symbolic", shown), _half_corrected(right, trial))


def _half_corrected(at_half: Moments, trial: Trial) -> Corrected:
    """E|2 lambda - 1|: (2 lambda - 1)^2 has the law Beta(1/2, a)."""
    spread = trial.plant(sp.gamma(A + sp.S.Half) / (sp.sqrt(sp.pi) * sp.gamma(A + 1)), sp.S.Half)
    general = Moments((1 + spread) / 2, (1 / (2 * A + 1) - spread**2) / 4)
    special = (
        sp.simplify(general.mean.subs(A, sp.S.Half) - at_half.mean),
        sp.simplify(general.var.subs(A, sp.S.Half) - at_half.var),
    )
    agree = {
        a: Moments(general.mean.subs(A, a), general.var.subs(A, a)).agrees(Beta(float(a), float(a)))
        for a in map(sp.Rational, ("1/10", "1/2", "1", "2", "7"))
    }
    halves = abs(UpperHalf(Beta(0.5, 0.5)).mean - float(at_half.mean)) <= rounding(torch.float64, 1.0, 64)
    figures = {
        "a = 1/2, less the integrals": ", ".join(map(str, special)),
        "equal to the library's moments at a = 1/10, 1/2, 1, 2, 7": all(agree.values()),
    }
    statement = (
        "for Beta(1/2, 1/2) thetabar = 1/2 + 1/pi and sigma^2 = 1/8 - 1/pi^2; for Beta(a, a) thetabar = 1/2 + e/2 and "
        "sigma^2 = (1/(2a+1) - e^2)/4 with e = Gamma(a + 1/2) / (sqrt(pi) Gamma(a+1))"
    )
    return Corrected(
        statement,
        verdict_of(set(special) == {sp.S.Zero} and all(agree.values()) and halves),
        Evidence("symbolic", figures),
    )


@claim("carratino2022:beta-w", fault="Var(X)/2 for Var(X)/4")
def w_of_beta(trial: Trial) -> Finding:
    found = w_shaped()
    printed = (PRINTED[0], trial.plant(1, 2) * PRINTED[1])
    agrees = found.agrees(WShaped(0.5, 0.5))
    figures = {"thetabar": str(found.mean), "sigma^2": str(found.var), "equal to the library's": agrees}
    reason = "lambda is symmetric about 1/2, for 1 - X/2 has the law of (1 + X)/2, and theta = (1 + X)/2"
    return Finding(verdict_of((found.mean, found.var) == printed and agrees), reason, Evidence("symbolic", figures))


@claim("carratino2022:beta-ratio", fault="sigma^2/thetabar, as printed, for sigma^2/thetabar^2")
def ratio_values(trial: Trial) -> Finding:
    laws = {"Beta(1/2, 1/2)": arcsine(), "W": w_shaped()}
    printed = sp.Rational(1, 24)
    figures = {f"sigma^2/thetabar, {name}": str(sp.simplify(m.var / m.mean)) for name, m in laws.items()}
    figures |= {
        f"sigma^2/thetabar^2, {name}": f"{m.printed_ratio} = {float(m.printed_ratio):.5f}" for name, m in laws.items()
    }
    fails = all(m.printed_ratio != printed for m in laws.values())
    reason = (
        "sigma^2/thetabar^2 is what the slides say governs the strength; the two slides compute sigma^2/thetabar, and "
        "from the wrong moments for Beta(1/2, 1/2): the laws come out alike, and are not"
    )
    return Finding(verdict_of(not fails), reason, Evidence("symbolic", figures), _ratio_corrected(laws, trial))


def _ratio_corrected(laws: dict[str, Moments], trial: Trial) -> Corrected:
    half, w = laws["Beta(1/2, 1/2)"], laws["W"]
    power = trial.plant(2, 1)
    ratios = [sp.simplify(m.var / m.mean**power) for m in (half, w)]
    expected = [(sp.pi**2 - 8) / (2 * (sp.pi + 2) ** 2), sp.Rational(1, 18)]
    strengths = [
        sp.simplify(m.strength - s) for m, s in ((half, sp.S.Half - 1 / sp.pi - 1 / sp.pi**2), (w, sp.Rational(1, 8)))
    ]
    gaps = [sp.simplify(r - e) for r, e in zip(ratios, expected, strict=True)]
    statement = (
        "sigma^2/thetabar^2 is (pi^2 - 8) / (2 (pi + 2)^2) = 0.0354 for Beta(1/2, 1/2) and 1/18 = 0.0556 for the W; "
        "the mean strength sigma^2 + gamma^2 is 1/2 - 1/pi - 1/pi^2 = 0.0804 and 1/8 = 0.125"
    )
    figures = {"ratios less these": ", ".join(map(str, gaps)), "strengths less these": ", ".join(map(str, strengths))}
    return Corrected(statement, verdict_of(set(gaps + strengths) == {sp.S.Zero}), Evidence("symbolic", figures))
