"""Are the exact MSDA loss and its approximation "close" in training?  What the figures show, as numbers.

The papers give no number.  Ours: two losses are close if they differ by at most a fifth of the exact one at every
recorded iteration, in most runs (the median over runs is at most a fifth).

For logistic regression the gap was between 0.11 and 0.18 in each of 26 runs.  For the ReLU network it was between 0.3
and 0.7 in 29; at most about one run in twelve stays within a fifth.  Whether most runs are close is therefore asked of
the first answer to lead by LEAD (`paper_checks.lead`): with one run in twelve that is the wrong one with probability
6e-6, and with less than 1e-4 for up to one in eight.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from msda_theory import Beta
from msda_theory.masks import Bernoulli, MaskLaw, Mixup
from paper_checks.findings import Trial
from paper_checks.lead import until_clear
from verify.training_runs import RunCurves, Spread, Trajectory, gap_statistics, summary, train_pair

CLOSE = 0.2
SEEDS = LEAD = 5
MASKS: dict[str, type[MaskLaw]] = {"mixup": Mixup, "bernoulli": Bernoulli}


@cache
def _run(model: str, mask: str, seed: int) -> RunCurves:
    return train_pair(model, MASKS[mask]((2,)), Beta(1.0, 1.0), seed)


def statistics(model: str, mask: str, trial: Trial) -> dict[str, Spread]:
    """Gap statistics of two-moons runs; the planted fault drops R1, R2 and R3, so that L_m stands for the expansion."""
    return summary([_tried(model, mask, trial, k) for k in range(SEEDS)])


def mostly_close(model: str, mask: str, trial: Trial) -> tuple[bool | None, list[RunCurves]]:
    """Whether the curves, each network under its own loss, are close in most runs; and the runs that say so."""
    runs, (answer,) = until_clear(
        lambda k: _tried(model, mask, trial, k), [lambda run: gap_statistics(run)["own_train_largest"] <= CLOSE], LEAD
    )
    return answer, runs


def _tried(model: str, mask: str, trial: Trial, k: int) -> RunCurves:
    run = _run(model, mask, trial.seed + k)
    return without_regularisers(run) if trial.faulty else run


def without_regularisers(run: RunCurves) -> RunCurves:
    def bare(trajectory: Trajectory) -> Trajectory:
        return replace(trajectory, train_approximate=trajectory.train_standard)

    return replace(run, by_exact=bare(run.by_exact), by_approximation=bare(run.by_approximation))


def shown(name: str, spread: Spread, seeds: int = SEEDS) -> dict[str, str]:
    return {name: f"{spread.median:.1%} ({spread.low:.1%} to {spread.high:.1%} over {seeds} seeds)"}


def close(spread: Spread) -> bool:
    return spread.median <= CLOSE
