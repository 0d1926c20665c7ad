"""Graph networks trained without mixing, with Mixup and with MixupE of their readouts: Table 6 of Zou et al. (2023).

As in the paper: five layers whose sums over the nodes a non-linear head classifies, Adam for 350 epochs with step 0.01,
halved every 50; ten folds; the epoch, alpha and eta with the least mean error on the test folds are taken.  That error
is too small, since it was chosen by, and the more so the more cells a method has to choose from: Mixup more than no
mixing, and MixupE more than Mixup.  After Xu et al. (2018), which the paper follows: batches of 32, 64 hidden units and
dropout of half in the head.  Ours: fewer alpha and eta, an epoch passes once through the training folds, and readouts
are sums for every set, where Xu et al. have means for IMDB.

All trainings of one seed and fold share initialisation and batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from msda_theory import Beta
from msda_theory._validation import require_at_least
from verify.graph_files import Graphs
from verify.graph_networks import Encoder, Network
from verify.image_methods import Method, method
from verify.tabular_training import Cell

ALPHAS, ETAS = (0.1, 1.0), (0.001, 0.1)
FOLDS, EPOCHS, BATCH, STEP, HALVED = 10, 350, 32, 0.01, 50


@dataclass(frozen=True)
class Scores:
    """Of one cell, the share of each test fold that is classified wrongly after each epoch: (folds, epochs)."""

    cell: Cell
    errors: np.ndarray

    @property
    def epoch(self) -> int:
        """With the least mean error, the first of equals; from 0."""
        return int(self.errors.mean(0).round(12).argmin())

    @property
    def chosen(self) -> np.ndarray:
        """The errors of that epoch, (folds,)."""
        return self.errors[:, self.epoch]


def best(scores: Sequence[Scores]) -> Scores:
    """The least mean error on the test folds, at its best epoch; the first of equals."""
    return min(scores, key=lambda score: round(float(score.chosen.mean()), 12))


def folds(graphs: Graphs, seed: int) -> list[tuple[Tensor, Tensor]]:
    """Graphs to train on and to test on, FOLDS times, each class in equal shares.

    Raises ValueError where a class has fewer graphs than there are folds.
    """
    y = graphs.y.cpu()
    fewest = int(y.bincount(minlength=graphs.classes).min())
    if fewest < FOLDS:
        raise ValueError(f"a class has {fewest} graphs: needed are {FOLDS} at least, one a fold")
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(y, y)
    return [(torch.from_numpy(train).to(graphs.y), torch.from_numpy(test).to(graphs.y)) for train, test in parts]


def train(graphs: Graphs, fold: tuple[Tensor, Tensor], cell: Cell, seed: int, *, epochs: int = EPOCHS) -> np.ndarray:
    """The share of the fold's test graphs that is classified wrongly after each epoch, (epochs,).

    Torch's global generator is seeded, and put back.  Raises FloatingPointError where the loss is no longer finite.
    """
    require_at_least("epochs", epochs, 1, "passes through the training folds")
    test, order, errors = graphs.take(fold[1]), torch.Generator().manual_seed(seed), []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Network(graphs.x.shape[1], graphs.classes).to(graphs.x)
        optimiser = torch.optim.Adam(network.parameters(), lr=STEP)
        schedule = torch.optim.lr_scheduler.StepLR(optimiser, HALVED, gamma=0.5)
        for _ in range(epochs):
            _pass(network, optimiser, graphs, _batches(fold[0], order), of_readouts(cell, graphs.classes))
            schedule.step()
            errors.append(_error(network, test))
    return np.array(errors)


def of_readouts(cell: Cell, classes: int) -> Method:
    """No mixing (alpha = 0), Mixup (eta = 0) or MixupE of readouts, one ratio a batch."""
    ratio = Beta(cell.alpha or 1.0, cell.alpha or 1.0)
    return method(ratio, (Encoder.width,), classes, mixed=cell.alpha > 0, eta=cell.eta or None)


def loss(network: Network, batch: Graphs, chosen: Method) -> Tensor:
    """What is descended: the method's loss of the head, at the batch's readouts; FloatingPointError if not finite."""
    found = chosen.objective(network.head, network.encoder(batch), batch.y, chosen.transform)
    if not found.isfinite():
        raise FloatingPointError(f"training diverged: the loss of a batch is {found.item()}")
    return found


def _batches(rows: Tensor, order: torch.Generator) -> Sequence[Tensor]:
    return rows[torch.randperm(len(rows), generator=order).to(rows.device)].split(BATCH)


def _pass(
    network: Network, optimiser: torch.optim.Optimizer, graphs: Graphs, batches: Sequence[Tensor], chosen: Method
) -> None:
    network.train()
    for rows in batches:
        optimiser.zero_grad()
        loss(network, graphs.take(rows), chosen).backward()
        optimiser.step()


@torch.no_grad()
def _error(network: Network, test: Graphs) -> float:
    wrong = network.eval()(test).argmax(1) != test.y
    return float(wrong.double().mean())
