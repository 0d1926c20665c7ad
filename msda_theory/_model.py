"""Calling a model: outputs as (n, K), and what to do where torch's function transforms refuse it."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


class OutputShapeError(ValueError):
    """The model returned something else than one row an input."""


def outputs(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """model(x) for x (n, ...) as (n, K); an output (n,) counts as K = 1.  A model that writes in place gets a copy."""
    f = model(x.clone())
    if not isinstance(f, Tensor) or f.ndim not in (1, 2) or len(f) != len(x):
        given = tuple(f.shape) if isinstance(f, Tensor) else type(f).__name__
        raise OutputShapeError(
            f"model: for inputs of shape {tuple(x.shape)} it returned {given}; needed is a tensor ({len(x)},) or "
            f"({len(x)}, K)"
        )
    return f.unsqueeze(-1) if f.ndim == 1 else f
