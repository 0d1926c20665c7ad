"""Two of scikit-learn's digits told apart by small networks, trained without mixing or with any augmentation as one
does: in every step each sample is mixed with another one by a mask and a ratio of its own.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from msda_theory.augmentation import Augmentation
from msda_theory.losses import Logistic
from verify.problems import digits, network

ALL_DIGITS = 1797
NETWORKS = ("linear", "relu-without-biases", "relu")
STEP = 0.01


def two_digits(pair: tuple[int, int], samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """A random choice of two classes: x (m, 8, 8) in [0, 1], not centred, y (m,) 1. for the second of the pair."""
    x, y = digits(ALL_DIGITS, seed=seed)
    chosen = torch.isin(y, torch.tensor(pair)).nonzero()[:samples, 0]
    return x[chosen], (y[chosen] == pair[1]).double()


def build(name: str, seed: int) -> nn.Sequential:
    """A network of `verify.problems` with one output: affine, or one layer of ReLU units with biases or without."""
    model = network("logistic" if name == "linear" else "mlp-relu", (8, 8), 1, seed=seed)
    assert isinstance(model, nn.Sequential)
    if name == "relu-without-biases":
        for layer in model:
            if isinstance(layer, nn.Linear):
                layer.register_parameter("bias", None)
    return model


def train_mixed(
    model: nn.Module, x: Tensor, y: Tensor, augmentation: Augmentation | None, *, steps: int, seed: int
) -> None:
    """`steps` of Adam on the logistic loss of all samples, in place; deterministic in `seed`."""
    optimiser, loss, rng = torch.optim.Adam(model.parameters(), lr=STEP), Logistic(), np.random.default_rng(seed)
    for _ in range(steps):
        seen, labels = (x, y) if augmentation is None else _mixed(x, y, augmentation, rng)
        optimiser.zero_grad()
        loss(model(seen), labels.unsqueeze(1)).mean().backward()
        optimiser.step()


def _mixed(x: Tensor, y: Tensor, augmentation: Augmentation, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    drawn, partner = augmentation.draw(len(x), rng), torch.from_numpy(rng.permutation(len(x)))
    masks, label = drawn.masks, drawn.label
    return masks * x + (1 - masks) * x[partner], label * y + (1 - label) * y[partner]
