"""Carratino et al.'s derivations: every step is reduced to zero, each can fail, and each planted fault is refuted."""

import re

import pytest
import sympy as sp

from msda_theory import symbolic
from msda_theory.symbolic import FAULTS
from msda_theory.symbolic.perturbed_erm import mean, over_theta, theta, var

DERIVATIONS = (
    "half_split",
    "perturbed_form",
    "perturbation_covariances",
    "perturbed_second_order",
    "perturbed_terms",
    "cross_entropy_derivatives",
    "corollary4",
)
PLANTED = [(name, fault) for name in DERIVATIONS for fault in FAULTS[name]]


@pytest.mark.parametrize("name", DERIVATIONS)
def test_every_step_holds(name):
    derivation = getattr(symbolic, name)()
    assert [step.title for step in derivation if not step.holds] == []
    assert derivation.holds


@pytest.mark.parametrize("name, fault", PLANTED)
def test_every_fault_leaves_a_nonzero_residual(name, fault):
    derivation = getattr(symbolic, name)(fault=fault)
    assert not derivation.holds
    for step in derivation.failures:
        assert step.refutation() is not None, step.title


@pytest.mark.parametrize("name", DERIVATIONS)
def test_every_step_can_fail(name):
    derive = getattr(symbolic, name)
    broken = {step.title for fault in FAULTS[name] for step in derive(fault=fault).failures}
    assert {step.title for step in derive()} <= broken


@pytest.mark.parametrize("name", DERIVATIONS)
def test_an_unknown_fault_is_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=re.escape(repr(FAULTS[name][0]))):
        getattr(symbolic, name)(fault="no such fault")


@pytest.mark.parametrize("d, c, outputs", [(1, 1, 1), (1, 2, 1), (2, 1, 2)])
def test_theorem3_in_other_dimensions(d, c, outputs):
    assert symbolic.perturbed_second_order(d, c, outputs).holds
    assert symbolic.perturbed_terms(d, c, outputs).holds


def test_corollary4_with_three_classes():
    assert symbolic.corollary4(3, 1).holds


def test_more_samples_change_nothing():
    assert symbolic.perturbed_form(samples=4).holds and symbolic.perturbation_covariances(samples=4).holds


def test_the_mean_over_theta_by_hand():
    assert sp.expand(over_theta((1 - theta) ** 2) - (1 - mean) ** 2 - var) == 0


@pytest.mark.parametrize("name", DERIVATIONS)
def test_latex_is_well_formed(name):
    text = getattr(symbolic, name)().to_latex(document=True)
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") == text.count(r"\right")
    for python in ("Derivative", "Subs", "Symbol", "Indexed", "**", "None"):
        assert python not in text
