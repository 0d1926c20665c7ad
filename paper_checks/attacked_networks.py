"""Linear models and networks of one hidden layer: their parameters, a batch of them on data, and one as a module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from paper_checks.attacked_cases import Cases, linear, relu


def shapes(hidden: int, size: int, *, biased: bool = False) -> tuple[tuple[int, ...], ...]:
    """Of the parameters on inputs of `size` numbers, in the order of `linear` (hidden = 0) and `relu`."""
    if hidden:
        return ((hidden, size), (hidden,), *(((1, hidden), (1,)) if biased else ()))
    return ((size,), *(((1,),) if biased else ()))


def count(of: tuple[tuple[int, ...], ...]) -> int:
    return sum(torch.Size(shape).numel() for shape in of)


def on_data(x: Tensor, parts: list[Tensor], leak: float = 0.0) -> Cases:
    """x (b, m, d), and each part with the axis b in front of its shape."""
    return relu(x, *parts, leak=leak) if parts[0].ndim == 3 else linear(x, *parts)


def module(parts: list[Tensor], leak: float = 0.0) -> nn.Module:
    """One network, its parts without the axis b, as the library takes it: x (m, ...) to (m, 1)."""
    if parts[0].ndim == 1:
        return nn.Sequential(nn.Flatten(), _layer(*parts))
    inner, outer, *biases = parts
    bias, offset = biases or (None, None)
    return nn.Sequential(nn.Flatten(), _layer(inner, bias), nn.LeakyReLU(leak), _layer(outer, offset))


def _layer(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """weight (out, in), or (in,) for one output."""
    weight = weight.reshape(-1, weight.shape[-1])
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype).requires_grad_(False)
    layer.weight.copy_(weight)
    if bias is not None:
        layer.bias.copy_(bias.flatten())
    return layer
