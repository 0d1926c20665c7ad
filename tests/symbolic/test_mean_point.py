"""The derivation of the expansion about mean mixed points: every step is zero, every fault is seen."""

from __future__ import annotations

import re

import pytest

from msda_theory.symbolic import FAULTS, mean_point


def test_every_step_holds() -> None:
    derivation = mean_point()
    assert [step.title for step in derivation if not step.holds] == []
    assert len(derivation) == 8


@pytest.mark.parametrize("fault", FAULTS["mean_point"])
def test_every_fault_leaves_a_nonzero_residual(fault: str) -> None:
    derivation = mean_point(fault=fault)
    assert not derivation.holds
    assert all(step.refutation() is not None for step in derivation.failures)


def test_every_step_can_fail() -> None:
    broken = {step.title for fault in FAULTS["mean_point"] for step in mean_point(fault=fault).failures}
    assert {step.title for step in mean_point()} <= broken


def test_an_unknown_fault_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=re.escape(repr(FAULTS["mean_point"][0]))):
        mean_point(fault="no such fault")


def test_latex_is_well_formed() -> None:
    derivation = mean_point()
    text = derivation.to_latex(document=True)
    assert text.count("{") == text.count("}") and text.count(r"\left") == text.count(r"\right")
    equations = "".join(line for step in derivation for line in step.latex_lines())
    for python in ("Derivative", "Subs", "Mean(", "Symbol", "Indexed", "**", "None"):
        assert python not in equations
    assert not re.search(r"(?<![\\a-z])(lambda|omega|theta|sigma|eta|delta|epsilon)(?![a-z])", equations)
