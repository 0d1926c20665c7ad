"""Training with the exact MSDA loss and with its second-order approximation, from the same initialisation.

What Fig. 1 of Park et al. and Fig. 2 of Zhang et al. show on two-moons: "Throughout training, we compute the
test and training loss of each model using its own loss function."  Recorded beside it is the other loss of the
same parameters, so that the two losses can also be compared at one theta.

The inputs are centred by the mean of the training set, as Theorem 1 assumes ("normalization in the dataset").
Mixing commutes with a shift, so this changes the losses only through the initialisation; and for Mixup and
Bernoulli masks the approximation is then the printed one on the training set.  The test set is shifted by the
same vector, so its own mean is not zero: the default form, right for any mean, is what is used on both.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parameters_to_vector

from msda_theory.augmentation import Augmentation
from msda_theory.losses import Loss
from msda_theory.masks import MaskLaw
from msda_theory.ratios import RatioLaw
from msda_theory.training import ExactObjective, TaylorObjective
from verify.problems import loss_for, network, standard_objective, two_moons

Objective = Callable[[nn.Module], Tensor]
ObjectiveOf = Callable[[Loss, Tensor, Tensor], Objective]  # of the data x, y
DIVERGED = 1e50  # parameters of this size: products of four of them are still finite


@dataclass(frozen=True)
class Trajectory:
    """Losses and accuracies along one training; "exact" and "approximate" are at the same parameters."""

    train_exact: tuple[float, ...]
    train_approximate: tuple[float, ...]
    train_standard: tuple[float, ...]
    test_exact: tuple[float, ...]
    test_approximate: tuple[float, ...]
    train_accuracy: tuple[float, ...]
    test_accuracy: tuple[float, ...]


@dataclass(frozen=True)
class RunCurves:
    """Two trainings from one initialisation, recorded at `iterations`; iteration 0 is the initialisation."""

    seed: int
    iterations: tuple[int, ...]
    by_exact: Trajectory
    by_approximation: Trajectory


@dataclass(frozen=True)
class Spread:
    """A statistic over seeds: its median, smallest and largest value."""

    median: float
    low: float
    high: float


def train_pair(
    model_name: str, mask: MaskLaw, ratio: RatioLaw, seed: int, *, order: int = 8, **setup: Any
) -> RunCurves:
    """The exact MSDA loss and its expansion, in the setup that `trajectories` takes; `order` is the number of
    quadrature nodes.
    """
    augmentation = Augmentation(ratio, mask)

    def exact(loss: Loss, x: Tensor, y: Tensor) -> Objective:
        return ExactObjective(loss, x, y, augmentation, order=order)

    def approximate(loss: Loss, x: Tensor, y: Tensor) -> Objective:
        return TaylorObjective(loss, x, y, augmentation)

    by = (exact, approximate)
    times, (by_exact, by_approximation) = trajectories(model_name, exact, approximate, by, seed, **setup)
    return RunCurves(seed, times, by_exact, by_approximation)


def trajectories(
    model_name: str,
    exact: ObjectiveOf,
    approximate: ObjectiveOf,
    trained_by: Sequence[ObjectiveOf],
    seed: int,
    *,
    iterations: int = 250,
    samples: int = 50,
    noise: float = 0.1,
    step: float = 1.0,
    records: int = 40,
) -> tuple[tuple[int, ...], list[Trajectory]]:
    """Train from one initialisation by full-batch gradient descent of fixed `step`, with each objective of
    `trained_by`: the recorded iterations, and what the two losses are there.  Deterministic in `seed`.

    The training set, a fresh test set (`samples` points each, all pairs of each) and the initialisation are
    drawn from independent streams of `seed`.

    Raises FloatingPointError where a training diverges: an approximation need not be bounded below.
    """
    streams = [int(s) for s in np.random.SeedSequence(seed).generate_state(3)]
    train, test = (two_moons(samples, noise=noise, seed=s) for s in streams[:2])
    centre = train[0].mean(0)
    x, y = train[0] - centre, train[1]
    loss, _ = loss_for(y)
    with _one_thread():
        watched = _measures(loss, x, y, "train", exact, approximate)
        watched |= _measures(loss, test[0] - centre, test[1], "test", exact, approximate)
        start = network(model_name, (2,), 1, seed=streams[2])
        times = _record_times(iterations, records)
        return times, [_descend(start, make(loss, x, y), watched, times, step) for make in trained_by]


def gap_statistics(run: RunCurves) -> dict[str, float]:
    """How far the two losses lie apart in one run: E exact, A approximate, L_m the standard loss.

    own_train, own_test             |E(theta_E) - A(theta_A)| / E(theta_E): each network under its own loss
    same_by_exact, same_by_approximation
                                    |E - A| / E at the same parameters, along the one and the other trajectory
    effect_by_exact, effect_by_approximation
                                    |E - A| / |E - L_m|: that gap as a share of what mixing, or an attack, changes
    excess_final                    E(theta_A) / E(theta_E) - 1: what training with the approximation costs
    lowest_approximate              min A(theta_A), where E is never negative

    On the training set but for own_test.  All but the last two come as _largest over the iterations and _final,
    at the last one, same_* also as _median over those recorded; effect_*_largest is largest gap / largest effect,
    as the effect may pass through zero.
    """
    e, a = run.by_exact, run.by_approximation
    found: dict[str, float] = {}
    pairs = {
        "own_train": (e.train_exact, a.train_approximate),
        "own_test": (e.test_exact, a.test_approximate),
        "same_by_exact": (e.train_exact, e.train_approximate),
        "same_by_approximation": (a.train_exact, a.train_approximate),
    }
    for name, (exact, approximate) in pairs.items():
        gap = np.abs(np.subtract(exact, approximate)) / exact
        found |= {f"{name}_largest": float(gap.max()), f"{name}_final": float(gap[-1])}
        if name.startswith("same"):
            found[f"{name}_median"] = float(np.median(gap))
    for name, path in (("effect_by_exact", e), ("effect_by_approximation", a)):
        gap, effect = (np.abs(np.subtract(path.train_exact, v)) for v in (path.train_approximate, path.train_standard))
        found |= {
            f"{name}_largest": float(gap.max() / effect.max()),
            f"{name}_final": float(gap[-1] / effect[-1]),
        }
    found["excess_final"] = a.train_exact[-1] / e.train_exact[-1] - 1
    found["lowest_approximate"] = min(a.train_approximate)
    return found


def summary(runs: Sequence[RunCurves]) -> dict[str, Spread]:
    """The gap statistics over the seeds of several runs."""
    each = [gap_statistics(run) for run in runs]
    columns = {name: [found[name] for found in each] for name in each[0]}
    return {name: Spread(float(np.median(v)), min(v), max(v)) for name, v in columns.items()}


def _measures(
    loss: Loss, x: Tensor, y: Tensor, part: str, exact: ObjectiveOf, approximate: ObjectiveOf
) -> dict[str, Objective]:
    """What is recorded on one data set, by its name in `Trajectory`."""

    def accuracy(model: nn.Module) -> Tensor:
        return ((model(x)[:, 0] > 0) == (y > 0.5)).double().mean()

    measures: dict[str, Objective] = {
        f"{part}_exact": exact(loss, x, y),
        f"{part}_approximate": approximate(loss, x, y),
        f"{part}_accuracy": accuracy,
    }
    return measures | ({"train_standard": standard_objective(loss, x, y)} if part == "train" else {})


def _descend(
    start: nn.Module, objective: Objective, watched: dict[str, Objective], times: tuple[int, ...], step: float
) -> Trajectory:
    model = copy.deepcopy(start)
    optimiser = torch.optim.SGD(model.parameters(), lr=step)
    curves: dict[str, list[float]] = {name: [] for name in watched}
    for t in range(times[-1] + 1):
        largest = float(parameters_to_vector(model.parameters()).detach().abs().max())
        if not largest < DIVERGED:
            raise FloatingPointError(f"training diverged at iteration {t}: a parameter of size {largest:.1g}")
        if t in times:
            with torch.no_grad():
                for name, measure in watched.items():
                    curves[name].append(float(measure(model)))
        optimiser.zero_grad()
        objective(model).backward()
        optimiser.step()
    return Trajectory(**{name: tuple(values) for name, values in curves.items()})


def _record_times(iterations: int, records: int) -> tuple[int, ...]:
    """0 to `iterations`, denser at the start, where the losses fall fastest: iterations (k/records)^2."""
    if iterations < 1 or records < 1:
        raise ValueError(f"iterations={iterations}, records={records}: needed are numbers >= 1")
    return tuple(sorted({round(iterations * (k / records) ** 2) for k in range(records + 1)}))


@contextmanager
def _one_thread() -> Iterator[None]:
    """One torch thread: on tensors this small more would wait for each other, and sum in another order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
