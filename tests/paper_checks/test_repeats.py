"""`python -m paper_checks.repeats`: what counts as an alarm, what is run, how a run goes on, what is reported."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from paper_checks import quick, record, repeats, repeats_state
from paper_checks.findings import Evidence, Finding, Trial, verdict_of
from paper_checks.registry import Check, claims, select
from paper_checks.repeats import CHEAP, FAULTY, Task, Watched, attempt, first_runs, further_runs, main
from paper_checks.repeats_report import as_markdown, upper_bound
from paper_checks.repeats_state import Repeats, Run, read, write

#: checks that take milliseconds; the first two never ask for their seed
STILL, OTHER, ASKS = "park2022:appA-R3", "park2022:eq8-G", "mixupe2023:eq4-5"
HOLDS = Finding("holds", "because", Evidence("symbolic", {"gap": 0}))


def holding(trial: Trial) -> Finding:
    return replace(HOLDS, verdict=verdict_of(not trial.faulty))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Check], None]:
    """Put another check in the place of one that is recorded to hold, symbolically."""

    def replaced(check: Check) -> None:
        monkeypatch.setattr("paper_checks.runner.claims", lambda: {OTHER: replace(claims()[OTHER], check=check)})

    assert record.read()[OTHER] == record.summary(HOLDS)
    return replaced


@pytest.mark.parametrize(
    ("look", "asks"),
    [
        (lambda trial: None, False),
        (lambda trial: trial.faulty, False),
        (lambda trial: trial.plant(1, 2), False),
        (lambda trial: trial.seed, True),
        (lambda trial: Trial(trial.seed), True),
        (lambda trial: replace(trial, faulty=True), True),
        (hash, True),  # as a cache by trial does
        (lambda trial: trial == replace(trial), True),
    ],
)
def test_a_trial_knows_whether_it_was_asked_for_its_seed(look: Callable[[Trial], object], asks: bool) -> None:
    trial = Watched(7)
    look(trial)
    assert bool(trial.looks) == asks
    assert trial.seed == 7


def test_seeds_are_fresh_and_share_no_draws() -> None:
    seeds = [Task(OTHER, k).seed for k in range(200)]
    assert min(b - a for a, b in pairwise(seeds)) >= 1000  # the most that a check adds to its seed
    assert min(seeds) > 100


def test_the_recorded_verdict_is_no_alarm(stand_in: Callable[[Check], None]) -> None:
    stand_in(holding)
    done = attempt(Task(OTHER, 3))
    assert (done.alarm, done.asks, done.index, done.seed) == ("", False, 3, Task(OTHER, 3).seed)
    assert attempt(Task(OTHER, 0, faulty=True)).alarm == ""


def test_another_verdict_an_exception_and_a_missed_fault_are_alarms(stand_in: Callable[[Check], None]) -> None:
    stand_in(lambda trial: replace(HOLDS, verdict=verdict_of(trial.seed != Task(OTHER, 1).seed)))
    assert attempt(Task(OTHER, 0)).alarm == ""
    assert "recorded verdict holds, evidence symbolic, found verdict fails" in attempt(Task(OTHER, 1)).alarm
    assert attempt(Task(OTHER, 1)).asks
    stand_in(lambda trial: HOLDS)
    assert attempt(Task(OTHER, 0, faulty=True)).alarm == "the planted fault was not caught"
    stand_in(lambda trial: 1 / 0)  # type: ignore[arg-type, return-value]
    assert "ZeroDivisionError" in attempt(Task(OTHER, 0)).alarm


def test_what_is_kept_by_seed_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    from paper_checks import training_curves
    from paper_checks.park2022 import gradient_products

    made: list[int] = []
    repeats.attempt_all([])  # what other tests left
    monkeypatch.setattr(training_curves, "train_pair", lambda *_: made.append(0))
    kept = gradient_products.coefficient("Mixup")
    for _ in range(2):
        training_curves._run("logistic", "mixup", 0)
    assert len(made) == 1
    repeats.attempt_all([])
    training_curves._run("logistic", "mixup", 0)
    assert len(made) == 2
    assert gradient_products.coefficient("Mixup") is kept


def _done(name: str, indices: Sequence[int], seconds: float, *, asks: bool = True, alarm: str = "") -> list[Run]:
    return [Run(name, k, Task(name, k).seed, False, asks, seconds, alarm) for k in indices]


def _state(*runs: Run) -> Repeats:
    state = Repeats(repeats_state.versions())
    for run in runs:
        state.add(run)
    return state


def test_each_is_run_once_and_those_that_ask_for_their_seed_again_seed_by_seed() -> None:
    cheap, dear = "park2022:thm2", "zhang2021:fig2"
    chosen = select([STILL, cheap, dear, ASKS])
    known = quick.read()
    assert known[STILL] < known[ASKS] < known[cheap] < CHEAP < known[dear]
    assert first_runs(chosen, _state()) == [[Task(name, 0)] for name in (STILL, ASKS, cheap, dear)]
    first = [*_done(STILL, [0], 0.1, asks=False), *_done(dear, [0], 9.0), *_done(cheap, [0], 0.1)]
    assert first_runs(chosen, _state(*first)) == [[Task(ASKS, 0)]]
    state = _state(*first, *_done(ASKS, [0, 2], 0.1))
    faulty = [[Task(ASKS, k, faulty=True), Task(cheap, k, faulty=True)] for k in range(3)]
    assert further_runs(chosen, state, 3) == [
        faulty[0],
        [Task(ASKS, 1), Task(cheap, 1), Task(dear, 1), *faulty[1]],
        [Task(cheap, 2), Task(dear, 2), *faulty[2]],
    ]
    assert sum(task.faulty for tasks in further_runs(chosen, state, 20) for task in tasks) == 2 * FAULTY


def run(path: Path, *words: str, seeds: int = 2) -> int:
    only = ["--only", STILL, OTHER, ASKS]
    return main(["--seeds", str(seeds), "--jobs", "1", "--out", str(path), *only, *words])


def test_a_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, attempted = tmp_path / "runs.json", []

    def counted(task: Task) -> Run:
        attempted.append(task)
        return attempt(task)

    monkeypatch.setattr(repeats, "attempt", counted)
    assert run(path) == 0
    assert len(attempted) == 3 + 1 + 2  # all once, ASKS once more, its fault twice
    attempted.clear()
    assert run(path, seeds=3) == 0
    assert attempted == [Task(ASKS, 2), Task(ASKS, 2, faulty=True)]
    found = read(path)
    assert {name: (done.honest, done.faulty) for name, done in found.claims.items()} == {
        STILL: ([0], []),
        OTHER: ([0], []),
        ASKS: ([0, 1, 2], [0, 1, 2]),
    }


def test_a_run_cut_off_keeps_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut_off(task: Task) -> Run:
        if task.index == 1:
            raise KeyboardInterrupt
        return attempt(task)

    monkeypatch.setattr(repeats, "attempt", cut_off)
    assert run(tmp_path / "runs.json") == 130
    found = read(tmp_path / "runs.json").claims
    assert {name: done.honest for name, done in found.items()} == {name: [0] for name in (STILL, OTHER, ASKS)}


def test_an_alarm_ends_with_1_and_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def alarmed(task: Task) -> Run:
        return replace(attempt(task), alarm="x: found verdict fails" if task == Task(ASKS, 1) else "")

    monkeypatch.setattr(repeats, "attempt", alarmed)
    report = tmp_path / "report.md"
    assert run(tmp_path / "runs.json", "--markdown", str(report)) == 1
    assert f"{ASKS}, seed {Task(ASKS, 1).seed}: x: found verdict fails" in capsys.readouterr().err
    assert f"- {ASKS}, seed {Task(ASKS, 1).seed}: x: found verdict fails" in report.read_text()
    assert run(tmp_path / "runs.json") == 1  # it stays one, though nothing is left to run


def test_runs_of_a_check_that_has_changed_are_made_again(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    write(path, _state(*_done(STILL, [0], 0.1, asks=False), *_done(ASKS, [0, 1], 0.1, alarm="x")))
    assert read(path).claims.keys() == {STILL, ASKS}
    content = json.loads(path.read_text())
    content["claims"][ASKS]["code"] = "another"
    path.write_text(json.dumps(content))
    assert read(path).claims.keys() == {STILL}


def test_a_checks_code_is_that_of_the_modules_it_uses() -> None:
    used = repeats_state._used("paper_checks.zhang2021.fig2", frozenset())
    assert {"paper_checks.zhang2021.fig2", "paper_checks.training_curves", "paper_checks.findings"} <= used
    assert "paper_checks.registry" not in used and "paper_checks.zhang2021.fig3" not in used


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "cannot be read"),
        ("no json", "cannot be read"),
        ('{"versions": {"python": "2.7"}, "claims": {}}', "needed is another file"),
    ],
)
def test_a_file_that_is_not_ours_is_refused_before_any_work(
    tmp_path: Path, content: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs.json"
    path.write_text(content)
    assert run(path) == 2
    assert message in capsys.readouterr().err
    assert path.read_text() == content


@pytest.mark.parametrize("words", [["--seeds", "0"], ["--jobs", "0"], ["--markdown", "missing/r.md"], ["--only", "no"]])
def test_bad_arguments_exit_with_2(tmp_path: Path, words: list[str]) -> None:
    assert main(["--out", str(tmp_path / "runs.json"), *words]) == 2
    assert not (tmp_path / "runs.json").exists()


def test_the_bound_is_that_of_the_binomial_law() -> None:
    """No alarm in n runs has the chance (1-p)^n; k or fewer in n the chance 5% at the bound."""
    assert upper_bound(0, 200) == pytest.approx(1 - 0.05 ** (1 / 200), rel=1e-9)
    p = upper_bound(1, 50)
    assert (1 - p) ** 50 + 50 * p * (1 - p) ** 49 == pytest.approx(0.05, rel=1e-9)
    assert upper_bound(3, 3) == 1


def test_the_report_counts_what_was_run() -> None:
    state = _state(
        *_done(STILL, [0], 0.1, asks=False), *_done("park2022:thm2", [0, 1, 2], 0.5), *_done(ASKS, [0, 1], 1.0)
    )
    state.add(Run(ASKS, 0, Task(ASKS, 0).seed, True, True, 0.1, "the planted fault was not caught"))
    state.add(Run(ASKS, 2, Task(ASKS, 2).seed, False, True, 1.0, f"{ASKS}: recorded this, found that"))
    text = as_markdown(state)
    assert "3 checks; 1 never ask for their seed" in text
    assert "Seeds at which all of the other 2 ran: 3; seeds with an alarm: 1; the rate is below 86% " in text
    assert "- 2 of these ran at 3 seeds.\n" in text
    assert "Single runs of these: 6; alarms: 1; the rate is below 58% " in text
    assert "of the 1 quick ones, tried again: caught in 0 of 1 runs" in text
    assert (
        f"| {ASKS} | symbolic | 3 | 1 | 86% | 1 |" in text
        and "| park2022:thm2 | symbolic | 3 | 0 | 63% | 0.5 |" in text
    )
    assert f"- {ASKS}, seed {Task(ASKS, 0).seed}, with its fault planted: the planted fault was not caught" in text
    assert f"- {ASKS}, seed {Task(ASKS, 2).seed}: {ASKS}: recorded this, found that" in text
    assert f"{STILL}.\n" in text
    state.add(*_done("park2022:thm2", [7], 0.5))
    assert "- 1 of these ran at 4 seeds, the other 1 at 3 to 3.\n" in as_markdown(state)
