"""`python -m verify`: what it prints and writes, and the message for every bad input."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import msda_theory as mt
from verify.__main__ import main
from verify.inputs import MASK_OPTIONS

ROOT = Path(__file__).parents[2]
MODELS = """
import torch
from torch import nn

def images():
    return nn.Sequential(nn.Flatten(), nn.Linear(60, 4), nn.Tanh(), nn.Linear(4, 3)).eval()

def doubles():
    return nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)).double()

def plain():
    return lambda x: torch.sin(x[:, 0] + 2 * x[:, 1] ** 2)

def narrow():
    return nn.Linear(2, 1).double()

def wide():
    return nn.Linear(2, 3).double()

def normalised():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).double()

def dropping():
    return nn.Sequential(nn.Linear(2, 3), nn.Dropout(0.5), nn.Linear(3, 1)).double()

def misfit():
    return nn.Linear(7, 1).double()

def summed():
    return lambda x: x.sum()

def broken():
    return 1 / 0

def leaving():
    raise SystemExit(0)

def nothing():
    return None

def needs(argument):
    return nn.Linear(argument, 1)

network = nn.Linear(2, 1)
"""


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str

    @property
    def computed(self) -> str:
        """What is printed, but for the last line, which says how long it took."""
        text, _, cost = self.out.rstrip().rpartition("\n")
        assert cost.startswith("took ") and cost.endswith(" GiB of memory")
        return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Models and data files; y of `moons.npz` are numbers in [0, 1], of `images.npz` classes."""
    rng = np.random.default_rng(0)
    x, images = rng.normal(size=(8, 2)), rng.integers(0, 255, size=(6, 3, 4, 5), dtype=np.uint8)
    y = np.array([0.0, 1.0] * 4)
    (tmp_path / "models.py").write_text(MODELS)
    (tmp_path / "syntax.py").write_text("def f(:\n")
    (tmp_path / "text.npz").write_text("not an archive")
    np.savez(tmp_path / "moons.npz", x=x, y=y)
    np.savez(tmp_path / "images.npz", x=images / 255, y=np.array([0, 1, 2] * 2))
    np.savez(tmp_path / "small.npz", x=images[:, 0, :, :3] / 255, y=np.array([0, 1, 2] * 2))
    np.savez(tmp_path / "bytes.npz", x=images, y=np.array([0, 1, 2] * 2))
    np.savez(tmp_path / "only_x.npz", x=x)
    np.savez(tmp_path / "nan.npz", x=np.where(x == x[3, 1], np.nan, x), y=y)
    np.savez(tmp_path / "nan_y.npz", x=x, y=np.where(np.arange(8) == 2, np.nan, y))
    np.savez(tmp_path / "counts.npz", x=x, y=5 * y)
    np.savez(tmp_path / "negative.npz", x=x, y=np.array([-1, 1] * 4))
    np.savez(tmp_path / "huge.npz", x=x, y=np.full(8, 10**12))
    np.savez(tmp_path / "short.npz", x=x, y=y[:5])
    np.savez(tmp_path / "one.npz", x=x[:1], y=y[:1])
    np.savez(tmp_path / "flat.npz", x=x[:, 0], y=y)
    np.savez(tmp_path / "words.npz", x=x, y=np.array(["a", "b"] * 4))
    np.savez(tmp_path / "objects.npz", x=np.array([{}] * 8), y=y)
    np.save(tmp_path / "array.npy", x)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "moons.npz").read_bytes()[:200])
    return tmp_path


@pytest.fixture
def run(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Run]:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def call(line: str) -> Run:
        try:
            code = main(line.split())
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Run(code, captured.out, captured.err)

    return call


MOONS = "--data two-moons --samples 12 --model logistic --msda mixup"
OWN = "--data moons.npz --model models.py:doubles --msda mixup"


@pytest.mark.parametrize("msda", MASK_OPTIONS)
def test_every_augmentation_prints_a_comparison(run: Callable[[str], Run], msda: str) -> None:
    data = "two-moons" if msda == "bernoulli" else "small.npz"
    done = run(f"--data {data} --samples 5 --model logistic --msda {msda} --alpha 0.7 --beta 2")
    assert done.code == 0 and not done.err
    for row in ("standard loss L_m", "R1", "R2", "R3", "expansion", "exact", "remainder", "Beta(a=0.7, b=2.0)"):
        assert row in done.out


def test_built_in_model_says_how_it_was_trained_and_is_reproducible(run: Callable[[str], Run]) -> None:
    first, second = run(MOONS), run(MOONS)
    assert first.computed == second.computed
    assert "12 samples of shape (2,), torch.float64" in first.out
    assert "trained on these samples without augmentation: L-BFGS, 50 steps, loss + 0.03/2 |theta|^2" in first.out
    assert run(f"{MOONS} --seed 1").computed != first.computed
    assert "loss + 0.5/2 |theta|^2" in run(f"{MOONS} --weight-decay 0.5").out


def test_json_holds_everything_and_replaces_what_was_there(run: Callable[[str], Run], folder: Path) -> None:
    before = set(folder.iterdir())
    (folder / "out.json").write_text("old")
    done = run(f"{OWN} --order --label realised --seed 3 --json out.json")
    assert done.code == 0 and set(folder.iterdir()) == before | {folder / "out.json"} | caches(folder)
    report = json.loads((folder / "out.json").read_text(), parse_constant=pytest.fail)
    assert report["schema"] == 1 and report["seed"] == 3 and report["settings"]["label"] == "realised"
    assert set(report["versions"]) == {"python", "msda_theory", "torch", "numpy", "scipy"}
    assert report["title"] == "Logistic(), Mixup((2,)), Beta(a=1.0, b=1.0)"
    assert report["exact"]["method"] == "enumerate" and report["exact"]["error"] < 1e-4
    theory = report["theory"]
    assert math.isclose(theory["total"], sum(theory[k] for k in ("standard", "r1", "r2", "r3")), rel_tol=1e-15)
    assert math.isclose(report["remainder"], report["exact"]["value"] - theory["total"], abs_tol=1e-15)
    assert abs(report["order"]["slope"] - 3) < 0.1 and len(report["order"]["window"]) == 5


def caches(folder: Path) -> set[Path]:
    """Python's own, beside the user's module."""
    return set(folder.glob("__pycache__"))


def test_numbers_are_those_of_the_library(run: Callable[[str], Run]) -> None:
    done = run("--data moons.npz --model models.py:plain --msda bernoulli --json o.json --as-printed")
    assert done.code == 0 and "printed form" in done.out
    with np.load("moons.npz") as data:
        x, y = (torch.from_numpy(data[k]) for k in "xy")
    model = lambda x: torch.sin(x[:, 0] + 2 * x[:, 1] ** 2)  # noqa: E731
    aug = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.Bernoulli((2,)))
    expected = mt.compare(model, mt.losses.Logistic(), x, y, aug, as_printed=True).to_dict()
    report = json.loads(Path("o.json").read_text())
    assert {k: report[k] for k in expected} == expected


def test_order_is_three_and_infinite_where_exact(run: Callable[[str], Run]) -> None:
    assert "order of the remainder: 3.0" in run(f"{MOONS} --order").out
    done = run(f"{MOONS} --loss squared --order --json o.json")
    order = json.loads(Path("o.json").read_text())["order"]
    assert "the expansion is exact" in done.out
    assert order["exact"] and order["slope"] is None


def test_float32_network_on_images_of_several_channels(run: Callable[[str], Run]) -> None:
    done = run("--data images.npz --model models.py:images --msda cutmix --sampler clip --order")
    assert done.code == 0 and "6 samples of shape (3, 4, 5), torch.float32" in done.out
    assert "CutMix((4, 5), sampler='clip')" in done.out and "SoftmaxCrossEntropy()" in done.out
    assert "order of the remainder: 3.0" in done.out


def test_bytes_are_taken_as_numbers(run: Callable[[str], Run]) -> None:
    done = run("--data bytes.npz --model logistic --msda cutmix")
    assert done.code == 0 and "torch.float64" in done.out


def test_samples_of_a_file_are_chosen_by_the_seed(run: Callable[[str], Run]) -> None:
    outputs = [run(f"{OWN} --samples 4 --seed {seed}").computed for seed in (0, 0, 1)]
    assert outputs[0] == outputs[1] != outputs[2]
    assert "4 samples" in outputs[0]


def test_monte_carlo(run: Callable[[str], Run]) -> None:
    done = run(f"{MOONS} --method monte-carlo --draws 500")
    assert done.code == 0 and "monte-carlo" in done.out


def test_relu_network_gets_a_clean_notice(run: Callable[[str], Run]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = run("--data two-moons --samples 10 --model mlp-relu --msda bernoulli --json o.json")
    assert done.code == 0 and not done.err
    assert "\nnotice: the Hessian is zero at every sample" in done.out
    assert "Hessian" in json.loads(Path("o.json").read_text())["notices"][0]


BAD = [
    ("--alpha 0", "--alpha: '0': needed is a finite number > 0"),
    ("--alpha -1", "--alpha: '-1': needed is a finite number > 0"),
    ("--beta nan", "--beta: 'nan': needed is a finite number > 0"),
    ("--samples 1", "--samples: '1': needed is a whole number >= 2"),
    ("--samples 2.5", "--samples: '2.5': needed is a whole number >= 2"),
    ("--weight-decay -1", "--weight-decay: '-1': needed is a finite number >= 0"),
    ("--msda manifold", "--msda: invalid choice: 'manifold'"),
    ("--rtol 0", "--rtol: '0': needed is a finite number > 0"),
    ("--msda hmix --data digits --r 1.5", "--r: '1.5': needed is a number in [0, 1]"),
    ("--sampler inside", "--sampler=inside with --msda=mixup: it belongs to cutmix, hmix, stochastic"),
    ("--msda cutmix --data digits --kernel printed", "--kernel=printed with --msda=cutmix: it belongs to gmix"),
    ("--draws 100", "--draws=100 with --method=enumerate: it belongs to monte-carlo"),
    ("--method monte-carlo --rtol 1e-3", "--rtol=0.001 with --method=monte-carlo: it belongs to enumerate"),
    ("--msda cutmix", "--msda=cutmix cuts images, x has shape (200, 2): needed is (m, ..., H, W)"),
    ("--as-printed --label realised", "label='realised'"),
    ("--samples 5000 --data digits", "--samples=5000: digits has 1797"),
    ("--samples 9 --data moons.npz", "--samples=9: moons.npz has 8"),
    ("--samples 3 --data digits --msda bernoulli", "Bernoulli((8, 8)) has"),
    ("--samples 12 --model mlp-relu --rtol 1e-15", "rtol=1e-15 cannot be met"),
    ("--model transformer", "--model=transformer: needed is one of logistic, mlp-tanh, mlp-relu, preact-resnet18,"),
    ("--data absent.npz", "--data=absent.npz: no such file; needed is one of two-moons, digits, lfw, textures,"),
    ("--data text.npz", "--data=text.npz cannot be read"),
    ("--data cut.npz", "--data=cut.npz cannot be read"),
    ("--data .", "--data=.: no such file"),
    ("--data array.npy", "--data=array.npy cannot be read: it holds one array"),
    ("--data only_x.npz", "--data=only_x.npz cannot be read: it has no array y, it holds x"),
    ("--data objects.npz", "--data=objects.npz cannot be read"),
    ("--data words.npz", "y is <U1 of shape (8,): needed are numbers"),
    ("--data nan.npz", "x has 1 entry that is NaN or inf, the first (nan) at (3, 1)"),
    ("--data nan_y.npz", "y has 1 entry that is NaN or inf, the first (nan) at (2,)"),
    ("--data counts.npz", "y lies in [0, 5]: Logistic() needs labels in [0, 1]"),
    ("--data negative.npz", "y lies in [-1, 1]: as class indices it needs integers in 0..1"),
    ("--data negative.npz --loss poisson", "y lies in [-1, 1]: Poisson() needs labels >= 0"),
    ("--data huge.npz", "y reaches 1e+12: needed are class indices below 1000"),
    ("--data short.npz", "x holds 8 samples and y 5: needed is one label a sample"),
    ("--data one.npz", "x holds 1 sample: mixing needs at least two"),
    ("--data flat.npz", "x is float64 of shape (8,): needed are real numbers (m, ...)"),
    ("--json absent/o.json", "--json=absent/o.json cannot be written"),
    ("--json .", "--json=. exists and is not a file"),
]
BAD_MODELS = [
    ("absent.py:f", "absent.py is not a Python file"),
    ("models.py", "--model=models.py: needed is one of"),
    ("models.py:absent", "--model=models.py:absent has no such function"),
    ("models.py:network", "--model=models.py:network is a Linear: needed is a function of no arguments"),
    ("models.py:nothing", "--model=models.py:nothing returned a NoneType: needed is a torch.nn.Module or a callable"),
    ("models.py:normalised", "BatchNorm1d '1' is in train mode"),
    ("models.py:dropping", "Dropout '1' is in train mode"),
    ("models.py:summed", "it returned (); needed is a tensor (1,) or (1, K)"),
    ("models.py:wide --loss logistic", "the model's outputs have shape (8, 3) and y (8,)"),
    ("models.py:narrow --loss softmax", "needs K >= 2 outputs"),
    ("models.py:narrow --weight-decay 1", "--weight-decay=1 with --model=models.py:narrow: only built-in models"),
]
RAISING = [
    ("models.py:broken", "raised ZeroDivisionError: division by zero", "return 1 / 0"),
    ("models.py:leaving", "raised SystemExit: 0", "raise SystemExit(0)"),
    ("models.py:needs", "raised TypeError", "missing 1 required positional argument: 'argument'"),
    ("models.py:misfit", "the network, on x of shape (1, 2), raised RuntimeError", "mat1 and mat2 shapes"),
    ("syntax.py:f", "raised SyntaxError", "def f(:"),
]


def refused(run: Callable[[str], Run], line: str, folder: Path) -> str:
    """The message of a run that fails, after checking that it left nothing and printed nothing else."""
    before = set(folder.iterdir())
    done = run(line if "--json" in line else f"{line} --json out.json")
    assert done.code == 2 and not done.out
    assert set(folder.iterdir()) - caches(folder) == before - caches(folder)
    return done.err


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_is_named(run: Callable[[str], Run], folder: Path, arguments: str, message: str) -> None:
    common = "--data two-moons --model logistic --msda mixup"
    error = refused(run, f"{common} {arguments}", folder)
    assert message in error and "Traceback" not in error


@pytest.mark.parametrize(("arguments", "message"), BAD_MODELS)
def test_bad_model_is_named(run: Callable[[str], Run], folder: Path, arguments: str, message: str) -> None:
    error = refused(run, f"--data moons.npz --msda mixup --model {arguments}", folder)
    assert message in error and "Traceback" not in error


@pytest.mark.parametrize(("model", "message", "line"), RAISING)
def test_users_own_traceback_is_kept(
    run: Callable[[str], Run], folder: Path, model: str, message: str, line: str
) -> None:
    error = refused(run, f"--data moons.npz --msda mixup --model {model}", folder)
    assert f"--model={model}" in error.splitlines()[-1] or model == "models.py:misfit"
    assert message in error and line in error
    assert "verify/models.py" not in error and "importlib" not in error


def test_nothing_is_computed_before_the_json_path_is_checked(
    run: Callable[[str], Run], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verify.samples.data", lambda settings: pytest.fail("data were read first"))
    assert "--json=absent/o.json cannot be written" in refused(run, f"{MOONS} --json absent/o.json", folder)


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "verify", *line.split()]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_real_command(folder: Path) -> None:
    done = shell(f"{OWN} --json out.json", folder)
    assert done.returncode == 0 and not done.stderr and "remainder" in done.stdout
    assert json.loads((folder / "out.json").read_text())["settings"]["model"] == "models.py:doubles"


def test_the_real_command_refuses(folder: Path) -> None:
    done = shell("--data nan.npz --model mlp-tanh --msda mixup --json out.json", folder)
    assert done.returncode == 2 and not done.stdout and not (folder / "out.json").exists()
    assert done.stderr.startswith("python -m verify: error: x has 1 entry") and "Traceback" not in done.stderr
