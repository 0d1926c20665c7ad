"""`--resume`: what is kept is taken up by the same run, and by no other."""

import json
import sys

import numpy as np
import pytest

import msda_theory._sharding as sharding
from verify.__main__ import main

MODEL = """
import torch
from torch import nn

EVALUATED, BREAKS_AT = 0, {breaks}

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()

    def forward(self, x):
        global EVALUATED
        EVALUATED += len(x)
        if EVALUATED > BREAKS_AT:
            raise RuntimeError("planted")
        return {scale} * self.layers(x)

def network():
    return Network()
"""
LINE = "--data moons.npz --model model.py:network --msda mixup --json out.json"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Runs a command line in a folder with data and a network; gives exit code, standard error and evaluations."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "moons.npz", x=rng.normal(size=(60, 2)), y=np.arange(60) % 2 * 1.0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sharding, "ROUND", 0.0)
    monkeypatch.setattr("msda_theory.exact.CHUNK_INPUTS", 2**12)

    def call(line, breaks=float("inf"), scale=1):
        (tmp_path / "model.py").write_text(MODEL.format(breaks=f"float('{breaks}')", scale=scale))
        code = main(line.split())
        return code, capsys.readouterr().err, sys.modules["user_model"].EVALUATED

    return call


def results(tmp_path):
    found = json.loads((tmp_path / "out.json").read_text())
    (tmp_path / "out.json").unlink()
    return {key: value for key, value in found.items() if key not in ("settings", "cost")}


def test_a_broken_run_is_taken_up(run, tmp_path):
    code, _, evaluated = run(LINE)
    whole = results(tmp_path)
    assert code == 0
    with pytest.raises(RuntimeError, match="planted"):
        run(f"{LINE} --resume kept.json", breaks=evaluated * 0.75)
    assert not (tmp_path / "out.json").exists()
    kept = json.loads((tmp_path / "kept.json").read_text())["sums"]
    done = [len(one["rows"]) / one["parts"] for one in kept]
    assert done[:-1] == [1.0] * (len(done) - 1) and 0 < done[-1] < 1
    code, error, rest = run(f"{LINE} --resume kept.json")
    assert code == 0 and not error and rest < evaluated / 2
    assert results(tmp_path) == whole


def test_a_finished_run_costs_nothing_again(run, tmp_path):
    first = run(f"{LINE} --resume kept.json")
    whole = results(tmp_path)
    again = run(f"{LINE} --resume kept.json")
    assert again[2] < first[2] / 2
    assert results(tmp_path) == whole


def test_another_run_is_refused(run, tmp_path, monkeypatch):
    run(f"{LINE} --resume kept.json")
    kept = (tmp_path / "kept.json").read_text()
    (tmp_path / "out.json").unlink()

    def refused(message, line=LINE, **model):
        code, error, _ = run(f"{line} --resume kept.json", **model)
        assert code == 2 and f"--resume=kept.json holds the sums of another run: {message}" in error
        assert (tmp_path / "kept.json").read_text() == kept and not (tmp_path / "out.json").exists()

    refused("there alpha is 1.0, here 0.5", f"{LINE} --alpha 0.5")
    refused("its network gives other outputs", scale="(1 + 1e-9)")
    monkeypatch.setattr("torch.__version__", "0.1")
    refused("there torch is")
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    with np.load("moons.npz") as data:
        np.savez(tmp_path / "moons.npz", x=data["x"], y=1 - data["y"])
    refused("its data are not the same")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"run": 1}', '{"run": {}, "sums": []}', "\xff"])
def test_other_files_are_refused(run, tmp_path, content):
    (tmp_path / "kept.json").write_bytes(content.encode("latin-1"))
    code, error, _ = run(f"{LINE} --resume kept.json")
    assert code == 2 and "--resume=kept.json cannot be read" in error and "a file that --resume wrote" in error
    assert (tmp_path / "kept.json").read_bytes() == content.encode("latin-1")


def test_the_path_is_checked_first(monkeypatch, capsys):
    monkeypatch.setattr("verify.samples.data", lambda settings: pytest.fail("data were read first"))
    assert main([*LINE.split(), "--resume", "absent/kept.json"]) == 2
    assert "--resume=absent/kept.json cannot be written" in capsys.readouterr().err


def test_rounding_does_not_tell_networks_apart(run, tmp_path):
    """The same network on another machine: its outputs differ in their last digits."""
    run(f"{LINE} --resume kept.json")
    code, error, _ = run(f"{LINE} --resume kept.json", scale="(1 + 2**-50)")
    assert code == 0, error
