"""What the exact loss takes: evaluations and seconds, said beforehand; blocks, progress and memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

import msda_theory as mt
from msda_theory import exact
from tests.helpers import Quadratic, TanhNetwork, inputs, labels

ROOT = Path(__file__).resolve().parent.parent
UNEQUAL = mt.Beta(0.3, 2.0)


def test_an_enumeration_that_is_too_large_says_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """9 pairs and the 4 places of a pixel are 36 evaluations; the data pass once in 3, 1 and 5 seconds."""
    x, loss, model = inputs(3, 2, 2), mt.losses.Logistic(), TanhNetwork((2, 2))
    augmentation = mt.Augmentation(mt.Discrete((0.75,), (1.0,)), mt.masks.CutMix((2, 2), sampler="inside"))
    monkeypatch.setattr(exact, "LARGEST_ENUMERATION", 36)
    assert mt.exact_loss(model, loss, x, labels(loss, 3, 1), augmentation).evaluations == 36
    monkeypatch.setattr(exact, "LARGEST_ENUMERATION", 35)
    monkeypatch.setattr(exact.time, "perf_counter", iter([0.0, 3.0, 4.0, 9.0]).__next__)
    said = (
        r"needs 3\.6e\+01 evaluations of the model for CutMix\(.*\), about 12 s at the 3\.3e-01 s that one .*, "
        r"allowed are 3\.5e\+01; use fewer samples, or method='sobol' or method='monte-carlo'"
    )
    with pytest.raises(mt.masks.NotEnumerableError, match=said):
        mt.exact_loss(model, loss, x, labels(loss, 3, 1), augmentation)


def test_the_cost_is_the_least_of_three_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    x, model, passes = inputs(4, 2, 2), TanhNetwork((2, 2)), []
    monkeypatch.setattr(exact.time, "perf_counter", iter([0.0, 3.0, 4.0, 9.0]).__next__)
    law = mt.masks.CutMix((2, 2), sampler="inside")  # 4 places of one pixel, 9 of none
    augmentation = mt.Augmentation(mt.Discrete((0.75, 1.0), (0.5, 0.5)), law)
    model.register_forward_hook(lambda *_: passes.append(torch.is_grad_enabled()))
    assert exact.enumeration_cost(model, x, augmentation) == (16 * 13, 16 * 13 / 4)
    assert passes == [False] * 3


def test_a_hundred_thousand_draws_by_default() -> None:
    x, loss, augmentation = inputs(3, 1), mt.losses.Logistic(), mt.Augmentation(UNEQUAL, mt.masks.Mixup((1,)))
    found = mt.exact_loss(lambda v: v, loss, x, labels(loss, 3, 1), augmentation, method="monte-carlo", seed=0)
    assert found.evaluations == 100_000


def test_blocks_are_as_small_as_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row of an enumeration, two draws, of which a deviation can be taken."""
    x, loss, sizes = inputs(3, 2), mt.losses.Logistic(), []
    augmentation = mt.Augmentation(mt.Discrete((0.3,), (1.0,)), mt.masks.Mixup((2,)))

    def in_parts(name: str, made: object, parts: list[object], given: object = exact.in_parts) -> Tensor:
        sizes.append({len(part) if isinstance(part, Tensor) else part[0] for part in parts})
        return given(name, made, parts)

    monkeypatch.setattr(exact, "CHUNK_ELEMENTS", 1)
    monkeypatch.setattr(exact, "in_parts", in_parts)
    for method in ("enumerate", "monte-carlo"):
        sizes.clear()
        mt.exact_loss(TanhNetwork((2,)), loss, x, labels(loss, 3, 1), augmentation, method=method, samples=4, seed=0)
        assert set().union(*sizes) == {1 if method == "enumerate" else 2}


@pytest.mark.parametrize("method", ["enumerate", "monte-carlo"])
def test_progress_is_that_of_the_exact_loss(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    x, loss, names = inputs(3, 2), mt.losses.Logistic(), set()
    monkeypatch.setattr(exact, "in_parts", lambda name, *a, made=exact.in_parts: (names.add(name), made(name, *a))[1])
    augmentation = mt.Augmentation(UNEQUAL, mt.masks.Mixup((2,)))
    mt.exact_loss(TanhNetwork((2,)), loss, x, labels(loss, 3, 1), augmentation, method=method, samples=10, seed=0)
    assert names == {"exact loss"}


@pytest.mark.parametrize("method", ["enumerate", "linear"])
def test_what_is_refined_is_the_exact_loss(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    x, loss, names, law = inputs(3, 2), mt.losses.Logistic(), [], mt.Augmentation
    monkeypatch.setattr(law, "converged", lambda *a, made=law.converged: (names.append(a[-1]), made(*a))[1])
    model = Quadratic((2,), curved=False)
    mt.exact_loss(model, loss, x, labels(loss, 3, 1), law(UNEQUAL, mt.masks.Mixup((2,))), method=method)
    assert names == ["the exact loss"]


MEMORY = """
import resource
import torch
import msda_theory as mt
from tests.helpers import TanhNetwork
from verify.problems import two_moons

baseline = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
x, y = two_moons(1000)
augmentation = mt.Augmentation(mt.Discrete((0.3,), (1.0,)), mt.masks.Mixup((2,)))
exact = mt.exact_loss(TanhNetwork((2,), hidden=64), mt.losses.Logistic(), x, y, augmentation)
assert exact.evaluations == 3_000_000, exact
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - baseline) / 2**20)
"""


def test_a_thousand_moons_take_less_than_a_gibibyte() -> None:
    """All 10^6 pairs of inputs, whose 64 hidden units would fill 0.5 GiB before and 0.5 GiB after each activation.

    How many ratios there are matters to the time alone, so there is one.
    """
    run = subprocess.run(
        [sys.executable, "-c", MEMORY],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert float(run.stdout) < 1, "GiB above what the imports take"
