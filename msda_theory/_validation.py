"""Checks of what a user hands in, made before any work is done; each error names argument, value and need."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

_BATCH_DEPENDENT = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


def require_finite_positive(name: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name}={value!r}: needed is a finite number > 0")


def require_ratio(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value!r}: needed is a number in [0, 1]")


def require_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r}: needed is one of {', '.join(map(repr, choices))}")


def require_shape(shape: Sequence[int], dimensions: int | None = None) -> tuple[int, ...]:
    given = tuple(shape)
    wrong_count = dimensions is not None and len(given) != dimensions
    if not given or wrong_count or any(not isinstance(n, int) or n < 1 for n in given):
        need = "positive integers" if dimensions is None else f"{dimensions} positive integers, as in (H, W)"
        raise ValueError(f"shape={given}: needed are {need}")
    return given


def require_finite(name: str, value: Tensor) -> None:
    bad = ~torch.isfinite(value)
    if bool(bad.any()):
        where = tuple(int(i) for i in bad.nonzero()[0])
        raise ValueError(f"{name} has {int(bad.sum())} entries that are NaN or inf, the first at {where}")


def require_data(x: Tensor, y: Tensor, mask_shape: tuple[int, ...]) -> None:
    """x is (m, ..., *mask_shape), floating, finite, m >= 2; y has m rows and is finite."""
    for name, value in (("x", x), ("y", y)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} is a {type(value).__name__}: needed is a torch.Tensor (torch.as_tensor makes one)")
    if not x.is_floating_point():
        raise TypeError(f"x has dtype {x.dtype}: needed is a floating dtype, as in x.double()")
    if x.ndim < 2 or x.shape[1:][-len(mask_shape) :] != mask_shape:
        raise ValueError(
            f"x has shape {tuple(x.shape)}, the mask mixes arrays of shape {mask_shape}: needed is a batch "
            f"(m, ..., {', '.join(map(str, mask_shape))})"
        )
    if len(x) < 2:
        raise ValueError(f"x holds {len(x)} sample: mixing needs at least two")
    if len(y) != len(x):
        raise ValueError(f"x holds {len(x)} samples and y {len(y)}: needed is one label a sample")
    require_finite("x", x)
    if y.is_floating_point():
        require_finite("y", y)


def require_eval_mode(model: object) -> None:
    """A network whose output for one sample depends on the batch, or on chance, has no per-sample derivatives."""
    if isinstance(model, nn.Module):
        for name, module in model.named_modules():
            if module.training and isinstance(module, _BATCH_DEPENDENT):
                raise ValueError(
                    f"model: {type(module).__name__} {name!r} is in train mode, so f(x) depends on the batch or on "
                    f"chance; call model.eval() first"
                )
