"""The adversarial loss and its second-order approximation along training, on two-moons: Fig. 4 of Zhang et al. (2021).

The paper's text has the networks trained with the adversarial loss (first row); beside it, networks that are trained
with the Mixup loss, which the approximation is meant for, and with the standard loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from figures.definition import Figure, Numbers, Settings
from figures.style import APPROXIMATE, BOTH, COLUMN_WIDTH, EXACT, median_and_band, seeds_caption, style
from msda_theory._progress import track
from verify.adversarial_runs import RADIUS, train_under_attack

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

MODELS = {"logistic": "logistic regression", "mlp-relu": "two-layer ReLU network"}
ROWS = {"by_exact": "adversarial loss", "by_mixup": "Mixup loss", "by_standard": "standard loss"}
#: what is drawn: trained by (None: as the row says), the loss shown, label, look
LINES: tuple[tuple[str | None, str, str, dict[str, Any]], ...] = (
    (None, "train_exact", "exact adversarial loss", EXACT),
    (None, "train_approximate", "its approximation (5), (6), at the same parameters", APPROXIMATE),
    ("by_approximation", "train_approximate", "the approximation, the network trained with it", BOTH),
)
FIRST = "by_exact"  # the row that has the last line too


def compute(settings: Settings) -> Numbers:
    """The curves of every network, training and seed, as plain JSON numbers."""
    seeds = settings.each_seed
    choices = asdict(settings)
    del choices["seeds"], choices["seed"], choices["order"], choices["data"]
    cases = list(product(MODELS, seeds))
    runs = [asdict(train_under_attack(model, seed, **choices)) for model, seed in track(cases, "trainings")]
    return {
        "radius": RADIUS,
        "columns": [
            {"title": title, "model": model, "runs": runs[k * len(seeds) :][: len(seeds)]}
            for k, (model, title) in enumerate(MODELS.items())
        ],
    }


def draw(numbers: Numbers) -> Picture:
    """Median over the seeds as a line, smallest to largest value as a band."""
    from matplotlib.figure import Figure as Picture

    columns = numbers["columns"]
    with style():
        picture = Picture(figsize=(COLUMN_WIDTH, 4.9))
        axes = picture.subplots(len(ROWS), len(columns), sharex=True, sharey="row")
        for (row, trained_by), (k, column) in product(enumerate(ROWS), enumerate(columns)):
            _panel(axes[row, k], column["runs"], trained_by)
        for ax, loss in zip(axes[:, 0], ROWS.values(), strict=True):
            ax.set_ylabel(f"trained with the\n{loss}")
        for ax, column in zip(axes[0], columns, strict=True):
            ax.set_title(column["title"])
        for ax in axes[-1]:
            ax.set_xlabel("iteration")
        picture.align_ylabels(axes[:, 0])
        handles, _ = axes[0, 0].get_legend_handles_labels()
        caption = f"$\\ell_2$ attack of size {numbers['radius']:g}; {seeds_caption(len(columns[0]['runs']))}"
        picture.legend(handles=handles, loc="outside lower center", title=caption, alignment="left")
    return picture


def _panel(ax: Axes, runs: Sequence[Numbers], row: str) -> None:
    for trained_by, loss, label, look in LINES:
        if trained_by is None or row == FIRST:
            curves = np.array([run[trained_by or row][loss] for run in runs])
            median_and_band(ax, runs[0]["iterations"], curves, label, look)


FIGURE = Figure(
    id="zhang2021-fig4",
    title="The original adversarial loss and the approximate adversarial loss, on two-moons",
    source="Zhang et al. (2021), Figure 4",
    compute=compute,
    draw=draw,
    needs="two moons (generated)",
    seconds=38,
)
