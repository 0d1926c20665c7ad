"""Training image classifiers as one does: SGD with momentum, or Adam, batches, a learning-rate schedule, labels mixed
with them.

The loss is softmax cross-entropy with soft labels; an epoch sees every sample once, in a new order.  Everything is
drawn from `seed`, and two trainings with one seed see the same batches in the same order, mixed or not: compare methods
in pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from msda_theory._validation import require_at_least, require_choice, require_finite_positive
from msda_theory.augmentation import Augmentation
from msda_theory.training import Mix

Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
#: the loss of a batch x, y, of which the transform (or None) is to be applied
Objective = Callable[[nn.Module, Tensor, Tensor, Transform | None], Tensor]
Watch = Callable[[int, nn.Module], None]

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: (1 + math.cos(math.pi * done)) / 2,
    "step": lambda done: 0.1 ** (int(3 * done)),
    "halves": lambda done: 0.1 ** ((done >= 0.5) + (done >= 0.75)),
}
OPTIMISERS = ("SGD", "Adam")
#: numbers in the images that go through a network at once when it is tested
AT_ONCE = 2**22


class Data(Protocol):
    """Images x (m, c, h, w) and classes y (m,) in [0, classes): a training and a test set."""

    @property
    def train_x(self) -> Tensor: ...
    @property
    def train_y(self) -> Tensor: ...
    @property
    def test_x(self) -> Tensor: ...
    @property
    def test_y(self) -> Tensor: ...
    @property
    def classes(self) -> int: ...


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy and share of right answers on unmixed data."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Trained:
    """At the end of training, and the mean loss that was descended (of mixed batches) in each epoch."""

    train: Score
    test: Score
    losses: tuple[float, ...]


def train(
    model: nn.Module,
    data: Data,
    augmentation: Augmentation | Transform | None = None,
    *,
    epochs: int,
    seed: int = 0,
    lr: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    batch: int = 64,
    schedule: str = "cosine",
    optimiser: str = "SGD",
    draws: str = "sample",
    objective: Objective | None = None,
    watch: Watch | None = None,
) -> Trained:
    """Train `model` in place on `data.train_x`, where they and the model are; it is left in eval mode.

    augmentation : mixed by `Mix` with `draws`; or any transform (x, y) -> (x, y) of a batch with classes (b,), called
        with torch's global generator at `seed`; or None
    schedule : the learning rate over the share of training done: "constant", "cosine" to 0, or "step", a tenth at each
        third, as Park et al. (2022), App. F, has it; "halves", a tenth at a half and at three quarters, as Zou et al.
        (2023), sec. 3.1
    optimiser : "SGD", or "Adam" with torch's betas, to which `momentum` is nothing
    objective : what is descended, `transformed_loss` if not given
    watch : called with the number of epochs done, from 0 on, and the model in eval mode
    Torch's global generator is seeded for dropout and transforms, and put back.

    Raises FloatingPointError where the loss is no longer finite, and ValueError for settings that are none.
    """
    require_at_least("epochs", epochs, 1, "for training")
    require_at_least("batch", batch, 1, "for training")
    require_finite_positive("lr", lr)
    require_choice("schedule", schedule, tuple(SCHEDULES))
    require_choice("optimiser", optimiser, OPTIMISERS)
    transform = Mix(augmentation, data.classes, draws=draws) if isinstance(augmentation, Augmentation) else augmentation
    steps = _optimiser(optimiser, model, lr, momentum, weight_decay)
    order = torch.Generator().manual_seed(seed)
    losses = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for epoch in range(epochs):
            _look(watch, epoch, model)
            model.train()
            batches = torch.randperm(len(data.train_x), generator=order).to(data.train_y.device).split(batch)
            total = 0.0
            for k, rows in enumerate(batches):
                steps.param_groups[0]["lr"] = lr * SCHEDULES[schedule]((epoch + k / len(batches)) / epochs)
                loss = (objective or transformed_loss)(model, data.train_x[rows], data.train_y[rows], transform)
                total += _step(steps, loss) * len(rows)
            losses.append(_finite(total / len(data.train_x), epoch))
    _look(watch, epochs, model)
    model.eval()
    return Trained(
        evaluate(model, data.train_x, data.train_y), evaluate(model, data.test_x, data.test_y), tuple(losses)
    )


def transformed_loss(model: nn.Module, x: Tensor, y: Tensor, transform: Transform | None) -> Tensor:
    """The mean cross-entropy of the transformed batch."""
    if transform is not None:
        x, y = transform(x, y)
    return cross_entropy(model(x), y)


def _optimiser(name: str, model: nn.Module, lr: float, momentum: float, weight_decay: float) -> torch.optim.Optimizer:
    if name == "Adam":
        return torch.optim.Adam(model.parameters(), lr=lr, weight_decay=weight_decay)
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay)


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> float:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.detach())


def _look(watch: Watch | None, epoch: int, model: nn.Module) -> None:
    if watch is not None:
        model.eval()
        watch(epoch, model)


def _finite(loss: float, epoch: int) -> float:
    if not math.isfinite(loss):
        raise FloatingPointError(f"training diverged in epoch {epoch}: the loss is {loss}")
    return loss


@torch.no_grad()
def evaluate(model: nn.Module, x: Tensor, y: Tensor, *, batch: int = 1024) -> Score:
    """Of a model in eval mode, on images and classes, `batch` at a time or fewer, where they are large."""
    f = torch.cat([model(part) for part in x.split(max(1, min(batch, AT_ONCE // x[0].numel())))])
    return Score(float(cross_entropy(f, y)), float((f.argmax(1) == y).double().mean()))
