"""`python -m verify` for networks and images of any size: options, what is printed, errors, and other devices."""

from __future__ import annotations

import copy
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import msda_theory as mt
from msda_theory.expansions import r2_by_distance
from tests.helpers import assert_close
from tests.verify.test_cli import Run, refused
from tests.verify.test_cli import folder as folder
from tests.verify.test_cli import run as run
from verify.image_sets import image_set
from verify.networks import preact_resnet18, small_convnet
from verify.placing import InBatches
from verify.tolerances import rounding

DRAWN = "--msda cutmix --sampler clip --directions 16 --method monte-carlo --draws 64"
DIGITS = f"--data digits --samples 4 --model small-convnet {DRAWN}"
USERS = """
import torch
from torch import nn

def network():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(24, 3)).eval()

def function():
    return lambda x: torch.sin(x.flatten(1)[:, :3])
"""


def report(run: Callable[[str], Run], line: str) -> dict[str, Any]:
    done = run(f"{line} --json out.json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(Path("out.json").read_text())
    return found


def test_a_random_network_of_images(run: Callable[[str], Run]) -> None:
    done = run(DIGITS)
    assert done.code == 0 and not done.err
    assert "data: digits, 4 samples of shape (1, 8, 8), torch.float32" in done.out
    assert "small-convnet, 25,978 parameters, 10 outputs, as torch initialises it, seed 0" in done.out
    for words in ("default form, +- ", "R2 by the distance of two pixels, 16 moves drawn", "the same pixel", "far"):
        assert words in done.out
    assert "radius of trust: none, the network is piecewise linear" in done.out and "notice: the Hessian" in done.out
    assert done.computed == run(DIGITS).computed != run(f"{DIGITS} --seed 1").computed


def test_the_report_has_errors_distances_and_costs(run: Callable[[str], Run]) -> None:
    found = report(run, DIGITS)
    errors = [found[k]["error"] for k in ("exact", "theory", "mean_point")]
    assert min(errors) > 0
    assert found["remainder_error"] == pytest.approx((errors[0] ** 2 + errors[1] ** 2) ** 0.5)
    assert found["mean_point"]["remainder_error"] == pytest.approx((errors[0] ** 2 + errors[2] ** 2) ** 0.5)
    shares = [band["share"] for band in found["distances"]["bands"]]
    assert len(shares) == 4 and sum(shares) == pytest.approx(1.0)
    assert found["cost"]["seconds"] > 0 and found["cost"]["memory"] > 2**26 and found["cost"]["device"] == "cpu"


def test_numbers_are_those_of_the_library(run: Callable[[str], Run]) -> None:
    """The same samples, network and draws, put together by hand."""
    found = report(run, f"{DIGITS} --dtype float64 --seed 5")
    images, chosen = image_set("digits", seed=5), np.random.default_rng(5).permutation(1347)[:4]
    torch.manual_seed(5)
    model = small_convnet(10, 1, 8).eval().double()
    problem = model, mt.losses.SoftmaxCrossEntropy(), images.train_x[chosen].double(), images.train_y[chosen]
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.CutMix((8, 8), sampler="clip"))
    with pytest.warns(mt.ZeroHessianNotice):
        expected = mt.compare(*problem, augmentation, directions=16, seed=5, method="monte-carlo", samples=64).to_dict()
    assert {k: found[k] for k in expected} == expected
    stream = np.random.default_rng(5).spawn(3)[2]
    by_hand = r2_by_distance(*problem, augmentation, directions=16, seed=stream).to_dict()
    assert found["distances"] == json.loads(json.dumps(by_hand))


def test_batches_do_not_matter(run: Callable[[str], Run]) -> None:
    whole, parts = (report(run, f"{DIGITS} --dtype float64 {batch}") for batch in ("", "--batch 3"))
    for part in ("exact", "theory", "mean_point"):
        for key, value in whole[part].items():
            if isinstance(value, float):
                assert_close(parts[part][key], value, rounding(torch.float64, 10.0, 1000), key)


def test_a_batch_is_at_most_so_large() -> None:
    sizes: list[int] = []

    class Watched(nn.Module):
        def forward(self, x: Any) -> Any:
            sizes.append(len(x.parts) * len(x) if hasattr(x, "parts") else len(x))
            return x.flatten(1).sum(1)

    with torch.no_grad():
        assert InBatches(Watched(), 4)(torch.arange(10.0).reshape(10, 1)).tolist() == list(range(10))
    assert sizes == [4, 4, 2]


def test_trained_here(run: Callable[[str], Run]) -> None:
    done = run(f"{DIGITS} --epochs 2")
    assert "trained on 1347 images without augmentation, 2 epochs of SGD: accuracy 9" in done.out
    assert "on 450 others" in done.out
    assert done.computed == run(f"{DIGITS} --epochs 2").computed


def test_from_a_checkpoint_as_training_scripts_write_it(run: Callable[[str], Run], folder: Path) -> None:
    torch.manual_seed(7)
    model = small_convnet(10, 1, 8)
    state = model.state_dict()
    torch.save(state, folder / "plain.pt")
    torch.save({"epoch": 3, "state_dict": {f"module.{k}": v for k, v in state.items()}}, folder / "wrapped.pt")
    plain, wrapped = (report(run, f"{DIGITS} --checkpoint {name}.pt") for name in ("plain", "wrapped"))
    assert plain["theory"] == wrapped["theory"] == report(run, f"{DIGITS} --checkpoint plain.pt")["theory"]
    assert plain["theory"] != report(run, DIGITS)["theory"]
    assert plain["model"].endswith("10 outputs, from plain.pt")


def test_ones_own_network_with_a_checkpoint(run: Callable[[str], Run], folder: Path) -> None:
    (folder / "mine.py").write_text(USERS)
    line = f"--data images.npz --model mine.py:network {DRAWN}"
    torch.manual_seed(3)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(24, 3))
    torch.save(model.state_dict(), folder / "w.pt")
    found = report(run, f"{line} --checkpoint w.pt")
    with np.load(folder / "images.npz") as data, torch.no_grad():
        f, y = model(torch.from_numpy(data["x"]).float()), torch.from_numpy(data["y"])
        expected = float(nn.functional.cross_entropy(f, y))
    assert found["theory"]["standard"] == pytest.approx(expected, rel=1e-6)
    assert found["model"] == "mine.py:network, with the weights of w.pt"
    assert found["trust"]["data"]["third"] and found["theory"]["r3"] != 0


def test_dtypes_agree(run: Callable[[str], Run]) -> None:
    """Both dtypes draw the same; a ReLU whose input is rounded across zero changes a slope, not a loss."""
    single, double = (report(run, f"{DIGITS} --dtype {dtype}") for dtype in ("float32", "float64"))
    assert [found["data"]["dtype"] for found in (single, double)] == ["torch.float32", "torch.float64"]
    allowed = rounding(torch.float32, 5.0, 1000)
    assert_close(single["exact"]["value"], double["exact"]["value"], allowed)
    assert_close(single["theory"]["standard"], double["theory"]["standard"], allowed)


@pytest.mark.parametrize("model", ["logistic", "mlp-tanh"])
@pytest.mark.parametrize("data", ["iris", "lfw --size 8", "digits --size 4"])
def test_other_sets_and_networks(run: Callable[[str], Run], data: str, model: str) -> None:
    done = run(f"--data {data} --samples 8 --model {model} --msda mixup --rtol 1e-3 --dtype float32")
    assert done.code == 0 and "torch.float32" in done.out


def test_folders_and_cifar_by_name(run: Callable[[str], Run], folder: Path) -> None:
    from PIL import Image

    for name, colour in (("a", (250, 0, 0)), ("b", (0, 0, 250))):
        (folder / "set" / name).mkdir(parents=True)
        for k in range(4):
            Image.new("RGB", (12, 10), colour).save(folder / "set" / name / f"{k}.png")
    found = report(run, f"--data folder:set --size 8 --samples 4 --model small-convnet {DRAWN}")
    assert found["data"]["shape"] == [4, 3, 8, 8]
    error = refused(run, f"--data cifar10:set --model small-convnet {DRAWN}", folder)
    assert "cifar10:set has no data_batch_1, " in error and "Traceback" not in error


BAD = [
    ("--data digits --model logistic --epochs 3", "--epochs=3 with --model=logistic: it belongs to preact-resnet18, "),
    ("--data digits --model logistic --checkpoint w.pt", "--checkpoint=w.pt with --model=logistic: it belongs to"),
    ("--data digits --model models.py:narrow --epochs 1", "--epochs=1 with --model=models.py:narrow: it belongs to"),
    ("--data two-moons --model preact-resnet18", "--model=preact-resnet18 takes square images (m, c, h, h), x has"),
    ("--data images.npz --model small-convnet", "takes square images (m, c, h, h), x has shape (6, 3, 4, 5)"),
    ("--data digits --model small-convnet --weight-decay 1", "--weight-decay=1 with --model=small-convnet"),
    ("--data two-moons --model logistic --size 4", "--size=4 with --data=two-moons: it belongs to sets of images"),
    ("--data iris --model logistic --samples 151", "--samples=151: iris has 150"),
    ("--data lfw --model logistic --samples 151", "--samples=151: lfw has 150"),
    ("--data digits --model logistic --device nowhere", "--device=nowhere: "),
    ("--data digits --model logistic --directions 8", "--directions: '8': needed is a whole number >= 16"),
    ("--data digits --model logistic --directions 16 --order", "--order with --directions=16"),
    ("--data digits --model logistic --directions 16 --as-printed", "directions=16 with as_printed=True"),
    ("--data digits --model logistic --batch 0", "--batch: '0': needed is a whole number >= 1"),
    ("--data digits --model logistic --dtype float16", "--dtype: invalid choice: 'float16'"),
    ("--data digits --model small-convnet --checkpoint absent.pt", "--checkpoint=absent.pt cannot be read"),
    ("--data digits --model small-convnet --checkpoint text.npz", "--checkpoint=text.npz cannot be read"),
    ("--data digits --model small-convnet --checkpoint list.pt", "--checkpoint=list.pt holds a list"),
    ("--data digits --model small-convnet --checkpoint other.pt", "--checkpoint=other.pt does not fit the network"),
    ("--data digits --model small-convnet --checkpoint other.pt --epochs 1", "--epochs=1 with --checkpoint=other.pt"),
    ("--data small.npz --model small-convnet --epochs 1", "needed is a set of images by name"),
    ("--data digits --model models.py:absent --checkpoint w.pt", "models.py:absent has no such function"),
    ("--data moons.npz --model models.py:plain --checkpoint other.pt", "needed is a torch.nn.Module"),
    ("--data folder:absent --model small-convnet", "folder:absent is not a folder"),
]


@pytest.mark.parametrize(("line", "message"), BAD)
def test_bad_input_is_named(run: Callable[[str], Run], folder: Path, line: str, message: str) -> None:
    torch.save([1, 2], folder / "list.pt")
    torch.save(nn.Linear(2, 1).state_dict(), folder / "other.pt")
    np.savez(folder / "small.npz", x=np.zeros((6, 1, 4, 4)), y=np.array([0, 1, 2] * 2))
    error = refused(run, f"{line} --msda mixup", folder)
    assert message in error and "Traceback" not in error


# -- other devices


def problems(dtype: torch.dtype) -> tuple[Any, ...]:
    torch.manual_seed(0)
    model = preact_resnet18(3, 2, 8)
    model(torch.rand(16, 2, 8, 8))
    x = torch.rand(4, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    augmentation = mt.Augmentation(mt.Beta(1.0, 1.0), mt.masks.CutMix((8, 8), sampler="clip"))
    y = torch.tensor([0, 1, 2, 0])
    return model.eval().to(dtype), mt.losses.SoftmaxCrossEntropy(), x.to(dtype), y, augmentation


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cuda_gives_the_numbers_of_the_cpu(dtype: torch.dtype) -> None:
    """Draws are made on the CPU, so both see the same ones.  A sum of 10^4 roundings; in float32 TF32 is off."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    model, loss, x, y, augmentation = problems(dtype)
    there = copy.deepcopy(model).cuda(), loss, x.cuda(), y.cuda(), augmentation
    options = {"directions": 32, "seed": 0, "method": "monte-carlo", "samples": 256}
    with pytest.warns(mt.ZeroHessianNotice):
        ours, theirs = (mt.compare(*problem, **options) for problem in (there, (model, loss, x, y, augmentation)))
    scale = 1.0 + abs(theirs.exact.value) + abs(theirs.theory.r2) + abs(theirs.mean_point.r2)
    allowed = rounding(dtype, scale, 10_000)
    for part in ("exact", "theory", "mean_point"):
        a, b = (getattr(found, part) for found in (ours, theirs))
        total = ("value",) if part == "exact" else ("standard", "r2", "r3", "total")
        for name in total:
            assert_close(getattr(a, name), getattr(b, name), allowed, f"{part}.{name}")
    near, here = (
        r2_by_distance(*problem, directions=32, seed=0) for problem in (there, (model, loss, x, y, augmentation))
    )
    for a, b in zip(near.bands, here.bands, strict=True):
        assert_close(a.r2, b.r2, allowed, a.name)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_command_on_cuda(run: Callable[[str], Run]) -> None:
    found = report(run, f"{DIGITS} --epochs 1 --device cuda --batch 64")
    assert found["cost"]["device"].startswith("cuda") and found["cost"]["memory"] > 2**16


def test_every_command_of_the_results_can_be_parsed() -> None:
    from verify.settings import parser

    text = (Path(__file__).parents[2] / "docs" / "results" / "networks.md").read_text()
    commands = [line for line in text.splitlines() if line.startswith("python -m verify ")]
    assert len(commands) >= 2
    for command in commands:
        parser().parse_args(shlex.split(command)[3:])
