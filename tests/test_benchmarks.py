"""The benchmarks run, and every contender gives the same numbers; how long they take is not tested."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import coefficients, derivatives, exact


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coefficients, "IMAGES", 5)
    monkeypatch.setattr(coefficients, "SIDE", 24)


def test_all_ways_agree(small: None) -> None:
    """The naive ways share no code with ours: relative errors of sums of 576 terms."""
    v = torch.randn(5, 24 * 24, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    contenders = list(coefficients.contenders())
    assert {c.law for c in contenders} >= set(coefficients.TARGETS)
    for contender in contenders:
        assert coefficients.error(contender, v) < 576 * torch.finfo(torch.float64).eps, contender


def test_files_are_written(small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    assert coefficients.main(["--rounds", "1", "--out", str(tmp_path)]) == 0
    torch.set_num_threads(threads)
    assert "CutMix, averaged, float64" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"coefficients.json", "coefficients.md"}


def test_a_wrong_number_of_rounds_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        coefficients.main(["--rounds", "0"])
    assert "--rounds=0: needed is a number >= 1" in capsys.readouterr().err


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SAMPLES": 6, "IMAGES": 3, "WIDTH": 5, "LAYER_SIZES": (4, 9)}.items():
        monkeypatch.setattr(derivatives, name, value)


def test_all_ways_to_second_derivatives_agree(few: None) -> None:
    """Jets, reverse mode, nested forward mode and the dense Hessian; sums of up to 64 * 4096 terms."""
    found = {
        (row.problem, row.way): row for p in derivatives.problems(torch.float64) for row in derivatives.measure(p, 1)
    }
    assert {way for _, way in found} == {"jets", "reverse mode", "nested forward mode", "vmap(hessian)"}
    for row in found.values():
        assert row.error < 64 * 4096 * torch.finfo(torch.float64).eps, row
        assert row.passes > 0 and row.kilobytes > 0


def test_derivatives_are_written(few: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    assert derivatives.main(["--rounds", "1", "--out", str(tmp_path)]) == 0
    torch.set_num_threads(threads)
    assert "times faster than vmap(hessian)" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"derivatives.json", "derivatives.md"}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"SAMPLES": (20, 30), "RATIOS": 4, "MOONS": 16, "ORDERS": (8,), "FINEST": 64, "IMAGES": 12}
    for name, value in {**small, "DRAWS": 64, "SEEDS": 1, "STEPS": 2, "NODES": dict.fromkeys(exact.NODES, 12)}.items():
        monkeypatch.setattr(exact, name, value)


def test_the_fast_exact_losses_are_measured(tiny: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every part has its rows, and the pair sums agree with the plain ones to what the target asks for."""
    threads = torch.get_num_threads()
    assert exact.main(["--rounds", "1", "--out", str(tmp_path)]) == 0
    torch.set_num_threads(threads)
    assert "affine, Mixup, 30 two-moons" in capsys.readouterr().out
    rows = json.loads((tmp_path / "exact.json").read_text())["rows"]
    assert {row["part"] for row in rows} == {"affine", "grid", "sobol"}
    assert all(row["error"] <= exact.ACCURACY["affine"] for row in rows if row["part"] == "affine")
    assert {path.name for path in tmp_path.iterdir()} == {"exact.json", "exact.md"}
