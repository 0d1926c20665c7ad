"""Figures of training curves: the exact MSDA loss against its second-order approximation, on two-moons.

Each column trains one network on one mask law, for several seeds, twice from the same initialisation: with
the exact loss, and with the approximation.  Rows: training set, test set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from figures.definition import Numbers, Settings
from figures.style import APPROXIMATE, BOTH, COLUMN_WIDTH, EXACT, median_and_band, seeds_caption, style
from msda_theory import Beta
from msda_theory._progress import track
from msda_theory.masks import MaskLaw
from verify.training_runs import RunCurves, summary, train_pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

# what is drawn of each run: trained by, the loss shown, label, look
LINES: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("by_exact", "exact", "trained with the exact loss: exact loss", EXACT),
    ("by_approximation", "approximate", "trained with the approximation: approximate loss", APPROXIMATE),
    ("by_approximation", "exact", "trained with the approximation: its exact loss", BOTH),
)
RATIO = Beta(1.0, 1.0)
ROWS = {"train": "training loss", "test": "test loss"}


@dataclass(frozen=True)
class Column:
    """One network and one mask law, under a title."""

    title: str
    model: str
    mask: MaskLaw


def compute(columns: Sequence[Column], settings: Settings) -> Numbers:
    """All curves and their gap statistics, as plain JSON numbers; the mixing ratio is Beta(1, 1)."""
    seeds = settings.each_seed
    runs = [_run(column, seed, settings) for column, seed in track(list(product(columns, seeds)), "training pairs")]
    return {"columns": [_as_numbers(c, runs[k * len(seeds) :][: len(seeds)]) for k, c in enumerate(columns)]}


def draw(numbers: Numbers) -> Picture:
    """Median over the seeds as a line, smallest to largest value as a band."""
    from matplotlib.figure import Figure as Picture

    columns = numbers["columns"]
    with style():
        picture = Picture(figsize=(COLUMN_WIDTH, 3.7))
        axes = picture.subplots(len(ROWS), len(columns), sharex="col", sharey="row", squeeze=False)
        for (row, part), (k, column) in product(enumerate(ROWS), enumerate(columns)):
            _panel(axes[row, k], column, part)
        for row, label in enumerate(ROWS.values()):
            axes[row, 0].set_ylabel(label)
        for k, column in enumerate(columns):
            axes[0, k].set_title(column["title"])
            axes[-1, k].set_xlabel("iteration")
        handles, _ = axes[0, 0].get_legend_handles_labels()
        picture.legend(
            handles=handles, loc="outside lower center", title=seeds_caption(len(columns[0]["runs"])), alignment="left"
        )
    return picture


def _as_numbers(column: Column, runs: Sequence[RunCurves]) -> Numbers:
    return {
        "title": column.title,
        "model": column.model,
        "mask": repr(column.mask),
        "ratio": repr(RATIO),
        "runs": [asdict(run) for run in runs],
        "summary": {name: asdict(spread) for name, spread in summary(runs).items()},
    }


def _run(column: Column, seed: int, settings: Settings) -> RunCurves:
    choices = asdict(settings)
    del choices["seeds"], choices["seed"], choices["data"]
    return train_pair(column.model, column.mask, RATIO, seed, **choices)


def _panel(axes: Axes, column: Numbers, part: str) -> None:
    iterations = column["runs"][0]["iterations"]
    for trained_by, loss, label, look in LINES:
        curves = np.array([run[trained_by][f"{part}_{loss}"] for run in column["runs"]])
        median_and_band(axes, iterations, curves, label, look)
