"""The study of the expansions: its numbers, its two files and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import verify.mean_point_study as module
from verify.mean_point_study import ABOUT, Row, Setting, main, markdown, study, summary

ROOT = Path(__file__).parents[2]


def row(model: str, *shares: float) -> Row:
    return Row(Setting("digits", "Mixup", model, 0.03, 1.0), 0.5, *shares, trust_data=0.25, trust_mean_points=None)


def test_a_small_study_finds_the_mean_points_closest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MODELS", ("logistic",))
    rows = study(alphas=(1.0,), decays=(0.03,), seeds=(0,))
    assert [(r.setting.data, r.setting.mask) for r in rows] == [
        ("two-moons", "Mixup"),
        *(("digits", mask) for mask in ("Mixup", "CutMix, inside", "CutMix, clip", "HMix, r = 0.5", "GMix, printed")),
    ]
    assert all(r.mean_points < r.both_roles < r.data < 1 for r in rows)
    assert rows == study(alphas=(1.0,), decays=(0.03,), seeds=(0,)), "seeded"


def test_the_summary_counts() -> None:
    found = summary([row("a", 0.5, 0.1, 0.2), row("a", 0.3, 0.4, 0.2), row("b", 0.1, 0.2, 0.3)])
    assert found["a, data"] == {"settings": 2, "closest": 0, "broken": 2, "median": 0.4, "worst": 0.5}
    assert found["a, mean points"] == {"settings": 2, "closest": 1, "broken": 1, "median": 0.25, "worst": 0.4}
    assert [found[f"b, {name}"]["closest"] for name in ABOUT.values()] == [1, 0, 0]


def test_the_files_hold_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row("a", 0.5, 0.1, 0.2)]
    monkeypatch.setattr(module, "study", lambda: rows)
    assert main(["--out", str(tmp_path)]) == 0
    assert (tmp_path / "mean_point_study.md").read_text() == markdown(rows)
    assert "| digits | Mixup | a | 0.03 | 1 | 0.5000 | 50.0% | 10.0% | 20.0% | 0.25 |  |" in markdown(rows)
    report = json.loads((tmp_path / "mean_point_study.json").read_text(), parse_constant=pytest.fail)
    assert report["command"] in markdown(rows) and report["rows"][0]["mean_points"] == 0.1


def test_the_committed_results_are_those_of_the_same_table() -> None:
    report = json.loads((ROOT / "docs" / "results" / "mean_point_study.json").read_text())
    rows = [Row(Setting(**r.pop("setting")), **r) for r in report["rows"]]
    assert (ROOT / "docs" / "results" / "mean_point_study.md").read_text() == markdown(rows)
    assert summary(rows) == report["summary"]


def test_a_folder_that_is_not_there_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "study", lambda: pytest.fail("work was done"))
    assert main(["--out", str(tmp_path / "absent")]) == 2
    assert "absent" in capsys.readouterr().err
