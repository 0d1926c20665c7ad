"""`--quick`: the rule by which it chooses, the seconds it goes by, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paper_checks import quick, record
from paper_checks.__main__ import main
from paper_checks.registry import claims, select

FAST = ["park2022:conjugacy", "park2022:appA-R3"]


def test_every_kind_of_evidence_and_every_papers_verdicts_are_there() -> None:
    recorded, known = record.read(), list(claims().values())
    chosen = quick.chosen(known)

    def seen(names: list[str]) -> tuple[set[str], set[tuple[str, str]]]:
        return {recorded[n]["evidence"] for n in names}, {(n.split(":")[0], recorded[n]["verdict"]) for n in names}

    assert seen([c.id for c in chosen]) == seen([c.id for c in known])
    assert sum(quick.read()[c.id] for c in chosen) <= quick.BUDGET
    assert len(chosen) < len(known)


def test_the_choice_does_not_depend_on_the_order_and_comes_in_the_order_given() -> None:
    known = list(claims().values())
    assert quick.chosen(known[::-1]) == quick.chosen(known)[::-1]


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (1.0, ["a:1"]),  # of each kind of evidence the cheapest that fits
        (3.0, ["a:1", "b:3"]),
        (5.0, ["a:1", "a:2", "b:3"]),  # then a verdict of a paper that has none
        (6.0, ["a:1", "a:2", "a:4", "b:3"]),  # then any
    ],
)
def test_the_cheapest_of_each_kind_comes_first(
    monkeypatch: pytest.MonkeyPatch, budget: float, expected: list[str]
) -> None:
    entries = {
        "a:1": ("holds", "exact", 1.0),
        "a:2": ("fails", "exact", 2.0),
        "a:4": ("holds", "exact", 1.0),
        "b:3": ("holds", "symbolic", 2.0),
        "b:5": ("holds", "symbolic", 9.0),
    }
    monkeypatch.setattr(record, "read", lambda: {n: {"verdict": v, "evidence": e} for n, (v, e, _) in entries.items()})
    monkeypatch.setattr(quick, "read", lambda: {n: s for n, (_, _, s) in entries.items()})
    known = [_named(name) for name in ("a:1", "a:2", "a:4", "b:3", "b:5", "b:not-recorded")]
    assert [c.id for c in quick.chosen(known, budget)] == expected


def _named(name: str) -> quick.Claim:
    return quick.Claim(name, "here", "something", "a sign", claims()[FAST[0]].check)


def test_seconds_are_recorded_of_every_claim_with_a_verdict() -> None:
    assert set(quick.read()) == set(record.read())


def test_new_claims_are_added_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "seconds.toml"
    quick.add({FAST[0]: 1.234}, path)
    quick.add({FAST[0]: 9.0, FAST[1]: 0.0004}, path)
    assert quick.read(path) == {FAST[0]: 1.2, FAST[1]: 0.01}
    path.chmod(0o444)
    before = path.stat().st_mtime_ns
    quick.add({FAST[0]: 5.0}, path)
    assert path.stat().st_mtime_ns == before


def test_record_adds_the_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts, seconds = tmp_path / "verdicts.toml", tmp_path / "seconds.toml"
    write, add = record.write, quick.add
    monkeypatch.setattr(record, "write", lambda findings: write(findings, verdicts))
    monkeypatch.setattr(quick, "add", lambda found: add(found, seconds))
    main(["--only", *FAST, "--jobs", "1", "--record"])
    assert set(quick.read(seconds)) == set(record.read(verdicts)) == set(FAST)


def test_a_quick_run_has_its_views_and_says_what_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "ledger.json"
    monkeypatch.setattr(quick, "chosen", lambda _: select(FAST))
    assert main(["--quick", "--jobs", "1", "--json", str(path)]) == 0
    assert [row["id"] for row in json.loads(path.read_text())["claims"]] == FAST
    assert f"{len(claims()) - len(FAST)} claims were left out, as --quick does" in capsys.readouterr().out


def test_it_lists_what_it_would_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--list"]) == 0
    shown = capsys.readouterr().out
    chosen = quick.chosen(claims().values())
    assert [line.split()[0] for line in shown.splitlines()[: len(chosen)]] == [c.id for c in chosen]
    assert f"{len(claims()) - len(chosen)} claims were left out" in shown


@pytest.mark.parametrize("other", [["--only", "park2022:*"], ["--errata", "park2022"], ["--from", "ledger.json"]])
def test_what_chooses_otherwise_is_refused(other: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", *other]) == 2
    assert "--quick" in capsys.readouterr().err
