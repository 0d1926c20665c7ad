"""Trainings under attack: what is recorded, and that the four of them part."""

from __future__ import annotations

import numpy as np
import pytest

from msda_theory.bounds import adversarial_loss_linear, adversarial_taylor
from verify.adversarial_runs import RADIUS, AttackedCurves, train_on_attacks, train_under_attack
from verify.problems import network, two_moons

TINY = {"iterations": 12, "samples": 16, "records": 4}


@pytest.fixture(scope="module")
def run() -> AttackedCurves:
    return train_under_attack("logistic", 5, **TINY)


def test_four_trainings_start_together_and_part(run: AttackedCurves) -> None:
    paths = [run.by_exact, run.by_approximation, run.by_mixup, run.by_standard]
    assert len({path.train_exact[0] for path in paths}) == 1
    assert len({path.train_exact[-1] for path in paths}) == len(paths)
    assert run.by_exact.train_exact[-1] < min(run.by_mixup.train_exact[-1], run.by_standard.train_exact[-1])


def test_each_measure_is_the_library_s(run: AttackedCurves) -> None:
    train, test, init = (int(s) for s in np.random.SeedSequence(5).generate_state(3))
    model = network("logistic", (2,), 1, seed=init)
    weight, bias = (p.detach() for p in model.parameters())
    centre = two_moons(TINY["samples"], seed=train)[0].mean(0)
    for part, seed in (("train", train), ("test", test)):
        x, y = two_moons(TINY["samples"], seed=seed)
        exact = adversarial_loss_linear(weight[0], x - centre, y, RADIUS, bias=bias.item()).mean()
        theory = adversarial_taylor(model, x - centre, y, RADIUS).mean()
        assert vars(run.by_exact)[f"{part}_exact"][0] == pytest.approx(float(exact), rel=1e-12)
        assert vars(run.by_exact)[f"{part}_approximate"][0] == pytest.approx(theory.item(), rel=1e-12)


def test_along_is_one_trajectory_in_both_places(run: AttackedCurves) -> None:
    one = run.along("by_mixup")
    assert one.by_exact is one.by_approximation is run.by_mixup
    assert one.iterations == run.iterations


def test_exact_loss_is_never_below_the_standard_one() -> None:
    run = train_under_attack("mlp-relu", 0, **TINY)
    for path in (run.by_exact, run.by_approximation, run.by_mixup, run.by_standard):
        assert all(a > s for a, s in zip(path.train_exact, path.train_standard, strict=True))


def test_the_training_on_attacks_alone_is_the_same_one(run: AttackedCurves) -> None:
    assert train_on_attacks("logistic", 5, **TINY) == run.along("by_exact")
