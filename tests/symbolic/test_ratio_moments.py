"""Densities and moments against scipy, quadrature and integer arithmetic, none of which the package uses."""

from fractions import Fraction
from math import factorial

import mpmath
import pytest
import sympy as sp
from scipy import stats

from msda_theory.symbolic import beta_density, beta_moment, tilted_density, tilted_moment

SHAPES = [(1.0, 1.0), (0.3, 0.7), (2.5, 0.4), (3.0, 5.0)]
a, b, t = sp.symbols("a b t", positive=True)


def mixture_density(a, b, t):
    """D~ by scipy, as Theorem 1 defines it."""
    return a / (a + b) * stats.beta(a + 1, b).pdf(t) + b / (a + b) * stats.beta(b + 1, a).pdf(t)


@pytest.mark.parametrize("alpha, beta", SHAPES)
@pytest.mark.parametrize("at", [0.05, 0.37, 0.9])
def test_densities_are_those_of_scipy(alpha, beta, at):
    assert float(beta_density(alpha, beta, at).rewrite(sp.gamma)) == pytest.approx(
        stats.beta(alpha, beta).pdf(at), rel=1e-13
    )
    assert float(tilted_density(alpha, beta, at).rewrite(sp.gamma)) == pytest.approx(
        mixture_density(alpha, beta, at), rel=1e-13
    )


@pytest.mark.parametrize("alpha, beta", [(1, 1), (2, 3), (5, 1)])
@pytest.mark.parametrize("p, q", [(0, 0), (1, 0), (0, 1), (0, 2), (2, 1), (3, 4)])
def test_moments_at_integers_are_ratios_of_factorials(alpha, beta, p, q):
    def moment(a, b):
        """Gamma at integers, by factorials."""
        top = factorial(a + p - 1) * factorial(b + q - 1) * factorial(a + b - 1)
        return Fraction(top, factorial(a + b + p + q - 1) * factorial(a - 1) * factorial(b - 1))

    tilted = Fraction(alpha, alpha + beta) * moment(alpha + 1, beta) + Fraction(beta, alpha + beta) * moment(
        beta + 1, alpha
    )
    assert Fraction(str(beta_moment(alpha, beta, p, q))) == moment(alpha, beta)
    assert Fraction(str(tilted_moment(alpha, beta, p, q))) == tilted


@pytest.mark.parametrize("alpha, beta", [("0.3", "0.7"), ("2.5", "0.4")])
@pytest.mark.parametrize("p, q", [(0, 0), (0, 1), (0, 2), (1, 3)])
def test_moments_are_integrals_of_the_densities(alpha, beta, p, q):
    shape = sp.Rational(alpha), sp.Rational(beta)
    with mpmath.workdps(30):
        density = sp.lambdify(t, tilted_density(*shape, t).rewrite(sp.gamma), "mpmath")
        integral = mpmath.quad(lambda u: u**p * (1 - u) ** q * density(u), [0, 0.5, 1])
    assert float(tilted_moment(*shape, p, q)) == pytest.approx(float(integral), rel=1e-6)


def test_moments_are_symbolic_in_the_shape_and_the_powers():
    p, q = sp.symbols("p q", positive=True)
    assert sp.simplify(tilted_moment(a, b, 0, 1) - 2 * a * b / ((a + b) * (a + b + 1))) == 0
    assert sp.simplify(tilted_moment(a, b, 0, 2) - a * b / ((a + b) * (a + b + 1))) == 0
    values = {a: sp.Rational(3, 2), b: 2, p: 1, q: 3}
    assert beta_moment(a, b, p, q).subs(values).doit() == beta_moment(sp.Rational(3, 2), 2, 1, 3)


def test_the_tilted_law_weighs_the_ratio_by_itself():
    """t (p(t) + p(1-t)), and not t p(t) + (1-t) p(1-t), which has mass 2a/(a+b)."""
    p = stats.beta(2.5, 0.4).pdf
    assert mixture_density(2.5, 0.4, 0.3) == pytest.approx(0.3 * (p(0.3) + p(0.7)), rel=1e-13)
    assert mixture_density(2.5, 0.4, 0.3) != pytest.approx(0.3 * p(0.3) + 0.7 * p(0.7), rel=0.1)
