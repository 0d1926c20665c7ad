"""Activation functions with their first two derivatives: in closed form for the common ones, by torch for others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.func import jvp
from torch.nn import functional

Three = tuple[Tensor, Tensor, Tensor]


def derivatives(func: Callable[..., Tensor], name: str, z: Tensor, *args: Any, **kwargs: Any) -> Three:
    """g(z), g'(z), g''(z) of an elementwise function."""
    if name in CLOSED and not args and not kwargs:
        return CLOSED[name](z)
    ones = torch.ones_like(z)

    def slope(v: Tensor) -> Tensor:
        return jvp(lambda u: func(u, *args, **kwargs), (v,), (ones,))[1]

    with torch.enable_grad():  # without it torch's own derivative of some activations has no derivative
        first, second = _pair(jvp(slope, (z,), (ones,)))
    return func(z, *args, **kwargs), first, second


def _pair(both: Any) -> tuple[Tensor, Tensor]:
    first, second = both
    return first, second


def _tanh(z: Tensor) -> Three:
    t = torch.tanh(z)
    first = 1 - t * t
    return t, first, -2 * t * first


def _sigmoid(z: Tensor) -> Three:
    s = torch.sigmoid(z)
    first = s * (1 - s)
    return s, first, first * (1 - 2 * s)


def _softplus(z: Tensor) -> Three:
    s, first, _ = _sigmoid(z)
    return functional.softplus(z), s, first


def _silu(z: Tensor) -> Three:
    s, first, second = _sigmoid(z)
    return z * s, s + z * first, 2 * first + z * second


def _gelu(z: Tensor) -> Three:
    below = torch.special.ndtr(z)
    density = torch.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    return z * below, below + z * density, (2 - z * z) * density


CLOSED: dict[str, Callable[[Tensor], Three]] = {
    "tanh": _tanh,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
    "silu": _silu,
    "gelu": _gelu,
}
