"""`torchrun -m verify` with two processes: the numbers of one, one output, and no result when a process is lost."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch.distributed as dist

from verify.__main__ import main

ROOT = Path(__file__).parents[2]
LINE = "--data moons.npz --model models.py:{model} --msda mixup --rtol 1e-8 --json out.json"
# one process counts as the first
MODELS = """
import os
import torch
from torch import nn

RANK = int(os.environ.get("RANK", 0))

def network():
    torch.manual_seed(RANK)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()

class Breaking(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = network()

    def forward(self, x):
        if RANK == 1 and len(x) > 10_000:
            raise RuntimeError("planted")
        return self.layers(x)

def unlike():
    print("called in", RANK)
    return lambda x: torch.tanh(x).sum(1) + RANK
"""
HANGING = """
import sys, time
from datetime import timedelta
import torch
from msda_theory._sharding import in_parts
from verify import ranks

ranks.TIMEOUT = timedelta(seconds=2)

def command():
    if not ranks.is_first():
        time.sleep(60)
    with torch.no_grad():
        in_parts("a sum", torch.tensor, [[1.0], [2.0]])
    return 0

try:
    sys.exit(ranks.run(command))
finally:
    print("ended", flush=True)
"""

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch was built without gloo"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Data with pairs enough for several parts, models, and a result from before."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "moons.npz", x=rng.normal(size=(120, 2)), y=np.arange(120) % 2 * 1.0)
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "hanging.py").write_text(HANGING)
    (tmp_path / "out.json").write_text("old")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def torchrun(words):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *words.split()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


def numbers(report):
    """Every number of a report, by its place in it."""
    if isinstance(report, dict):
        return {f"{key}.{k}": v for key, part in report.items() for k, v in numbers(part).items()}
    return {"": report} if isinstance(report, float) else {}


def results():
    return {k: v for k, v in json.loads(Path("out.json").read_text()).items() if k not in ("settings", "cost")}


def lines(printed):
    """What is printed, but for the time that it took."""
    return [line for line in printed.splitlines() if not line.startswith("took")]


def test_two_processes_have_the_numbers_of_one(folder, capsys):
    """Also though each builds a network of its own: the first one's counts."""
    line = LINE.format(model="network")
    shared = torchrun(f"-m verify {line} --resume kept.json")
    assert shared.returncode == 0 and not shared.stderr, shared.stderr
    found = numbers(results())
    assert main(line.split()) == 0
    alone = numbers(results())
    assert lines(capsys.readouterr().out) == lines(shared.stdout)
    assert found.keys() == alone.keys() and len(found) > 15
    assert all(abs(found[key] - alone[key]) <= 1e-12 * max(1, abs(alone[key])) for key in alone)
    kept = json.loads(Path("kept.json").read_text())["sums"]
    assert any(one["parts"] > 4 for one in kept) and all(len(one["rows"]) == one["parts"] for one in kept)


def test_a_process_that_dies_ends_the_run_which_goes_on_later(folder, monkeypatch):
    line = f"{LINE.format(model='Breaking')} --resume kept.json"
    before = {path.name for path in folder.iterdir()}
    died = torchrun(f"-m verify {line}")
    assert died.returncode != 0 and not died.stdout
    assert "process 1 of 2" in died.stderr and "RuntimeError: planted" in died.stderr
    assert Path("out.json").read_text() == "old"
    assert {path.name for path in folder.iterdir()} - {"__pycache__"} == before | {"kept.json"}
    kept = Path("kept.json").read_text()
    assert main(line.split()) == 0 and results()["exact"]["value"] > 0
    begun = json.loads(kept)["sums"]
    assert begun and json.loads(Path("kept.json").read_text())["sums"][: len(begun) - 1] == begun[:-1]


def test_what_all_find_wrong_is_said_once(folder):
    """Two processes with unlike networks that cannot be sent; the first one's prints alone are shown."""
    refused = torchrun(f"-m verify {LINE.format(model='unlike')}")
    message = "process 1 works on another run: its network gives other outputs for the same data"
    assert refused.returncode != 0 and refused.stdout == "called in 0\n"
    assert refused.stderr.count("python -m verify: error:") == 1 and message in refused.stderr
    assert Path("out.json").read_text() == "old"


def test_a_process_that_hangs_ends_the_run(folder):
    start = time.monotonic()
    hung = torchrun("hanging.py")
    assert hung.returncode != 0 and hung.stdout == "ended\n"
    assert "LostProcessError: another of the 2 processes ended, or did not answer within 0:00:02" in hung.stderr
    assert time.monotonic() - start < 50
