"""Every claim is a test case: its check runs, catches its planted fault, and finds the recorded verdict."""

from __future__ import annotations

import pytest

from paper_checks import record
from paper_checks.registry import claims, printed_claims
from paper_checks.runner import run_claim

RECORDED = record.read()


@pytest.mark.parametrize("name", claims())
def test_claim(name: str) -> None:
    outcome = run_claim(name, seed=0)
    assert outcome.finding is not None, outcome.error
    assert outcome.caught, f"planted fault not caught: {claims()[name].fault}"
    assert record.summary(outcome.finding) == RECORDED[name]


def test_what_does_not_hold_is_recorded_with_a_correction_that_does() -> None:
    wrong = {k: v for k, v in RECORDED.items() if v["verdict"] in ("fails", "ill-posed")}
    assert wrong
    assert all(v.get("corrected") == "holds" for v in wrong.values())


def test_the_record_names_the_registered_claims_and_no_others() -> None:
    assert set(RECORDED) == set(claims()) <= set(printed_claims())


@pytest.mark.parametrize("name", ["park2022:thm1[mixup]", "zhang2021:lemma3.1"])
def test_another_seed_finds_the_same(name: str) -> None:
    """The seed draws the float64 problems; rounding tolerances are bounds, so no false alarm is allowed for."""
    finding = run_claim(name, seed=12345).finding
    assert finding is not None
    assert record.summary(finding) == RECORDED[name]
