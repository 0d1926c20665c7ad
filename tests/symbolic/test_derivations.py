"""Every step of every derivation is reduced to zero; every planted fault leaves a residual that is not zero."""

import re

import pytest
import sympy as sp

from msda_theory import symbolic
from msda_theory.symbolic import FAULTS, MASKS, Derivation, Step

DERIVATIONS = {
    "conjugacy": symbolic.conjugacy,
    "two_role_form": symbolic.two_role_form,
    "tilted_form_mixup": symbolic.tilted_form_mixup,
    "tilted_form_bernoulli": symbolic.tilted_form_bernoulli,
    **{f"second_order[{d}]": lambda d=d, **kw: symbolic.second_order(d, **kw) for d in (1, 2, 3)},
    **{f"seen_moments[{k}]": lambda k=k, **kw: symbolic.seen_moments(k, **kw) for k in MASKS},
    **{f"assembly[{k}]": lambda k=k, **kw: symbolic.assembly(k, **kw) for k in MASKS},
    **{f"theorem1[{k}]": lambda k=k, **kw: symbolic.theorem1(k, **kw) for k in MASKS},
}
PLANTED = [(name, fault) for name in DERIVATIONS for fault in FAULTS[name.split("[")[0]]]
t = sp.Symbol("t")


@pytest.mark.parametrize("name", DERIVATIONS)
def test_every_step_holds(name):
    derivation = DERIVATIONS[name]()
    assert [step.title for step in derivation if not step.holds] == []
    assert derivation.holds


@pytest.mark.parametrize("d", [1, 3])
def test_theorem1_in_other_dimensions(d):
    assert symbolic.theorem1("general", d).holds


@pytest.mark.parametrize("name, fault", PLANTED)
def test_every_fault_leaves_a_nonzero_residual(name, fault):
    derivation = DERIVATIONS[name](fault=fault)
    assert not derivation.holds
    for step in derivation.failures:
        assert step.refutation() is not None, step.title


@pytest.mark.parametrize("mask", MASKS)
def test_every_step_can_fail(mask):
    """No step is true of necessity: each is broken by one of the faults."""
    faulty = [symbolic.theorem1(mask, fault=fault) for fault in FAULTS["theorem1"]]
    broken = {step.title for derivation in faulty for step in derivation.failures}
    assert {step.title for step in symbolic.theorem1(mask)} <= broken


@pytest.mark.parametrize("name", DERIVATIONS)
def test_an_unknown_fault_is_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=re.escape(repr(FAULTS[name.split("[")[0]][0]))):
        DERIVATIONS[name](fault="no such fault")


@pytest.mark.parametrize("derive", [symbolic.seen_moments, symbolic.assembly, symbolic.theorem1])
def test_an_unknown_mask_is_refused_with_the_known_ones(derive):
    with pytest.raises(ValueError, match=r"mask='cutmix'.*'mixup', 'bernoulli', 'general'"):
        derive("cutmix")


@pytest.mark.parametrize(
    "residual, holds",
    [
        ((t + 1) ** 2 - t**2 - 2 * t - 1, True),
        (sp.sin(t) ** 2 + sp.cos(t) ** 2 - 1, True),
        (sp.gamma(t + 1) - t * sp.gamma(t), True),
        (sp.Matrix([[0, t - t], [(t - 1) ** 2 - t**2 + 2 * t - 1, 0]]), True),
        ((sp.S.Zero, sp.Matrix([t])), False),
        (t**2 - t, False),
        (sp.Rational(1, 10**30), False),
        ((), False),
    ],
)
def test_a_step_holds_only_on_zero(residual, holds):
    assert Step("a step", sp.Eq(t, t, evaluate=False), residual, "nowhere").holds is holds


def test_no_steps_prove_nothing():
    assert not Derivation("empty", ()).holds


def test_a_refutation_is_a_point_where_the_residual_is_not_zero():
    f, step = sp.Function("f"), None
    residual = f(t) ** 2 - t * f(t + 1)
    step = Step("a step", sp.Eq(t, t, evaluate=False), residual, "nowhere")
    point = step.refutation()
    assert residual.subs(t, point[t]).xreplace(point) != 0
    assert Step("a step", sp.Eq(t, t, evaluate=False), f(t) - f(t), "nowhere").refutation() is None


def test_steps_are_found_by_title():
    derivation = symbolic.conjugacy()
    assert derivation["Density of the tilted law"] is derivation.steps[4]
    with pytest.raises(KeyError, match="no step"):
        derivation["no such step"]


@pytest.mark.parametrize("name", DERIVATIONS)
def test_latex_is_well_formed(name):
    derivation = DERIVATIONS[name]()
    text = derivation.to_latex(document=True)
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") == text.count(r"\right")
    assert text.count(r"\begin{align*}") == text.count(r"\end{align*}") == len(derivation)
    for step in derivation:
        assert all(
            len(re.findall(r"(?<!\\)&", row)) == 1 for line in step.latex_lines() for row in line.split("\\\\\n")
        )
    equations = "".join(line for step in derivation for line in step.latex_lines())
    for python in ("Derivative", "Subs", "Mean", "Symbol", "Integral", "Indexed", "**", "_0", "None"):
        assert python not in equations
    assert not re.search(r"(?<![\\a-z])(alpha|beta|lambda|mu|epsilon|xi)", equations)


def test_a_derivation_prints_each_step_with_its_source_and_outcome():
    true, false = symbolic.second_order(2), symbolic.second_order(2, fault="half")
    assert "(17)]: holds" in str(true)
    assert "FAILS, residual" in str(false)
    assert "Park et al., (18)" in true.to_latex()
    assert true._repr_html_().count("<li>") == len(true)
