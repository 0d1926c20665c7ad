"""The benchmark of networks by device runs, and says where it has no device."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import networks

SMALL = "--model small-convnet --data digits --samples 4 --msda mixup --directions 16 --method monte-carlo --draws 32"


def test_it_runs_and_writes_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "networks.md"
    assert networks.main(["--command", SMALL, "--out", str(out)]) == 0
    text = out.read_text()
    assert text == capsys.readouterr().out and SMALL in text
    cpu, cuda = (next(row for row in text.splitlines() if row.startswith(f"| {name}")) for name in ("cpu", "cuda"))
    assert cpu.endswith("| 0.0e+00 |")
    assert ("skipped" in cuda) != torch.cuda.is_available()


def test_a_run_that_fails_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        networks.main(["--command", SMALL.replace("digits", "absent.npz")])
    assert stop.value.code == 2 and "--data=absent.npz" in capsys.readouterr().err
