"""Data sets and networks on which the theory is tried.  Everything is float64 and seeded."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from sklearn.datasets import load_digits, make_moons
from torch import Tensor, nn

from msda_theory.losses import Logistic, Loss, Poisson, SoftmaxCrossEntropy, Squared

LOSSES: dict[str, type[Loss]] = {
    "logistic": Logistic,
    "softmax": SoftmaxCrossEntropy,
    "squared": Squared,
    "poisson": Poisson,
}
MODELS = ("logistic", "mlp-tanh", "mlp-relu")
HIDDEN = 32
MOST_CLASSES = 1000


def two_moons(samples: int = 200, *, noise: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """scikit-learn's two moons: x (m, 2), not centred, y (m,) in {0., 1.}."""
    x, y = make_moons(samples, noise=noise, random_state=seed)
    return torch.from_numpy(x), torch.from_numpy(y).double()


def digits(samples: int = 100, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """A random choice of scikit-learn's handwritten digits: x (m, 8, 8) in [0, 1], not centred, y (m,) classes."""
    data = _digits()
    chosen = torch.randperm(len(data.images), generator=torch.Generator().manual_seed(seed))[:samples]
    return torch.from_numpy(data.images)[chosen] / 16, torch.from_numpy(data.target)[chosen].long()


_digits = cache(load_digits)  # a packed file of numbers as text: 23 ms; what is indexed above is a copy


def network(name: str, shape: tuple[int, ...], outputs: int, *, seed: int = 0) -> nn.Module:
    """A float64 network on flattened inputs: "logistic" is affine, the others have one hidden layer of 32 units."""
    size = int(torch.Size(shape).numel())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "logistic":
            layers: list[nn.Module] = [nn.Linear(size, outputs)]
        elif name in MODELS:
            activation = nn.Tanh() if name == "mlp-tanh" else nn.ReLU()
            layers = [nn.Linear(size, HIDDEN), activation, nn.Linear(HIDDEN, outputs)]
        else:
            raise ValueError(f"model={name!r}: needed is one of {', '.join(map(repr, MODELS))}")
    return nn.Sequential(nn.Flatten(), *layers).double().eval()


def loss_for(y: Tensor, name: str = "auto") -> tuple[Loss, int]:
    """The loss of that name, and the number of outputs that it needs for these labels.

    "auto" is softmax cross-entropy for class indices (m,) and for rows (m, K), logistic for numbers (m,) or (m, 1).
    """
    if name == "auto":
        classes = y.ndim == 1 and not y.is_floating_point()
        name = "softmax" if classes or y.shape[1:].numel() > 1 else "logistic"
    if y.ndim == 2 or name != "softmax":
        return LOSSES[name](), y.shape[1:].numel()
    if not float(y.max()) < MOST_CLASSES:
        raise ValueError(f"y reaches {float(y.max()):g}: needed are class indices below {MOST_CLASSES}")
    return SoftmaxCrossEntropy(), max(2, int(y.max()) + 1)


def fit(model: nn.Module, objective: Callable[[nn.Module], Tensor], *, steps: int = 50) -> nn.Module:
    """Train in place by L-BFGS with line search, deterministic; returns the model."""
    optimiser = torch.optim.LBFGS(model.parameters(), max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        value = objective(model)
        value.backward()
        return value

    optimiser.step(closure)
    return model


def standard_objective(loss: Loss, x: Tensor, y: Tensor, *, weight_decay: float = 0.0) -> Callable[[nn.Module], Tensor]:
    """L_m + weight_decay/2 |theta|^2, as an objective; L_m is the loss without augmentation.

    Without decay L-BFGS drives the weights up until the data are interpolated; between the data the loss is then far
    from any expansion about them.
    """

    def objective(model: nn.Module) -> Tensor:
        f = model(x)
        penalty = sum(p.square().sum() for p in model.parameters())
        return loss(f, loss.prepare(y, f.detach())).mean() + weight_decay / 2 * penalty

    return objective
