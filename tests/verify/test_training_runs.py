"""Pairs of training runs, and the statistics of the gap between their losses."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import msda_theory as mt
from verify import training_runs
from verify.problems import network, two_moons
from verify.training_runs import RunCurves, Spread, Trajectory, gap_statistics, summary, train_pair

MIXUP, BERNOULLI, RATIO = mt.masks.Mixup((2,)), mt.masks.Bernoulli((2,)), mt.Beta(1.0, 1.0)
TINY = {"iterations": 12, "samples": 16, "records": 4, "order": 4}


@pytest.fixture(scope="module")
def relu():
    return train_pair("mlp-relu", MIXUP, RATIO, 3, **TINY)


def test_both_start_from_the_same_parameters_and_then_part(relu):
    for name, first in vars(relu.by_exact).items():
        assert first[0] == vars(relu.by_approximation)[name][0]
    assert relu.by_exact.train_exact[-1] != relu.by_approximation.train_exact[-1]


def test_deterministic_in_the_seed(relu):
    before = torch.random.get_rng_state()
    assert train_pair("mlp-relu", MIXUP, RATIO, 3, **TINY) == relu
    assert torch.equal(torch.random.get_rng_state(), before)
    other = train_pair("mlp-relu", MIXUP, RATIO, 4, **TINY)
    assert other.by_exact.train_exact[0] != relu.by_exact.train_exact[0]


def test_threads_are_as_they_were(relu):
    before = torch.get_num_threads()
    with training_runs._one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("mask", [MIXUP, BERNOULLI], ids=repr)
def test_gradient_descent_never_raises_the_loss_it_trains_with(mask):
    """Logistic regression: h'' <= 1/4, inputs below 3 in norm; a step of 0.1 is below 2 / (largest curvature)."""
    run = train_pair("logistic", mask, RATIO, 0, **{**TINY, "step": 0.1, "iterations": 40, "records": 20})
    assert np.all(np.diff(run.by_exact.train_exact) <= 0)
    assert run.by_exact.train_exact[-1] < 0.95 * run.by_exact.train_exact[0]


def test_each_measure_is_the_library_s():
    """The losses at the initialisation, computed anew by the library's adaptive oracle and its reported expansion."""
    run = train_pair("mlp-tanh", BERNOULLI, RATIO, 5, **{**TINY, "iterations": 1, "records": 1})
    train, test, init = (int(s) for s in np.random.SeedSequence(5).generate_state(3))
    model, aug, loss = network("mlp-tanh", (2,), 1, seed=init), mt.Augmentation(RATIO, BERNOULLI), mt.losses.Logistic()
    centre = two_moons(TINY["samples"], seed=train)[0].mean(0)
    for part, seed in (("train", train), ("test", test)):
        x, y = two_moons(TINY["samples"], seed=seed)
        found = vars(run.by_exact)
        theory = mt.taylor_loss(model, loss, x - centre, y, aug)
        exact = mt.exact_loss(model, loss, x - centre, y, aug)
        assert found[f"{part}_exact"][0] == pytest.approx(exact.value, abs=exact.error)
        assert found[f"{part}_approximate"][0] == pytest.approx(theory.total, rel=1e-12)
        right = (model(x - centre)[:, 0] > 0).double() == y
        assert found[f"{part}_accuracy"][0] == float(right.double().mean())
        if part == "train":
            assert found["train_standard"][0] == pytest.approx(theory.standard, rel=1e-12)


@pytest.mark.parametrize("mask", [MIXUP, BERNOULLI], ids=repr)
def test_on_centred_data_the_approximation_is_the_printed_one(mask):
    x, y = two_moons(16)
    model, aug, loss = network("mlp-tanh", (2,), 1), mt.Augmentation(RATIO, mask), mt.losses.Logistic()
    default, printed = (
        mt.taylor_loss(model, loss, x - x.mean(0), y, aug, as_printed=choice) for choice in (False, True)
    )
    assert default.total == pytest.approx(printed.total, rel=1e-12)


def test_recorded_times_begin_at_zero_end_at_the_last_and_grow():
    times = training_runs._record_times(250, 40)
    assert (times[0], times[-1]) == (0, 250)
    assert all(a < b for a, b in pairwise(times))


@pytest.mark.parametrize("choice", [{"iterations": 0}, {"records": 0}])
def test_refuses(choice):
    with pytest.raises(ValueError, match=f"{next(iter(choice))}=0"):
        train_pair("logistic", MIXUP, RATIO, 0, **{**TINY, **choice})


def test_divergence_is_told():
    with pytest.raises(FloatingPointError, match="diverged at iteration"):
        train_pair("mlp-relu", MIXUP, RATIO, 0, **{**TINY, "step": 1e200})


def trajectory(exact, approximate, standard, test_exact=(1.0, 1.0), test_approximate=(1.0, 1.0)):
    return Trajectory(exact, approximate, standard, test_exact, test_approximate, (0.5, 1.0), (0.5, 1.0))


def test_gap_statistics_by_hand():
    run = RunCurves(
        seed=0,
        iterations=(0, 1),
        by_exact=trajectory((2.0, 1.0), (1.0, 0.75), (1.0, 0.5), test_exact=(2.0, 4.0)),
        by_approximation=trajectory((2.0, 1.25), (1.0, -0.25), (1.5, 0.25), test_approximate=(2.0, 1.0)),
    )
    assert gap_statistics(run) == {
        "own_train_largest": 1.25,  # (1 + 0.25) / 1
        "own_train_final": 1.25,
        "own_test_largest": 0.75,  # (4 - 1) / 4
        "own_test_final": 0.75,
        "same_by_exact_largest": 0.5,  # (2 - 1) / 2
        "same_by_exact_final": 0.25,
        "same_by_exact_median": 0.375,
        "same_by_approximation_largest": 1.2,  # 1.5 / 1.25
        "same_by_approximation_final": 1.2,
        "same_by_approximation_median": 0.85,  # of 0.5 and 1.2
        "effect_by_exact_largest": 1.0,  # gaps 1, 0.25; effects 1, 0.5
        "effect_by_exact_final": 0.5,
        "effect_by_approximation_largest": 1.5,  # gaps 1, 1.5; effects 0.5, 1
        "effect_by_approximation_final": 1.5,
        "excess_final": 0.25,
        "lowest_approximate": -0.25,
    }


def test_summary_is_over_seeds():
    still = trajectory((1.0, 1.0), (1.0, 1.0), (0.5, 0.5))
    runs = [
        RunCurves(seed, (0, 1), still, trajectory((1.0, last), (1.0, 1.0), (0.5, 0.5)))
        for seed, last in enumerate((4.0, 1.0, 2.0))
    ]
    assert summary(runs)["excess_final"] == Spread(median=1.0, low=0.0, high=3.0)
