"""Are the exact MSDA loss and its approximation "close" in training?  What the figures show, as numbers.

The papers give no number.  Ours: two losses are close if they differ by at most a fifth of the exact one at every
recorded iteration, in the median over seeds.

At another --seed the verdict of the ReLU network could differ: about one run in twelve stays within a fifth, so the
median of five does about once in 170 runs.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from msda_theory import Beta
from msda_theory.masks import Bernoulli, MaskLaw, Mixup
from paper_checks.findings import Trial
from verify.training_runs import RunCurves, Spread, Trajectory, summary, train_pair

CLOSE = 0.2
SEEDS = 5
MASKS: dict[str, type[MaskLaw]] = {"mixup": Mixup, "bernoulli": Bernoulli}


@cache
def _runs(model: str, mask: str, seed: int) -> tuple[RunCurves, ...]:
    return tuple(train_pair(model, MASKS[mask]((2,)), Beta(1.0, 1.0), seed + k) for k in range(SEEDS))


def statistics(model: str, mask: str, trial: Trial) -> dict[str, Spread]:
    """Gap statistics of two-moons runs; the planted fault drops R1, R2 and R3, so that L_m stands for the expansion."""
    runs = _runs(model, mask, trial.seed)
    return summary([without_regularisers(run) for run in runs] if trial.faulty else runs)


def without_regularisers(run: RunCurves) -> RunCurves:
    def bare(trajectory: Trajectory) -> Trajectory:
        return replace(trajectory, train_approximate=trajectory.train_standard)

    return replace(run, by_exact=bare(run.by_exact), by_approximation=bare(run.by_approximation))


def shown(name: str, spread: Spread, seeds: int = SEEDS) -> dict[str, str]:
    return {name: f"{spread.median:.1%} ({spread.low:.1%} to {spread.high:.1%} over {seeds} seeds)"}


def close(spread: Spread) -> bool:
    return spread.median <= CLOSE
