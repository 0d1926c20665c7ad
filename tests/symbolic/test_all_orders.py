"""MixupE's Theorem 1: every step is reduced to zero, every fault leaves a residual, the other reading is refuted."""

from __future__ import annotations

import re

import pytest
import sympy as sp

from msda_theory import Beta, symbolic
from msda_theory.expansions.all_orders import Share
from msda_theory.symbolic import FAULTS
from msda_theory.symbolic.all_orders import PLACES

SIZES = ((1, 1, 1), (4, 1, 1), (4, 2, 1), (3, 1, 2), (3, 2, 2), (6, 1, 1))
DERIVATIONS = {
    **{f"all_orders[{s}]": lambda s=s, **kw: symbolic.all_orders(*s, **kw) for s in SIZES},
    **{f"averaged_within[{d}, {k}]": lambda d=d, k=k, **kw: symbolic.averaged_within(d, k, **kw)
       for d, k in ((1, 1), (2, 2))},
}  # fmt: skip
#: to order 1 the first term of h has no factorial to drop
NO_FAULT = {("all_orders[(1, 1, 1)]", "factorial")}
PLANTED = [(n, f) for n in DERIVATIONS for f in FAULTS[n.split("[")[0]] if (n, f) not in NO_FAULT]


@pytest.mark.parametrize("name", DERIVATIONS)
def test_every_step_holds(name):
    derivation = DERIVATIONS[name]()
    assert [step.title for step in derivation if not step.holds] == []
    assert derivation.holds


@pytest.mark.parametrize(("name", "fault"), PLANTED)
def test_every_fault_leaves_a_nonzero_residual(name, fault):
    derivation = DERIVATIONS[name](fault=fault)
    assert not derivation.holds
    for step in derivation.failures:
        assert step.refutation() is not None, step.title


@pytest.mark.parametrize("name", ["all_orders[(4, 2, 1)]", "averaged_within[2, 2]"])
def test_every_step_can_fail(name):
    faulty = [DERIVATIONS[name](fault=fault) for fault in FAULTS[name.split("[")[0]]]
    broken = {step.title for derivation in faulty for step in derivation.failures}
    assert {step.title for step in DERIVATIONS[name]()} == broken


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_mean_within_fails_from_order_two_on(size):
    derivation = symbolic.all_orders(*size, place="within")
    assert {step.title for step in derivation.failures} == {
        f"The nested form at order {j}" for j in range(2, size[0] + 1)
    }
    for step in derivation.failures:
        assert step.refutation() is not None, step.title


@pytest.mark.parametrize("name", DERIVATIONS)
def test_an_unknown_fault_is_refused_with_the_known_ones(name):
    with pytest.raises(ValueError, match=re.escape(repr(FAULTS[name.split("[")[0]][0]))):
        DERIVATIONS[name](fault="no such fault")


def test_bad_input():
    with pytest.raises(ValueError, match=f"place='inside': needed is one of {', '.join(map(repr, PLACES))}"):
        symbolic.all_orders(place="inside")
    with pytest.raises(ValueError, match="order=0: needed is an integer >= 1"):
        symbolic.all_orders(0)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (sp.Rational(1, 2), 3)])
def test_moments_are_those_of_the_library(a, b):
    share = Share.of(Beta(float(a), float(b)), 4)
    for power in range(1, 5):
        expected = float(symbolic.tilted_moment(a, b, 0, power))
        assert float(share.moments[power - 1]) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", DERIVATIONS)
def test_latex_is_well_formed(name):
    derivation = DERIVATIONS[name]()
    text = derivation.to_latex(document=True)
    assert text.count("{") == text.count("}")
    assert text.count(r"\left") == text.count(r"\right")
    equations = "".join(line for step in derivation for line in step.latex_lines())
    for python in ("Derivative", "Subs", "Mean", "Symbol", "Integral", "Indexed", "**", "_0", "None"):
        assert python not in equations
    assert not re.search(r"(?<![\\a-z])(alpha|beta|lambda|mu|epsilon|xi)", equations)
