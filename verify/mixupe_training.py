"""Small networks trained on scikit-learn's digits without mixing, with Mixup and with MixupE, step by step as Listing 1
of MixupE has it: one ratio a batch, the partners from a second order of the data, the approximate q of eq. (2).

As in the paper: SGD with momentum 0.9, step 0.1, weight decay 1e-4, the step divided by ten after a half and after
three quarters of the training, alpha = 1.  Ours: 300 training samples in batches of 50, some 40 epochs; eta = 0.1, the
largest that the paper tried on images.  The inputs are centred by the mean of the training set, as eq. (2) assumes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from msda_theory import Beta
from msda_theory._validation import require_at_least, require_choice
from msda_theory.losses import SoftmaxCrossEntropy
from msda_theory.mixupe import mixupe_penalty, rescaled, slope_parts
from verify.problems import digits, network

METHODS = ("ERM", "Mixup", "MixupE")
ARCHITECTURES = ("mlp-relu", "convnet")
RATIO, ETA = Beta(1.0, 1.0), 0.1
LOSS, CLASSES, IMAGE, ALL_DIGITS = SoftmaxCrossEntropy(), 10, (8, 8), 1797
SAMPLES, BATCH, STEP, MOMENTUM, DECAY = 300, 50, 0.1, 0.9, 1e-4
MILESTONES = (0.5, 0.75)


@dataclass(frozen=True)
class Data:
    """Training and test inputs, centred by the mean of the training set, and their classes."""

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor


@dataclass(frozen=True)
class Batch:
    """Samples, the partners that they are mixed with, one-hot labels, and the ratio of the batch."""

    x1: Tensor
    y1: Tensor
    x2: Tensor
    y2: Tensor
    ratio: float


@dataclass(frozen=True)
class Run:
    """One training; `curves` holds what was measured at `iterations`, 0 being the initialisation."""

    method: str
    architecture: str
    seed: int
    iterations: tuple[int, ...]
    curves: dict[str, tuple[float, ...]]


Measure = Callable[[nn.Module, Data], dict[str, float]]


def train(
    method: str, architecture: str, seed: int, measure: Measure, *, iterations: int = 250, records: int = 40
) -> Run:
    """Deterministic in `seed`, which draws the data, the initialisation and the batches; the same for every method."""
    require_choice("method", method, METHODS)
    require_choice("architecture", architecture, ARCHITECTURES)
    require_at_least("iterations", iterations, 1, "steps of SGD")
    require_at_least("records", records, 1, "measurements")
    data_seed, start_seed, batch_seed = (int(s) for s in np.random.SeedSequence(seed).generate_state(3))
    data, model = split_digits(data_seed), build(architecture, start_seed)
    optimiser = torch.optim.SGD(model.parameters(), lr=STEP, momentum=MOMENTUM, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [round(m * iterations) for m in MILESTONES])
    times, drawn = record_times(iterations, records), batches(data, np.random.default_rng(batch_seed))
    rows = [measure(model, data)]
    for t in range(1, iterations + 1):
        optimiser.zero_grad()
        objective(method, model, next(drawn)).backward()
        optimiser.step()
        schedule.step()
        if t in times:
            rows.append(measure(model, data))
    return Run(method, architecture, seed, times, {name: tuple(row[name] for row in rows) for name in rows[0]})


def objective(method: str, model: nn.Module, batch: Batch) -> Tensor:
    """The loss of one batch: of its samples alone, of the mixed batch, or that of Listing 1."""
    if method == "ERM":
        return LOSS(model(batch.x1), batch.y1).mean()
    x, y = (batch.ratio * u + (1 - batch.ratio) * v for u, v in ((batch.x1, batch.x2), (batch.y1, batch.y2)))
    mixed = LOSS(model(x), y).mean()
    if method == "Mixup":
        return mixed
    return rescaled(mixed, ETA * mixupe_penalty(model, LOSS, batch.x1, batch.y1, RATIO, approximate=True))


@torch.no_grad()
def losses(model: nn.Module, data: Data) -> dict[str, float]:
    """Cross-entropy of unmixed training and test samples, and the share of test samples classified wrongly."""
    train_loss, test_loss = (
        float(LOSS(model(x), one_hot(y)).mean()) for x, y in ((data.x, data.y), (data.x_test, data.y_test))
    )
    wrong = (model(data.x_test).argmax(1) != data.y_test).double().mean()
    return {"train_loss": train_loss, "test_loss": test_loss, "test_error": float(wrong)}


def alphas(model: nn.Module, data: Data) -> dict[str, float]:
    """alpha of eq. (3) over the training samples and classes: the least, the largest, the share that is negative."""
    alpha = slope_parts(model, LOSS, data.x, data.y).alpha
    return {"least": float(alpha.min()), "largest": float(alpha.max()), "negative": float((alpha < 0).double().mean())}


def one_hot(y: Tensor) -> Tensor:
    return nn.functional.one_hot(y, CLASSES).double()


def split_digits(seed: int) -> Data:
    x, y = digits(ALL_DIGITS, seed=seed)
    x = x - x[:SAMPLES].mean(0)
    return Data(x[:SAMPLES], y[:SAMPLES], x[SAMPLES:], y[SAMPLES:])


def build(architecture: str, seed: int) -> nn.Module:
    """A ReLU layer of 32 units, or two layers of 3 x 3 convolutions, with biases; float64."""
    if architecture == "mlp-relu":
        return network("mlp-relu", IMAGE, CLASSES, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU()]
        layers += [nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, CLASSES)]
        return nn.Sequential(*layers).double().eval()


def record_times(iterations: int, records: int) -> tuple[int, ...]:
    """0, 1 and on to `iterations` in equal steps of the logarithm: the start is where alpha is said to be negative."""
    return tuple(sorted({0, *(round(iterations ** (k / records)) for k in range(records + 1))}))


def batches(data: Data, rng: np.random.Generator) -> Iterator[Batch]:
    """Without end: each sample once an epoch, with partners from an order of their own."""
    labels = one_hot(data.y)
    while True:
        first, second = (torch.from_numpy(rng.permutation(len(data.x))) for _ in range(2))
        for i, j in zip(first.split(BATCH), second.split(BATCH), strict=True):
            yield Batch(data.x[i], labels[i], data.x[j], labels[j], float(rng.beta(RATIO.a, RATIO.b)))
