"""Table 6 of Zou et al. (2023): test errors with ERM, Mixup and MixupE of graphs' readouts, on the sets of TUDataset.

As in the paper, epoch, alpha and eta are chosen on the folds that the errors are of (`verify.graph_training`).
Folds share graphs to train on, so that intervals over them are rather too narrow.
Judged by an epoch of graphs of their size, MUTAG takes two hours on one core and NCI1 two days.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path

import numpy as np
import torch

from figures import table
from figures.data_sets import folder
from figures.definition import Figure, Numbers, Settings
from figures.image_runs import scaled_epochs
from figures.relations import Relation
from msda_theory._progress import track
from verify.graph_files import Graphs, graphs
from verify.graph_training import ALPHAS, EPOCHS, ETAS, FOLDS, Scores, best, folds, train
from verify.mixupe_training import METHODS
from verify.printed_tables import PrintedTable, printed_table
from verify.tabular_training import best_of_each, grid

KIND = "tudataset"
#: the paper's columns, the last two cut short, and TUDataset's names of them
SETS = {
    "MUTAG": "MUTAG",
    "NCI1": "NCI1",
    "PTC": "PTC_MR",
    "PROTEINS": "PROTEINS",
    "IMDB-B": "IMDB-BINARY",
    "IMDB-M": "IMDB-MULTI",
}
STATEMENT = "MixupE has the least error on every set but PTC, where Mixup has (sec. 3.4, Table 6)."
CHOSEN = (
    "epoch, α and η are those with the least mean error on the test folds themselves, as in the paper, which favours "
    "the method with the most to choose from, MixupE"
)


def compute(settings: Settings) -> Numbers:
    """For every set that is there and every method one error a fold, its mean over the seeds."""
    printed = printed_table("mixupe2023", "table6")
    epochs = scaled_epochs(EPOCHS, settings)
    chosen = {
        column: best_of_each(_scores(column, data, settings, epochs), best) for column, data in _sets(settings).items()
    }
    return table.table_numbers(
        printed,
        {column: {m: (100 * s.chosen).tolist() for m, s in each.items()} for column, each in chosen.items()},
        seeds=settings.each_seed,
        statement=STATEMENT,
        relations=[_as_printed(printed, method, column) for column in chosen for method in METHODS[:2]],
        conditions=f"{epochs} epochs, {FOLDS} folds; {CHOSEN}: {_choices(chosen)}",
        unit="test error, %",
        folds=FOLDS,
    )


def _sets(settings: Settings) -> dict[str, Graphs]:
    """By column, on the GPU where there is one; ValueError where none of the six is there."""
    there = Path(folder(settings, KIND) or "")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = {c: graphs(there, name).to(device) for c, name in SETS.items() if (there / name).is_dir()}
    if not found:
        raise ValueError(f"{there} has none of the folders {', '.join(SETS.values())}: needed is one at least")
    return found


def _scores(column: str, data: Graphs, settings: Settings, epochs: int) -> list[Scores]:
    """Of every cell; the folds are the same for all seeds."""
    cells, parts = grid(ALPHAS[: settings.records], ETAS[: settings.records]), folds(data, settings.seed)
    runs = list(product(cells, settings.each_seed, enumerate(parts)))
    errors = [
        train(data, fold, cell, seed * FOLDS + k, epochs=epochs)
        for cell, seed, (k, fold) in track(runs, f"trainings, {column}")
    ]
    means = np.reshape(errors, (len(cells), settings.seeds, FOLDS, epochs)).mean(1)
    return [Scores(cell, own) for cell, own in zip(cells, means, strict=True)]


def _as_printed(printed: PrintedTable, method: str, column: str) -> Relation:
    """The method and MixupE, that with the larger printed error first."""
    smaller, greater = sorted((method, "MixupE"), key=lambda row: printed.value(row, column))
    return Relation(greater, smaller, column)


def _choices(chosen: Mapping[str, Mapping[str, Scores]]) -> str:
    return "; ".join(
        f"{column} " + ", ".join(f"{method} {_choice(scores)}" for method, scores in each.items())
        for column, each in chosen.items()
    )


def _choice(scores: Scores) -> str:
    named = {"epoch": scores.epoch + 1, "α =": scores.cell.alpha, "η =": scores.cell.eta}
    return " ".join(f"{name} {value:g}" for name, value in named.items() if value)


FIGURE = Figure(
    id="mixupe2023-table6",
    title="Test error with ERM, Mixup and MixupE: graphs",
    source="Zou et al. (2023), Table 6",
    compute=compute,
    draw=table.draw,
    markdown=table.markdown,
    needs="",
    takes=(KIND,),
    seeds=1,
)
