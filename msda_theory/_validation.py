"""Checks of what a user hands in, made before any work is done; each error names argument, value and need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor, nn

_BATCH_DEPENDENT = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)


def require_kind(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        raise TypeError(f"{name} is {_described(value)}: needed is {article} {kind.__name__}")


def require_finite_positive(name: str, value: float) -> None:
    number = _number(name, value, "a finite number > 0")
    if not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name}={value!r}: needed is a finite number > 0")


def require_ratio(name: str, value: float) -> None:
    if not 0 <= _number(name, value, "a number in [0, 1]") <= 1:
        raise ValueError(f"{name}={value!r}: needed is a number in [0, 1]")


def require_at_least(name: str, value: int, least: int, reason: str) -> None:
    if not _is_integer(value) or value < least:
        raise ValueError(f"{name}={value!r}: needed is an integer >= {least}, {reason}")


def require_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r}: needed is one of {', '.join(map(repr, choices))}")


def require_shape(shape: Sequence[int], dimensions: int | None = None) -> tuple[int, ...]:
    need = "positive integers, as in (2,)" if dimensions is None else f"{dimensions} positive integers, as in (H, W)"
    if not isinstance(shape, Sequence):
        raise TypeError(f"shape={shape!r}: needed are {need}")
    given = tuple(shape)
    wrong_count = dimensions is not None and len(given) != dimensions
    if not given or wrong_count or any(not _is_integer(n) or n < 1 for n in given):
        raise ValueError(f"shape={given}: needed are {need}")
    return tuple(int(n) for n in given)


def require_finite(name: str, value: Tensor) -> None:
    bad = ~torch.isfinite(value)
    if bool(bad.any()):
        where = tuple(int(i) for i in bad.nonzero()[0])
        count, first = int(bad.sum()), value[where].item()
        entries = "entry that is" if count == 1 else "entries that are"
        raise ValueError(
            f"{name} has {count} {entries} NaN or inf, the first ({first}) at {where}: needed are finite numbers"
        )


def require_data(x: Tensor, y: Tensor, mask_shape: tuple[int, ...] | None = None, *, least: int = 2) -> None:
    """x is (m, ..., *mask_shape), or (m, ...) without a mask, floating, finite, m >= least; y has m rows and is finite.

    `least=1` where nothing is mixed.
    """
    for name, value in (("x", x), ("y", y)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} is {_described(value)}: needed is a torch.Tensor (torch.as_tensor makes one)")
    if not x.is_floating_point():
        raise TypeError(f"x has dtype {x.dtype}: needed is a floating dtype, as in x.double()")
    if mask_shape is None and x.ndim < 2:
        raise ValueError(f"x has shape {tuple(x.shape)}: needed is a batch (m, ...) of inputs with at least one axis")
    if mask_shape is not None and (x.ndim < 2 or x.shape[1:][-len(mask_shape) :] != mask_shape):
        raise ValueError(
            f"x has shape {tuple(x.shape)}, the mask mixes arrays of shape {mask_shape}: needed is a batch "
            f"(m, ..., {', '.join(map(str, mask_shape))})"
        )
    if len(x) < least:
        need = "mixing needs at least two" if least == 2 else f"needed is at least {least}"
        raise ValueError(f"x holds {len(x)} sample: {need}")
    if y.ndim == 0 or len(y) != len(x):
        raise ValueError(f"x holds {len(x)} samples and y has shape {tuple(y.shape)}: needed is one label a sample")
    require_finite("x", x)
    if y.is_floating_point():
        require_finite("y", y)


def require_eval_mode(model: object) -> None:
    """A network whose output for one sample depends on the batch, or on chance, has no per-sample derivatives."""
    if isinstance(model, nn.Module):
        for name, module in model.named_modules():
            if module.training and (isinstance(module, _BATCH_DEPENDENT) or _drops_out(module)):
                raise ValueError(
                    f"model: {type(module).__name__} {name!r} is in train mode, so f(x) depends on the batch or on "
                    f"chance; call model.eval() first"
                )


def _drops_out(module: nn.Module) -> bool:
    """Attention and recurrent layers drop out without a Dropout module; RReLU draws its slopes."""
    return isinstance(module, nn.RReLU) or (
        isinstance(module, (nn.MultiheadAttention, nn.RNNBase)) and module.dropout > 0
    )


def _is_integer(value: object) -> bool:
    """Also numpy's integers; not True and False."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def _number(name: str, value: object, need: str) -> float:
    try:
        if isinstance(value, (str, bytes)):
            raise TypeError
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"{name} is {_described(value)}: needed is {need}") from None


def _described(value: object) -> str:
    """What was given, short: a class by its name, a string or a number by its repr, the rest by its type."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return repr(value) if isinstance(value, (str, bytes, int, float, complex)) else f"a {type(value).__name__}"
