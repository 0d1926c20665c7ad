"""Training runs side by side, one a seed, and the cosines of input gradients with the inputs along them.

Fig. 3 of Zhang et al. (2021): 100 points x_i ~ N(0, I) in R^10 with labels 1{x_i . theta* > 0}, theta* ~ N(0, I); a
linear model, and a ReLU network with two hidden layers of 50; SGD, step 0.1, momentum 0.9, no weight decay.  Not
printed, and chosen here: PyTorch's initialisation, batches of 10, whether there are biases (both), how long.  Accuracy
is looked at after every epoch.

A run of `seed` does not depend on which others are beside it, but for the rounding of batched products.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from msda_theory._validation import require_at_least
from msda_theory.augmentation import Augmentation
from msda_theory.losses import Logistic
from verify.ensembles import Moment, Networks, chosen
from verify.problems import digits

STEP, MOMENTUM, BATCH = 0.1, 0.9, 10
SAMPLES, SIZE, ALL_DIGITS = 100, 10, 1797
HIDDEN = (50, 50)
LOSS = Logistic()

Data = Callable[[int], tuple[Tensor, Tensor]]  # a seed to x (n, d) and labels y (n,) in {0., 1.}


@dataclass(frozen=True)
class CosineRuns:
    """s runs on x (s, n, d), y (s, n).

    cosines (t, s, n), loss (t, s), accuracy (t, s) were recorded at `epochs`; of unmixed training samples.
    reached (s,): the epoch from which on the accuracy is 100% to the end, -1 where it is not.
    start, separated, end: at the initialisation, at `reached`, at the end.  last_right (s, n): the samples that were
    classified wrongly one epoch before `reached`.
    """

    x: Tensor
    y: Tensor
    epochs: tuple[int, ...]
    cosines: Tensor
    loss: Tensor
    accuracy: Tensor
    reached: Tensor
    last_right: Tensor
    start: Moment
    separated: Moment
    end: Moment


def gaussian_points(seed: int) -> tuple[Tensor, Tensor]:
    """x_i ~ N(0, I) in R^10, y_i = 1{x_i . theta* > 0}, theta* ~ N(0, I)."""
    rng = np.random.default_rng(seed)
    direction, x = rng.standard_normal(SIZE), rng.standard_normal((SAMPLES, SIZE))
    return torch.from_numpy(x), torch.from_numpy((x @ direction > 0).astype(float))


def digit_pair(first: int, second: int, seed: int) -> tuple[Tensor, Tensor]:
    """100 of scikit-learn's handwritten digits of two classes, 8 x 8 pixels, centred; the second class has label 1."""
    x, y = digits(ALL_DIGITS, seed=seed)
    kept = torch.nonzero((y == first) | (y == second)).squeeze(1)[:SAMPLES]
    x, y = x[kept].flatten(1), y[kept]
    return x - x.mean(0), (y == second).double()


def train(
    data: Data,
    hidden: Sequence[int],
    seeds: Sequence[int],
    *,
    biases: bool = False,
    augmentation: Augmentation | None = None,
    batch: int = BATCH,
    epochs: int = 200,
    records: int = 40,
) -> CosineRuns:
    """Train without mixing, or with the augmentation: a mask and a ratio a batch, partners from a second order.

    Each seed draws its own data, initialisation and batches.  Records lie at equal steps of the epoch's logarithm.

    Raises FloatingPointError where a run diverges.
    """
    for name, value in (("batch", batch), ("epochs", epochs), ("records", records)):
        require_at_least(name, value, 1, "for SGD")
    streams = [[int(s) for s in np.random.SeedSequence(seed).generate_state(3)] for seed in seeds]
    x, y = map(torch.stack, zip(*(data(stream[0]) for stream in streams), strict=True))
    networks = Networks(x.shape[-1], hidden, biases, [stream[1] for stream in streams])
    drawn = _epochs(x, y, augmentation, batch, epochs, [np.random.default_rng(stream[2]) for stream in streams])
    optimiser = torch.optim.SGD(networks.parameters, lr=STEP, momentum=MOMENTUM)
    watch = _Watch(networks, x, y, record_times(epochs, records))
    for epoch, batches in enumerate(drawn, start=1):
        for inputs, labels in batches:
            optimiser.zero_grad()
            _losses(networks(inputs), labels).sum().backward()
            optimiser.step()
        watch(epoch)
    return watch.runs()


def record_times(epochs: int, records: int) -> tuple[int, ...]:
    """0, 1 and on to `epochs` in equal steps of the logarithm."""
    return tuple(sorted({0, *(round(epochs ** (k / records)) for k in range(records + 1))}))


class _Watch:
    """Looks at the networks after an epoch, and keeps what `CosineRuns` holds."""

    def __init__(self, networks: Networks, x: Tensor, y: Tensor, times: tuple[int, ...]) -> None:
        self.networks, self.x, self.y, self.times = networks, x, y, times
        self.rows: list[tuple[Tensor, Tensor, Tensor]] = []
        self.start = self.separated = networks.measure(x)
        self.right = torch.zeros(y.shape, dtype=torch.bool)
        self.last_right = self.right
        self.reached = torch.full((len(x),), -1)
        self(0)

    def __call__(self, epoch: int) -> None:
        with torch.no_grad():
            output = self.networks(self.x)
        if not output.isfinite().all():
            raise FloatingPointError(f"training diverged by epoch {epoch}: an output is not finite")
        right = (output > 0) == (self.y > 0.5)
        new = right.all(1) & ~self.right.all(1)
        if new.any():
            self.separated = self.separated.updated(new, self.networks.measure(self.x))
            self.last_right = chosen(new, ~self.right, self.last_right)
        self.reached = torch.where(right.all(1), torch.where(new, epoch, self.reached), -1)
        self.right = right
        if epoch in self.times:
            cosines = self.networks.measure(self.x).cosines(self.x)
            self.rows.append((cosines, _losses(output, self.y), right.double().mean(1)))

    def runs(self) -> CosineRuns:
        cosines, loss, accuracy = (torch.stack(row) for row in zip(*self.rows, strict=True))
        return CosineRuns(
            self.x,
            self.y,
            self.times,
            cosines,
            loss,
            accuracy,
            self.reached,
            self.last_right,
            start=self.start,
            separated=self.separated,
            end=self.networks.measure(self.x),
        )


def _epochs(
    x: Tensor,
    y: Tensor,
    augmentation: Augmentation | None,
    batch: int,
    epochs: int,
    rngs: Sequence[np.random.Generator],
) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """The batches of each epoch, inputs (s, b, d) and labels (s, b)."""
    if augmentation is None:
        yield from (_shuffled(x, y, rngs, batch) for _ in range(epochs))
        return
    count = -(-x.shape[1] // batch)
    draws = [augmentation.draw(epochs * count, rng) for rng in rngs]
    masks = torch.stack([draw.masks.flatten(1) for draw in draws], 1).unsqueeze(2)
    weights = torch.stack([draw.label for draw in draws], 1).unsqueeze(2)
    for m, w in zip(masks.split(count), weights.split(count), strict=True):
        first, second = (_shuffled(x, y, rngs, batch) for _ in range(2))
        yield [_mixed(*parts) for parts in zip(first, second, m, w, strict=True)]


def _mixed(
    first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor], mask: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    (x1, y1), (x2, y2) = first, second
    return mask * x1 + (1 - mask) * x2, weight * y1 + (1 - weight) * y2


def _shuffled(x: Tensor, y: Tensor, rngs: Sequence[np.random.Generator], batch: int) -> list[tuple[Tensor, Tensor]]:
    orders = torch.from_numpy(np.stack([rng.permutation(x.shape[1]) for rng in rngs]))
    run = torch.arange(len(x)).unsqueeze(1)
    return [(x[run, order], y[run, order]) for order in orders.split(batch, dim=1)]


def _losses(output: Tensor, y: Tensor) -> Tensor:
    """The mean logistic loss of each run: (s,)."""
    return LOSS(output.unsqueeze(-1), y.unsqueeze(-1)).mean(-1)
