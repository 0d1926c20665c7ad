"""Operations whose own second derivatives in torch are wrong or missing, by their formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode


@contextmanager
def differentiable() -> Iterator[None]:
    """Inside, normalisation and attention have the second derivatives of their formulas."""
    with sdpa_kernel(SDPBackend.MATH), _Normalisations():
        yield


class _Normalisations(TorchFunctionMode):
    """Written out: torch's own give wrong second derivatives where forward mode is nested."""

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return WRITTEN_OUT.get(func, func)(*args, **(kwargs or {}))


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """torch.nn.functional.layer_norm, by its formula."""
    normalised = _standardised(input, list(range(-len(normalized_shape), 0)), eps)
    scaled = normalised if weight is None else normalised * weight
    return scaled if bias is None else scaled + bias


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """torch.nn.functional.instance_norm, by its formula; the running statistics are not updated."""
    axes = (1, -1, *[1] * (input.ndim - 2))
    if use_input_stats or running_mean is None or running_var is None:
        normalised = _standardised(input, list(range(2, input.ndim)), eps)
    else:
        normalised = (input - running_mean.reshape(axes)) * torch.rsqrt(running_var.reshape(axes) + eps)
    scaled = normalised if weight is None else normalised * weight.reshape(axes)
    return scaled if bias is None else scaled + bias.reshape(axes)


def _standardised(z: Tensor, axes: list[int], eps: float) -> Tensor:
    away = z - z.mean(axes, keepdim=True)
    return away * (away.square().mean(axes, keepdim=True) + eps).rsqrt()


WRITTEN_OUT: dict[Callable[..., Any], Callable[..., Any]] = {
    functional.layer_norm: layer_norm,
    torch.layer_norm: lambda z, shape, weight=None, bias=None, eps=1e-5, _=True: layer_norm(
        z, shape, weight, bias, eps
    ),
    functional.instance_norm: instance_norm,
}
