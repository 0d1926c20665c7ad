"""Two networks for images of 8 x 8 pixels and ten classes, and how they are trained."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from msda_theory import Augmentation
from msda_theory.losses import SoftmaxCrossEntropy


class Convolutions(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10),
        )  # fmt: skip


class Layers(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def trained(kind: type[nn.Module], x: Tensor, y: Tensor, augmentation: Augmentation | None, steps: int) -> nn.Module:
    """By Adam on batches of 128 mixed pairs, seeded."""
    rng = np.random.default_rng(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, loss = kind(), SoftmaxCrossEntropy()
    optimiser, labels = torch.optim.Adam(model.parameters(), 3e-3), nn.functional.one_hot(y, 10).float()
    for _ in range(steps):
        i, j = torch.from_numpy(rng.integers(len(x), size=(2, 128)))
        inputs, targets = x[i], labels[i]
        if augmentation is not None:
            draw = augmentation.draw(128, rng)
            mask, w = draw.masks.float(), draw.label.float().unsqueeze(-1)
            inputs, targets = mask * x[i] + (1 - mask) * x[j], w * labels[i] + (1 - w) * labels[j]
        optimiser.zero_grad()
        loss(model(inputs), targets).mean().backward()
        optimiser.step()
    return model.eval()
