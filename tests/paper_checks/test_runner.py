"""Which planted faults count as caught, and what becomes of a check that crashes."""

from __future__ import annotations

from functools import partial

import pytest

from paper_checks import quick, registry, runner
from paper_checks.findings import Corrected, Evidence, Finding, Trial, verdict_of
from paper_checks.registry import Check, Claim, claims
from paper_checks.runner import Outcome, run_claim

EVIDENCE = Evidence("exact", {"gap": 0})


def outcome_of(monkeypatch: pytest.MonkeyPatch, check: Check) -> Outcome:
    stand_in = {"a:b": Claim("a:b", "here", "something", "a sign", check)}
    monkeypatch.setattr("paper_checks.runner.claims", lambda: stand_in)
    return run_claim("a:b", seed=0)


def holding(trial: Trial) -> Finding:
    return Finding(verdict_of(trial.plant(1, 2) == 1), "because", EVIDENCE)


def blind(trial: Trial) -> Finding:
    return Finding("holds", "without looking", EVIDENCE)


def always_failing(trial: Trial) -> Finding:
    return Finding("fails", "whatever comes", EVIDENCE, Corrected("nothing", "fails", EVIDENCE))


def crashing_on_the_fault(trial: Trial) -> Finding:
    if trial.faulty:
        raise ArithmeticError("did not look, fell over")
    return blind(trial)


def corrected(trial: Trial) -> Finding:
    return Finding("fails", "as printed", EVIDENCE, Corrected("so", verdict_of(not trial.faulty), EVIDENCE))


def test_a_fault_that_changes_the_verdict_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome_of(monkeypatch, holding).caught
    assert outcome_of(monkeypatch, corrected).caught


@pytest.mark.parametrize("check", [blind, always_failing])
def test_a_check_that_cannot_fail_or_cannot_succeed_catches_nothing(
    monkeypatch: pytest.MonkeyPatch, check: Check
) -> None:
    assert not outcome_of(monkeypatch, check).caught


def test_a_fault_that_only_crashes_is_not_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = outcome_of(monkeypatch, crashing_on_the_fault)
    assert outcome.finding is None
    assert not outcome.caught
    assert "fell over" in outcome.error


def test_evidence_needs_a_known_kind_and_figures() -> None:
    with pytest.raises(ValueError, match="kind='guess'"):
        Evidence("guess", {"gap": 0})
    with pytest.raises(ValueError, match="figures"):
        Evidence("exact", {})


def test_a_claim_is_registered_once_and_only_if_it_is_listed() -> None:
    registry.claims()
    with pytest.raises(ValueError, match="registered twice"):
        registry.claim("park2022:conjugacy", fault="a sign")(blind)
    with pytest.raises(KeyError):
        registry.claim("park2022:no-such", fault="a sign")(blind)


def test_claims_of_one_file_go_together_those_that_take_longest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one process they share what they cache; one whose seconds are not known may take long."""

    def elsewhere(trial: Trial) -> Finding:
        return blind(trial)

    elsewhere.__module__ = "elsewhere"
    unknown = Claim("a:4", "here", "something", "a sign", partial(elsewhere))
    selected = [Claim(f"a:{k}", "here", "something", "a sign", c) for k, c in enumerate((blind, elsewhere, blind))]
    monkeypatch.setattr(quick, "read", lambda: {"a:0": 1.0, "a:1": 2.5, "a:2": 1.0})
    assert runner._groups(selected) == [["a:1"], ["a:0", "a:2"]]
    assert runner._groups([*selected[:1], unknown]) == [["a:4"], ["a:0"]]
    assert runner._groups([*selected, unknown])[0] == ["a:1", "a:4"]


def test_files_that_train_the_same_networks_go_together() -> None:
    """Both files exist: a name that has changed would part them without a word."""
    modules = {c.module for c in claims().values()}
    assert all({file, other} <= modules for file, other in runner.SHARED.items())
    pair = [claims()[name] for name in ("park2022:fig1", "zhang2021:fig2")]
    assert runner._groups(pair) == [["park2022:fig1", "zhang2021:fig2"]]
