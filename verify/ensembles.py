"""Several networks side by side, one a seed: evaluated, differentiated and trained together."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Moment:
    """What was measured at one time of every run: outputs (s, n), input gradients (s, n, d)."""

    output: Tensor
    gradient: Tensor

    def cosines(self, x: Tensor) -> Tensor:
        """cos(grad f(x_i), x_i), with its sign, 0 where the gradient is: (s, n)."""
        return torch.cosine_similarity(self.gradient, x, dim=-1, eps=torch.finfo(x.dtype).tiny)

    def updated(self, runs: Tensor, now: Moment) -> Moment:
        """This, but what is measured now for the `runs` (s,) that are True."""
        parts = ((self.output, now.output), (self.gradient, now.gradient))
        return Moment(*(chosen(runs, new, old) for old, new in parts))


class Networks:
    """One ReLU network a seed, evaluated together: x (s, n, d) to outputs (s, n).  Without hidden layers it is linear.

    PyTorch's initialisation, float64 unless given.  `parameters` are the weights (s, width, next width) and biases
    (s, 1, next width) of all networks, which any optimiser that works on single numbers (SGD, Adam) trains as if they
    were apart.
    """

    def __init__(
        self,
        size: int,
        hidden: Sequence[int],
        biases: bool,
        seeds: Sequence[int],
        *,
        width: int = 1,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        each = [_layers((size, *hidden, width), biases, seed, dtype) for seed in seeds]
        self.layers = [_stacked(layers, biases) for layers in zip(*each, strict=True)]
        self.parameters = [parameter for layer in self.layers for parameter in layer]

    def __call__(self, x: Tensor) -> Tensor:
        return self.rows(x).squeeze(-1)

    def rows(self, x: Tensor, runs: slice = slice(None)) -> Tensor:
        """All `width` outputs (s, n, width), of some of the networks if wanted."""
        for k, (weight, *bias) in enumerate(self.layers):
            x = x.relu() if k else x
            x = torch.baddbmm(bias[0][runs], x, weight[runs]) if bias else torch.bmm(x, weight[runs])
        return x

    def measure(self, x: Tensor) -> Moment:
        at = x.clone().requires_grad_()
        output = self(at)
        (gradient,) = torch.autograd.grad(output.sum(), at)
        return Moment(output.detach(), gradient)


def _layers(widths: Sequence[int], biases: bool, seed: int, dtype: torch.dtype) -> list[nn.Linear]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return [nn.Linear(*pair, bias=biases, dtype=dtype) for pair in itertools.pairwise(widths)]


def _stacked(layers: Sequence[nn.Linear], biases: bool) -> list[Tensor]:
    weight = torch.stack([layer.weight.detach().T for layer in layers]).requires_grad_()
    if not biases:
        return [weight]
    return [weight, torch.stack([layer.bias.detach() for layer in layers]).unsqueeze(1).requires_grad_()]


def chosen(runs: Tensor, then: Tensor, otherwise: Tensor) -> Tensor:
    """By run: `then` where `runs` (s,) is True."""
    return torch.where(runs.reshape(-1, *[1] * (then.ndim - 1)), then, otherwise)
