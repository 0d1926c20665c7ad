"""What the tests share: data, models with known derivatives, and assertions that say where and by how much."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from msda_theory.losses import ElementwiseLoss, Logistic, Loss, Poisson, SoftmaxCrossEntropy, Squared

Model = Callable[[Tensor], Tensor]


class LinearLoss(ElementwiseLoss):
    """h(f) = c f, so l = (c - y) f: with it an expansion to second order is exact for a quadratic f."""

    def __init__(self, slope: float = 1.5) -> None:
        self.slope = slope

    def scalar(self, f: Tensor, order: int) -> Tensor:
        return (self.slope * f, torch.full_like(f, self.slope), torch.zeros_like(f))[order]


class Quadratic(nn.Module):
    """f_k(x) = x^T Q_k x / 2 + b_k . x + c_k on flattened inputs; affine where curved=False."""

    def __init__(self, shape: tuple[int, ...], outputs: int = 1, *, curved: bool = True, seed: int = 0) -> None:
        super().__init__()
        size, generator = int(torch.Size(shape).numel()), torch.Generator().manual_seed(seed)
        half = torch.randn(outputs, size, size, generator=generator, dtype=torch.float64) / size
        self.curvature = nn.Parameter((half + half.mT) * curved)
        self.slope = nn.Parameter(torch.randn(outputs, size, generator=generator, dtype=torch.float64))
        self.offset = nn.Parameter(torch.randn(outputs, generator=generator, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        return torch.einsum("nd,kde,ne->nk", flat, self.curvature, flat) / 2 + flat @ self.slope.T + self.offset


class TanhNetwork(nn.Module):
    """f(x) = V tanh(W x + b) + c on flattened inputs, float64, seeded."""

    def __init__(self, shape: tuple[int, ...], outputs: int = 1, *, hidden: int = 3, seed: int = 0) -> None:
        super().__init__()
        size, generator = int(torch.Size(shape).numel()), torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64))

        self.inner, self.bias = draw(hidden, size), draw(hidden)
        self.outer, self.offset = draw(outputs, hidden), draw(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x.flatten(1) @ self.inner.T + self.bias) @ self.outer.T + self.offset


def relu_network(seed: int) -> nn.Module:
    """Eight ReLU units on two inputs, float64, seeded."""
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1)).double()
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return network


LOSSES: tuple[Loss, ...] = (Logistic(), Squared(), Poisson(), SoftmaxCrossEntropy())


def inputs(samples: int, *shape: int, seed: int = 0) -> Tensor:
    """Float64 inputs (samples, *shape) whose mean is far from zero, different in every coordinate."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(size=(samples, *shape)) + rng.uniform(0.5, 1.5, size=shape))


def labels(loss: Loss, samples: int, outputs: int, seed: int = 0) -> Tensor:
    """Labels (samples, outputs) inside what the loss allows, none of them 0 or 1."""
    y = np.random.default_rng([seed, 1]).uniform(0.1, 0.9, size=(samples, outputs))
    return torch.from_numpy(y / y.sum(1, keepdims=True) if isinstance(loss, SoftmaxCrossEntropy) else y)


def assert_close(actual: object, expected: object, tolerance: object, what: str = "value") -> None:
    """|actual - expected| <= tolerance everywhere; the message says where it is worst, and by how much."""
    a, e, t = (torch.as_tensor(v, dtype=torch.float64).detach() for v in (actual, expected, tolerance))
    assert a.shape == e.shape, f"{what}: shape {tuple(a.shape)}, expected {tuple(e.shape)}"
    if a.numel() == 0:
        return
    excess = ((a - e).abs() - t).reshape(-1)
    worst = int(excess.nan_to_num(nan=torch.inf).argmax())
    where = tuple(int(i) for i in np.unravel_index(worst, tuple(a.shape))) if a.ndim else ()
    allowed = t.expand_as(a).reshape(-1)[worst]
    found, wanted = a.reshape(-1)[worst], e.reshape(-1)[worst]
    assert not (excess > 0).any() and not excess.isnan().any(), (
        f"{what} at {where}: {found:.17g}, expected {wanted:.17g}; off by {abs(found - wanted):.3g}, "
        f"allowed {allowed:.3g}"
    )
