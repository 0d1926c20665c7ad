"""Moments of the odds against mpmath, the Beta law, quadrature, draws and sympy; and where they diverge."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp
import torch

from msda_theory import Beta, Density, Discrete, Folded, Mixture, RatioLaw, UpperHalf, WShaped
from msda_theory.folded_ratios import Tilted
from msda_theory.odds import odds_moment, odds_order
from msda_theory.quadrature import ToleranceError
from tests.helpers import assert_close
from verify.tolerances import monte_carlo, rounding

FLAT = Density(lambda t: 1 + 0 * t)
PARABOLA = Density(lambda t: t * (1 - t))
SINE = Density(lambda t: np.sin(np.pi * t) ** 2)
COSINE = Density(lambda t: 1 - np.cos(2 * np.pi * t))  # the same law, rounded to zero next to the ends
WEDGE = Density(lambda t: np.where(t < 0.3, t / 0.3, (1 - t) / 0.7), breaks=(0.3,))
AWAY = Density(lambda t: np.where(t > 0.25, 1.0, 0.0), breaks=(0.25,))
WITH_ENDS = Discrete((0.0, 0.3, 0.75, 1.0), (0.1, 0.3, 0.4, 0.2))
INSIDE = Discrete((0.0, 0.3, 0.75, 1.0), (0.0, 0.3, 0.4, 0.3))
MIXTURE = Mixture((0.25, 0.75, 0.0), (Beta(2.5, 2.0), Beta(4.0, 1.0), Beta(0.5, 0.5)))
HALVES: list[RatioLaw] = [
    law
    for inner in (Beta(0.5, 2.0), WITH_ENDS, MIXTURE, PARABOLA, WShaped(1.5, 0.5))
    for law in (Folded(inner), UpperHalf(inner))
]
LAWS: list[tuple[RatioLaw, float]] = [
    (Beta(0.5, 2.0), 0.5),
    (Beta(3.0, 1.0), 3.0),
    (MIXTURE, 2.5),
    (WITH_ENDS, 0.0),
    (INSIDE, math.inf),
    (WShaped(2.5, 0.7), 2.5),
    (FLAT, 1.0),
    (PARABOLA, 2.0),
    (SINE, 3.0),
    (WEDGE, 2.0),
    (AWAY, math.inf),
    *((law, math.inf) for law in HALVES),
    (Beta(0.5, 2.0).tilted(), 1.5),
    (Beta(3.0, 1.5).tilted(), 2.5),
    (MIXTURE.tilted(), 2.0),
    (WITH_ENDS.tilted(), math.inf),
    (WShaped(2.5, 0.7).tilted(), 3.5),
    (FLAT.tilted(), 2.0),
    (PARABOLA.tilted(), 3.0),
    (SINE.tilted(), 4.0),
    (Folded(Beta(0.5, 2.0)).tilted(), 1.5),
    (UpperHalf(Beta(0.5, 2.0)).tilted(), 3.0),
    (UpperHalf(WITH_ENDS).tilted(), math.inf),
    (UpperHalf(MIXTURE).tilted(), 2.0),
    (UpperHalf(FLAT).tilted(), 2.0),
    (UpperHalf(PARABOLA).tilted(), 3.0),
    (Tilted(WITH_ENDS), math.inf),
]


def named(value):
    """A short name without addresses, so that every process collects the same tests."""
    return re.sub(r"<function.*? at 0x\w+>", "f", repr(value))[:60]


every_law = pytest.mark.parametrize(("law", "order"), LAWS, ids=named)


@pytest.mark.parametrize(("a", "b"), [(1.01, 0.01), (2.5, 0.5), (3.0, 7.0), (50.0, 80.0)])
@pytest.mark.parametrize("k", [0.25, 1.0, 2.0, 2.4999, 30.0])
def test_beta_against_mpmath(a: float, b: float, k: float) -> None:
    """Gamma(a-k) Gamma(b+k) / (Gamma(a) Gamma(b)), finite for k < a; the rounding of a - k is of no account at 1e-4."""
    if k >= a:
        assert odds_moment(Beta(a, b), k) == math.inf
        return
    with mpmath.workdps(30):
        a_, b_, k_ = map(mpmath.mpf, (a, b, k))
        expected = float(mpmath.gammaprod([a_ - k_, b_ + k_], [a_, b_]))
    sizes = 8 + sum(abs(math.lgamma(v)) for v in (a - k, b + k, a + b, a, b)) + a / (a - k)
    assert_close(odds_moment(Beta(a, b), k), expected, rounding(torch.float64, expected * sizes, 64))


def test_the_second_moment_of_the_papers_by_sympy() -> None:
    """E_D~[((1-lambda)/lambda)^2], integrated: Lemma 3.3 of Zhang et al. at Beta(3, 2); inf at their Beta(1, 1)."""
    t = sp.Symbol("t", positive=True)

    def tilted(a: int, b: int) -> sp.Expr:
        p = t ** (a - 1) * (1 - t) ** (b - 1) / sp.beta(a, b).doit()
        return sp.expand(t * (p + p.subs(t, 1 - t)) * ((1 - t) / t) ** 2)

    expected = sp.integrate(sp.simplify(tilted(3, 2)), (t, 0, 1))
    assert odds_moment(Beta(3.0, 2.0).tilted(), 2) == pytest.approx(float(expected), rel=1e-14)
    assert sp.integrate(sp.expand(tilted(1, 1)), (t, 0, 1)) == sp.oo
    assert odds_moment(Beta(1.0, 1.0).tilted(), 2) == math.inf


@every_law
def test_it_is_finite_below_its_order_and_not_from_there_on(law: RatioLaw, order: float) -> None:
    assert odds_order(law) == order
    assert odds_moment(law, 0) == 1
    for k in (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0):
        assert math.isfinite(odds_moment(law, k)) == (k < order), k


@pytest.mark.parametrize(("law", "k"), [(law, k) for law, order in LAWS for k in (1, 2) if k + 0.5 <= order], ids=named)
def test_whole_powers_against_a_rule_between_graded_breaks(law: RatioLaw, k: int) -> None:
    """E[odds^k; lambda > 2^-60] by the law's own rule, cell by cell; what is missed is of order 2^-60(order-k)."""
    found, _ = law.expectation(
        lambda t: np.divide((1 - t) ** k, t**k, where=t > 2.0**-60, out=np.zeros_like(t)),
        breaks=[2.0**-j for j in range(60, 1, -1)],
        rtol=1e-9,
    )
    assert_close(odds_moment(law, k), found, 1e-8 * (1 + float(found)))


@pytest.mark.parametrize("k", [0.3, 1.0, 1.7])
def test_a_density_is_the_beta_law_it_is(k: float) -> None:
    for found, expected in ((PARABOLA, Beta(2.0, 2.0)), (UpperHalf(PARABOLA), UpperHalf(Beta(2.0, 2.0)))):
        assert odds_moment(found, k) == pytest.approx(odds_moment(expected, k), rel=1e-10)
        assert odds_moment(found.tilted(), k) == pytest.approx(odds_moment(expected.tilted(), k), rel=1e-10)


@pytest.mark.parametrize("law", [Beta(5.0, 2.0), MIXTURE.tilted(), WShaped(5.0, 2.0), PARABOLA.tilted(), Folded(FLAT)])
def test_draws(law: RatioLaw) -> None:
    """The mean root of the odds of 40000 draws, whose variance is finite: the order of each law is above 1."""
    k, n = 0.5, 40_000
    odds = ((1 - (t := law.sample(n, 4))) / t) ** k
    allowed = monte_carlo(math.sqrt((odds_moment(law, 2 * k) - odds_moment(law, k) ** 2) / n))
    assert_close(odds.mean(), odds_moment(law, k), allowed)


def test_tilting_leaves_no_mass_at_zero() -> None:
    """D~ of lambda in {0, 1/4} by hand: 1 with weight 1/2 + 0, 1/4 with 1/8 and 3/4 with 3/8."""
    law = Discrete((0.0, 0.25), (0.5, 0.5))
    expected = 3 / 8 + 1 / 8
    assert odds_moment(law.tilted(), 1) == odds_moment(Tilted(law), 1) == pytest.approx(expected, rel=1e-15)
    mirrored = UpperHalf(Discrete((1.0, 0.75), (0.5, 0.5)))
    assert odds_moment(mirrored.tilted(), 1) == pytest.approx(expected, rel=1e-15)
    assert odds_moment(mirrored.tilted(), 3) == pytest.approx(1 / 8 * 27 + 3 / 8 / 27, rel=1e-15)


def test_an_end_that_is_rounded_away_is_told_from_what_is_left() -> None:
    assert odds_order(COSINE) == odds_order(SINE) == 3
    assert odds_moment(COSINE, 3) == math.inf
    assert odds_moment(COSINE, 2) == pytest.approx(odds_moment(SINE, 2), rel=1e-10)


def test_a_small_density_at_zero_is_not_none() -> None:
    assert odds_order(Density(lambda t: 1e-9 + t)) == 1
    assert odds_moment(Density(lambda t: 1e-9 + t), 1) == math.inf


@pytest.mark.parametrize("weight", [lambda t: t**2.5, lambda t: t**20 * (1 - t), lambda t: np.exp(-1 / t)])
def test_an_end_that_cannot_be_told_is_refused(weight: object) -> None:
    law = Density(weight)  # type: ignore[arg-type]
    with pytest.raises(ToleranceError, match=r"order to which .* at 0 vanishes cannot be told.*a whole number"):
        odds_moment(law, 1)
    assert math.isfinite(odds_moment(law, 0.5)), "no end needs to be told for k < 1"


@pytest.mark.parametrize("k", [-1.0, math.inf, math.nan, "two"])
def test_no_other_power_is_taken(k: object) -> None:
    with pytest.raises((ValueError, TypeError), match=r"k(=| is ).*needed is a finite number > 0"):
        odds_moment(Beta(2.0, 2.0), k)  # type: ignore[arg-type]


def test_what_is_no_law_is_refused() -> None:
    for asked in (lambda: odds_moment(0.5, 1), lambda: odds_order(0.5)):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"ratio is 0\.5: needed is a RatioLaw"):
            asked()


FINITE = Discrete((0.0, 0.25, 0.5, 1.0), (0.25, 0.25, 0.25, 0.25))
NESTED = {
    "of the folded law": (UpperHalf(Folded(FINITE)), {"1": "1/2", "3/4": "1/4", "1/2": "1/8"}),
    "of a folded mixture": (UpperHalf(Folded(Mixture((0.5, 0.5), (FINITE, Discrete((1.0,), (1.0,)))))), {
        "1": "3/4", "3/4": "1/8", "1/2": "1/16"
    }),
    "of the upper half": (UpperHalf(UpperHalf(FINITE)), {"1": "1/4", "1/2": "1/16"}),
    "of the folded upper half": (UpperHalf(Folded(UpperHalf(FINITE))), {"1": "1/4", "1/2": "1/16"}),
}  # fmt: skip


@pytest.mark.parametrize("name", NESTED)
@pytest.mark.parametrize("k", [1, 2, 3])
def test_tilted_halves_of_finite_laws_that_are_folded_before(name, k):
    """Summed over the atoms in rationals; with mass at 1 the tilted law has none at 0."""
    law, atoms = NESTED[name]
    mass = {Fraction(v): Fraction(p) for v, p in atoms.items()}

    def term(v):
        return v * ((1 - v) / v) ** k + ((1 - v) * (v / (1 - v)) ** k if v < 1 else 0)

    expected = sum(p * term(v) for v, p in mass.items()) / sum(mass.values())
    assert odds_moment(law.tilted(), k) == pytest.approx(float(expected), rel=1e-14)
