"""Networks on the tables that ship with scikit-learn, trained without mixing, with Mixup and with MixupE, over all of
MixupE's grid of alpha and eta: Table 4 of Zou et al. (2023).

As in the paper: two hidden layers of 128 ReLU units, Adam with step 0.001, batches of 100, 25 epochs; one mixing ratio
a batch and the approximate q of eq. (2), as Listing 1 has them.  Ours: 60% of a table to train on, 20% to choose
alpha and eta by, 20% to test on, drawn by the seed; each column shifted and scaled to mean 0 and variance 1 over the
training part.  All networks of a table are trained side by side (`verify.ensembles`), in float32; those of one seed
share split, initialisation, batches and the uniform draws behind the mixing ratios.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from scipy import stats
from sklearn import datasets
from torch import Tensor
from torch.nn import functional

from msda_theory._validation import require_at_least, require_choice
from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.mixupe import rescaled
from verify.ensembles import Networks
from verify.mixupe_training import METHODS

TABLES = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "breast cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
}
ALPHAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
ETAS = (0.0001, 0.001, 0.01, 0.1, 1.0)
HIDDEN, STEP, BATCH, EPOCHS = (128, 128), 0.001, 100, 25
SHARES = {"train": 0.6, "validation": 0.2}
LOSS = SoftmaxCrossEntropy()


@dataclass(frozen=True)
class Cell:
    """lambda ~ Beta(alpha, alpha), alpha = 0 without mixing; the weight eta of the penalty, 0 without it."""

    alpha: float
    eta: float

    @property
    def method(self) -> str:
        """One of METHODS."""
        return METHODS[(self.alpha > 0) + (self.eta > 0)]


class OfCell(Protocol):
    """What came of a cell."""

    @property
    def cell(self) -> Cell: ...


S = TypeVar("S", bound=OfCell)


@dataclass(frozen=True)
class Scores:
    """One cell, one entry a seed: shares classified wrongly, and the cross-entropy of the validation part."""

    cell: Cell
    validation_error: tuple[float, ...]
    validation_loss: tuple[float, ...]
    test_error: tuple[float, ...]


@dataclass(frozen=True)
class Part:
    """Inputs (s, n, d) and classes (s, n), of every seed."""

    x: Tensor
    y: Tensor

    def repeated(self, times: int) -> Part:
        return Part(self.x.repeat(times, 1, 1), self.y.repeat(times, 1))


@dataclass(frozen=True)
class Batch:
    """Samples, the partners that they are mixed with, the ratio of each run (r,), the number of classes."""

    first: Part
    second: Part
    ratio: Tensor
    width: int

    def labels(self, part: Part) -> Tensor:
        return functional.one_hot(part.y, self.width).float()

    def mixed(self) -> tuple[Tensor, Tensor]:
        lam = self.ratio.reshape(-1, 1, 1)
        pairs = (self.first.x, self.second.x), (self.labels(self.first), self.labels(self.second))
        x, y = (lam * own + (1 - lam) * other for own, other in pairs)
        return x, y


def grid(alphas: Sequence[float] = ALPHAS, etas: Sequence[float] = ETAS) -> list[Cell]:
    """No mixing; Mixup with every alpha; MixupE with every alpha and eta."""
    return [Cell(0.0, 0.0)] + [Cell(alpha, eta) for eta in (0.0, *etas) for alpha in alphas]


def best(scores: Sequence[Scores]) -> Scores:
    """The least mean validation error, and of equals the least validation loss."""
    return min(scores, key=lambda s: (round(float(np.mean(s.validation_error)), 12), np.mean(s.validation_loss)))


def best_of_each(scores: Sequence[S], best: Callable[[Sequence[S]], S]) -> dict[str, S]:
    """One cell a method: without mixing, of Mixup's, of MixupE's."""
    return {method: best([score for score in scores if score.cell.method == method]) for method in METHODS}


def train(table: str, cells: Sequence[Cell], seeds: Sequence[int], *, epochs: int = EPOCHS) -> list[Scores]:
    """Every cell from every seed; the cells with a penalty stand last, as `grid` has them.

    Raises ValueError for a table that is not there; FloatingPointError where an output is not finite.
    """
    require_choice("table", table, tuple(TABLES))
    require_at_least("epochs", epochs, 1, "passes through the training part")
    plain = sum(cell.eta == 0 for cell in cells)
    if any(cell.eta for cell in cells[:plain]):
        raise ValueError("cells: needed are those with eta = 0 first")
    streams = [[int(s) for s in np.random.SeedSequence(seed).generate_state(3)] for seed in seeds]
    parts, width = split(table, [stream[0] for stream in streams])
    starts = [stream[1] for _ in cells for stream in streams]
    networks = Networks(parts["train"].x.shape[-1], HIDDEN, True, starts, width=width, dtype=torch.float32)
    optimiser = torch.optim.Adam(networks.parameters, lr=STEP)
    alpha, eta = (np.repeat([getattr(c, name) for c in cells], len(seeds)) for name in ("alpha", "eta"))
    weight = torch.from_numpy(eta * alpha / (2 * alpha + 1)).float()  # eta E_D~[1-lambda]
    for first, second, uniform in _batches(parts["train"], epochs, [stream[2] for stream in streams]):
        batch = Batch(first.repeated(len(cells)), second.repeated(len(cells)), ratios(alpha, uniform), width)
        optimiser.zero_grad()
        objectives(networks, batch, weight, plain * len(seeds)).sum().backward()
        optimiser.step()
    found = [_measure(networks, part, len(cells)) for name, part in parts.items() if name != "train"]
    return [Scores(cell, *(_row(v[k]) for v in (*found[0], found[1][0]))) for k, cell in enumerate(cells)]


def objectives(networks: Networks, batch: Batch, weight: Tensor, plain: int) -> Tensor:
    """The loss of each run (r,): of the mixed batch, and from the run `plain` on kappa (loss + weight mean |q|)."""
    x, y = batch.mixed()
    mixed = LOSS(networks.rows(x), y).mean(-1)
    if plain == len(mixed):
        return mixed
    behind = slice(plain, None)
    f = networks.rows(batch.first.x[behind], behind)
    slopes = ((batch.labels(batch.first)[behind] - LOSS.h1(f)) * f).sum(-1).abs().mean(-1)
    return torch.cat([mixed[:plain], rescaled(mixed[behind], weight[behind] * slopes)])


def ratios(alpha: np.ndarray, uniform: np.ndarray) -> Tensor:
    """lambda ~ Beta(alpha, alpha) of every run, from one uniform draw a seed; 1 where alpha = 0."""
    draws, mixing = np.tile(uniform, len(alpha) // len(uniform)), alpha > 0
    shape = np.where(mixing, alpha, 1.0)
    return torch.from_numpy(np.where(mixing, stats.beta.ppf(draws, shape, shape), 1.0)).float()


def split(table: str, seeds: Sequence[int]) -> tuple[dict[str, Part], int]:
    """The parts "train", "validation" and "test" of every seed, standardised by the first; the number of classes."""
    data = TABLES[table]()
    x, y = data.data.astype(float), data.target
    ends = np.cumsum([round(share * len(x)) for share in SHARES.values()])
    parts: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in (*SHARES, "test")}
    for seed in seeds:
        chosen = np.split(np.random.default_rng(seed).permutation(len(x)), ends)
        mean, scale = x[chosen[0]].mean(0), x[chosen[0]].std(0)
        standard = (x - mean) / np.where(scale > 0, scale, 1.0)
        for drawn, rows in zip(parts.values(), chosen, strict=True):
            drawn.append((standard[rows], y[rows]))
    return {name: _part(drawn) for name, drawn in parts.items()}, int(y.max()) + 1


def _part(drawn: Sequence[tuple[np.ndarray, np.ndarray]]) -> Part:
    x, y = (torch.from_numpy(np.stack(values)) for values in zip(*drawn, strict=True))
    return Part(x.float(), y.long())


def _batches(part: Part, epochs: int, seeds: Sequence[int]) -> Iterator[tuple[Part, Part, np.ndarray]]:
    """Samples, their partners from a second order, and a uniform draw a seed."""
    rngs, run = [np.random.default_rng(seed) for seed in seeds], torch.arange(len(seeds)).unsqueeze(1)
    for _ in range(epochs):
        orders = [torch.from_numpy(np.stack([rng.permutation(part.y.shape[1]) for rng in rngs])) for _ in range(2)]
        for rows in zip(*(order.split(BATCH, dim=1) for order in orders), strict=True):
            first, second = (Part(part.x[run, row], part.y[run, row]) for row in rows)
            yield first, second, np.array([rng.random() for rng in rngs])


@torch.no_grad()
def _measure(networks: Networks, part: Part, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """The share classified wrongly and the mean cross-entropy, (cells, seeds) each."""
    part = part.repeated(cells)
    f = networks.rows(part.x)
    if not f.isfinite().all():
        raise FloatingPointError("training diverged: an output is not finite")
    wrong = (f.argmax(-1) != part.y).double().mean(-1)
    loss = functional.cross_entropy(f.transpose(1, 2), part.y, reduction="none").double().mean(-1)
    return wrong.reshape(cells, -1).numpy(), loss.reshape(cells, -1).numpy()


def _row(values: np.ndarray) -> tuple[float, ...]:
    return tuple(values.tolist())
