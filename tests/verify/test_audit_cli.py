"""`python -m verify --audit`: what it prints and writes, and the message for every bad input."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from verify.__main__ import main
from verify.audit import augmentation

OWN = """
import torch

def mixup(x, y):
    weight, partner = torch.rand(()), torch.randperm(len(x))
    return weight * x + (1 - weight) * x[partner], weight * y + (1 - weight) * y[partner]

def classes(x, y):
    weight, partner = torch.rand(()), torch.randperm(len(x))
    return weight * x + (1 - weight) * x[partner], y, y[partner], weight

def broken(x, y):
    return inner(x)

def inner(x):
    raise KeyError("deep")

def squares(x, y):
    return x ** 2, y

number = 3
"""
SMALL = "--shape 3 4 6 --draws 60"
needs_kornia = pytest.mark.skipif(importlib.util.find_spec("kornia") is None, reason="kornia is not installed")


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Run]:
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def call(line: str) -> Run:
        try:
            code = main(line.split())
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Run(code, captured.out, captured.err)

    return call


def test_a_function_of_ones_own(run: Callable[[str], Run]) -> None:
    done = run(f"--audit own.py:mixup {SMALL}")
    assert (done.code, done.err) == (0, "")
    assert "Mixup((4, 6))" in done.out and "M = w 1 exactly" in done.out
    assert run(f"--audit own.py:classes --labels classes {SMALL}").code == 0


def test_files(run: Callable[[str], Run], tmp_path: Path) -> None:
    line = f"--audit own.py:mixup own.py:classes {SMALL} --json a.json --markdown a.md --figure a.png"
    done = run(line)
    assert done.code == 0, done.err
    data = json.loads((tmp_path / "a.json").read_text())
    assert data["schema"] == 1 and [a["name"] for a in data["audits"]] == ["mixup", "classes"]
    audit = data["audits"][0]
    assert audit["findings"]["ratio"]["per"] == "batch" and audit["fits"][0]["law"] == "Mixup((4, 6))"
    assert len(audit["maps"]["mean"]["value"]) == 4 and len(audit["maps"]["second"]["value"]) == 7
    text = (tmp_path / "a.md").read_text()
    assert f"python -m verify {line}" in text and "![mean masks and second moments](a.png)" in text
    assert "## classes" in text and "| Zhang et al., Lemma 3.1: M = lambda 1 | **met** |" in text
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_command_writes_the_same_files(run: Callable[[str], Run], tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run(f"--audit own.py:mixup {SMALL} --json {name}.json --figure {name}.png").code == 0
    for kind in ("json", "png"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()


@needs_kornia
@pytest.mark.filterwarnings("ignore:RandomCutMixV2 currently uses:DeprecationWarning")
def test_kornia_with_arguments(run: Callable[[str], Run]) -> None:
    done = run(f"--audit kornia:RandomMixUpV2 kornia:RandomCutMixV2(use_correct_lambda=True,beta=2.0) {SMALL}")
    assert done.code == 0, done.err
    assert "RandomMixUpV2 (kornia" in done.out and "RandomCutMixV2(use_correct_lambda=True)" in done.out
    assert "Beta(a=2.0, b=2.0)" in done.out


def test_an_error_in_the_function_keeps_its_traceback(run: Callable[[str], Run]) -> None:
    done = run(f"--audit own.py:broken {SMALL}")
    assert done.code == 2
    assert "in inner" in done.err and "own.py" in done.err and "raised KeyError: 'deep'" in done.err
    assert "_probe.py" not in done.err, "our own frames are of no use"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--audit own.py:squares", ["squares is not linear in the batch"]),
        ("--audit own.py:nothing", ["--audit=own.py:nothing has no such function"]),
        ("--audit own.py:number", ["--audit=own.py:number is a int", "needed is a callable"]),
        ("--audit missing.py:f", ["missing.py is not a Python file"]),
        ("--audit own.py", ["--audit=own.py", "needed is kornia:NAME"]),
        ("--audit keras:CutMix", ["'keras' is no library known here", "path/to/file.py:NAME"]),
        ("--audit own.py:mixup --draws 1", ["draws=1"]),
        ("--audit own.py:mixup --shape 3 0 4", ["shape=(3, 0, 4)"]),
        ("--audit own.py:mixup --json no/where.json", ["--json=no/where.json cannot be written"]),
        ("--audit own.py:mixup --figure a.bmp", ["'.bmp'", ".png"]),
        ("--audit own.py:mixup --msda mixup", ["unrecognized arguments: --msda"]),
        ("--audit", ["expected at least one argument"]),
    ],
)
def test_bad_input(run: Callable[[str], Run], tmp_path: Path, line: str, words: list[str]) -> None:
    before = set(tmp_path.iterdir())
    done = run(line)
    assert done.code == 2 and not done.out
    assert all(word in done.err for word in words), done.err
    assert {p for p in tmp_path.iterdir() if p.name != "__pycache__"} == before


@needs_kornia
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--audit kornia:CutMix", ["kornia.augmentation has no class 'CutMix'"]),
        ("--audit kornia:RandomMixUpV2(f())", ["is not NAME or NAME(key=value, ...)"]),
        ("--audit kornia:RandomMixUpV2(p=1", ["is not NAME or NAME(key=value, ...)"]),
        ("--audit kornia:RandomMixUpV2(q=1)", ["raised TypeError", "'q'"]),
        ("--audit kornia:RandomJigsaw --draws 9", ["RandomJigsaw", "does not mix pixel by pixel"]),
    ],
)
def test_bad_input_for_kornia(run: Callable[[str], Run], line: str, words: list[str]) -> None:
    done = run(line)
    assert done.code == 2 and not done.out
    assert all(word in done.err for word in words), done.err


@pytest.mark.parametrize("error", [ImportError("no module"), RuntimeError("operator torchvision::nms does not exist")])
def test_a_library_that_cannot_be_imported(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing torchvision, and one that was built for another torch, which raises RuntimeError at its import."""

    def refuse(name: str) -> None:
        raise error

    monkeypatch.setattr("verify.audit.importlib.import_module", refuse)
    with pytest.raises(ValueError, match="torchvision cannot be imported here") as raised:
        augmentation("torchvision:CutMix(num_classes=10)")
    assert str(error) in str(raised.value) and type(error).__name__ in str(raised.value)
