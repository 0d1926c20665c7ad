"""Theorem 5: every step is reduced to zero, every fault leaves a residual, and the printed derivatives are refuted."""

from __future__ import annotations

import re

import pytest
import sympy as sp

from msda_theory import Dirichlet, symbolic
from msda_theory.expansions import partner_moments
from msda_theory.symbolic import FAULTS, FORMS
from msda_theory.symbolic.dirichlet import dirichlet_density, dirichlet_moment, label_weighted_mean, parameters, ratios

DERIVATIONS = {
    **{f"dirichlet_conjugacy[{n}]": lambda n=n, **kw: symbolic.dirichlet_conjugacy(n, **kw) for n in (2, 3, 4)},
    **{
        f"n_role_form[{n}, {m}]": lambda n=n, m=m, **kw: symbolic.n_role_form(n, samples=m, **kw)
        for n, m in ((2, 3), (3, 2), (3, 4))
    },
    **{
        f"n_second_order[{n}, {d}]": lambda n=n, d=d, **kw: symbolic.n_second_order(n, d, **kw)
        for n, d in ((2, 1), (2, 2), (3, 1), (3, 2), (4, 1))
    },
    **{f"n_terms[{n}, {d}]": lambda n=n, d=d, **kw: symbolic.n_terms(n, d, **kw) for n, d in ((3, 1), (3, 2), (4, 1))},
    **{f"n_moments[{n}]": lambda n=n, **kw: symbolic.n_moments(n, **kw) for n in (2, 3, 4)},
    **{f"two_ratios_are_mixup[{d}]": lambda d=d, **kw: symbolic.two_ratios_are_mixup(d, **kw) for d in (1, 2)},
    "theorem5[3, 2]": symbolic.theorem5,
}
PLANTED = [(name, fault) for name in DERIVATIONS for fault in FAULTS[name.split("[")[0]]]


@pytest.mark.parametrize("name", DERIVATIONS)
def test_every_step_holds(name):
    derivation = DERIVATIONS[name]()
    assert [step.title for step in derivation if not step.holds] == []
    assert derivation.holds


@pytest.mark.parametrize(("n", "d"), [(2, 2), (4, 1)])
def test_theorem5_for_other_numbers_of_samples(n, d):
    assert symbolic.theorem5(n, d).holds


@pytest.mark.parametrize(("name", "fault"), PLANTED)
def test_every_fault_leaves_a_nonzero_residual(name, fault):
    derivation = DERIVATIONS[name](fault=fault)
    assert not derivation.holds
    for step in derivation.failures:
        assert step.refutation() is not None, step.title


@pytest.mark.parametrize("name", ["theorem5[3, 2]", "two_ratios_are_mixup[2]"])
def test_every_step_can_fail(name):
    faulty = [DERIVATIONS[name](fault=fault) for fault in FAULTS[name.split("[")[0]]]
    broken = {step.title for derivation in faulty for step in derivation.failures}
    assert {step.title for step in DERIVATIONS[name]()} == broken


@pytest.mark.parametrize("form", [form for form in FORMS if form != "derived"])
@pytest.mark.parametrize(("n", "d"), [(2, 1), (3, 2)])
def test_the_printed_derivatives_are_refuted(form, n, d):
    derivation = symbolic.n_second_order(n, d, form=form)
    assert {step.title for step in derivation.failures} == {"Gradient", "Hessian", "Expansion"}
    for step in derivation.failures:
        assert step.refutation() is not None, step.title


@pytest.mark.parametrize("name", DERIVATIONS)
def test_an_unknown_fault_is_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=re.escape(repr(FAULTS[name.split("[")[0]][0]))):
        DERIVATIONS[name](fault="no such fault")


def test_an_unknown_form_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"form='corrected': needed is one of 'derived', 'printed'"):
        symbolic.n_second_order(2, 1, form="corrected")


@pytest.mark.parametrize("alpha", [(1, 1), (3, sp.Rational(1, 2)), (1, 2, 3), (2, 1, sp.Rational(1, 3), 1)])
def test_moments_against_the_library(alpha):
    """The closed forms, at numbers, and the moments that `n_mixup_terms` takes."""
    law, (own, *others) = Dirichlet(tuple(map(float, alpha))), ratios(len(alpha))
    found = partner_moments(law, range(1, len(alpha)))
    same = sp.Add(*(t**2 for t in others))
    for value, g in ((found.first, 1 - own), (found.same, same), (found.cross, (1 - own) ** 2 - same)):
        assert value == pytest.approx(float(label_weighted_mean(sp.expand(g), alpha)), rel=1e-12, abs=1e-15)
    powers = [1, *[2] * (len(alpha) - 1)]
    assert law.moment(powers) == pytest.approx(float(dirichlet_moment(alpha, powers)), rel=1e-12)


def test_densities_integrate_to_their_moments():
    """Dir(2, 1, 3) on the triangle, by sympy's integration."""
    lam, alpha = ratios(3), (2, 1, 3)
    density = dirichlet_density(alpha, lam).subs(lam[2], 1 - lam[0] - lam[1])
    inner = sp.integrate(sp.expand(density * lam[0] * lam[1] ** 2), (lam[1], 0, 1 - lam[0]))
    assert sp.integrate(sp.expand(inner), (lam[0], 0, 1)) == dirichlet_moment(alpha, (1, 2, 0))


def test_parameters_are_positive():
    assert all(a.is_positive for a in (*parameters(3), *ratios(3)))


@pytest.mark.parametrize("name", DERIVATIONS)
def test_latex_is_well_formed(name):
    derivation = DERIVATIONS[name]()
    text = derivation.to_latex(document=True)
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") == text.count(r"\right")
    assert text.count(r"\begin{align*}") == text.count(r"\end{align*}") == len(derivation)
    equations = "".join(line for step in derivation for line in step.latex_lines())
    for python in ("Derivative", "Subs", "Mean", "Symbol", "Integral", "Indexed", "**", "_0", "None"):
        assert python not in equations
    assert not re.search(r"(?<![\\a-z])(alpha|beta|lambda|mu|epsilon|xi)", equations)
