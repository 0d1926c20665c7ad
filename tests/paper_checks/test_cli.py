"""`python -m paper_checks`: selection, exit codes, files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from paper_checks import record, registry
from paper_checks.__main__ import main
from paper_checks.findings import VERDICTS
from paper_checks.registry import UnknownClaimError, select

FAST = ["park2022:conjugacy", "park2022:appA-R3"]


def test_brackets_are_literal_and_stars_are_wild() -> None:
    assert [c.id for c in select(["park2022:thm1[mixup]"])] == ["park2022:thm1[mixup]"]
    assert len(select(["park2022:thm1*"])) == 6
    assert len(select(["park2022:eq8-?"])) == 2
    assert select([]) == select(["*"])


def test_an_unknown_claim_names_the_nearest() -> None:
    with pytest.raises(UnknownClaimError, match=r"park2022:thm1\[mixup\]"):
        select(["park2022:thm1[mixpu]"])


def test_a_claim_without_a_check_is_said_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {name: claim for name, claim in registry.claims().items() if name != "park2022:thm7"}
    monkeypatch.setattr(registry, "claims", lambda: others)
    with pytest.raises(UnknownClaimError, match=r"park2022:thm7.*has no check yet"):
        select(["park2022:thm7"])


def test_views_of_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: tmp_path / f"ledger.{name}" for name in ("json", "junit", "markdown")}
    options = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    assert main(["--only", *FAST, "--jobs", "1", *options]) == 0
    shown = capsys.readouterr().out
    ledger = json.loads(files["json"].read_text())
    assert (ledger["schema"], ledger["seed"]) == (1, 0)
    assert [row["id"] for row in ledger["claims"]] == FAST
    for row in ledger["claims"]:
        assert row["id"] in shown
        assert row["verdict"] in VERDICTS and row["fault"]["caught"] is True and row["evidence"]["figures"]
        assert (row["correction"] is None) == (row["verdict"] == "holds") == (row["corrected"] is None)
    suite = ElementTree.parse(files["junit"]).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "0")
    assert all(name in files["markdown"].read_text() for name in FAST)


def test_a_verdict_that_moved_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "verdicts.toml"
    moved.write_text('["park2022:conjugacy"]\nverdict = "fails"\nevidence = "symbolic"\n')
    real = record.differences
    monkeypatch.setattr("paper_checks.record.differences", lambda findings: real(findings, moved))
    junit = tmp_path / "junit.xml"
    assert main(["--only", "park2022:conjugacy", "--jobs", "1", "--junit", str(junit)]) == 1
    assert "recorded verdict fails" in capsys.readouterr().err
    assert ElementTree.parse(junit).getroot().get("failures") == "1"


def test_record_writes_and_keeps_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "verdicts.toml"
    path.write_text('["park2022:eq8-G"]\nverdict = "holds"\nevidence = "symbolic"\n')
    real = record.write
    monkeypatch.setattr("paper_checks.record.write", lambda findings: real(findings, path))
    main(["--only", *FAST, "--jobs", "1", "--record"])
    assert list(record.read(path)) == ["park2022:conjugacy", "park2022:eq8-G", "park2022:appA-R3"]
    assert record.read(path)["park2022:appA-R3"] == {"verdict": "fails", "corrected": "holds", "evidence": "exact"}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--only", "park2022:nonsense"], "no claim matches 'park2022:nonsense'"),
        (["--jobs", "0"], "--jobs=0"),
        (["--json", "missing-folder/l.json"], "--json=missing-folder/l.json"),
    ],
)
def test_bad_arguments_exit_with_2_before_any_work(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert not captured.out


def test_two_processes_find_the_same_as_one(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    command = [sys.executable, "-m", "paper_checks", "--only", *FAST, "--jobs", "2", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [row["id"] for row in json.loads(path.read_text())["claims"]] == FAST


def test_list_runs_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--only", "zhang2021:*"]) == 0
    assert "zhang2021:lemma3.1" in capsys.readouterr().out
