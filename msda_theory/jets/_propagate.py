"""Through a network: its outputs, their derivatives along directions, and the sum of their second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from msda_theory._model import OutputShapeError
from msda_theory.jets._jet import Jet, JetRefusedError


@dataclass(frozen=True)
class Propagated:
    """value (m, K), slopes (S, m, K) and bend (m, K) = sum_s d^2/dt^2 f(x + t v_s)."""

    value: Tensor
    slopes: Tensor
    bend: Tensor


def propagate(model: Callable[[Tensor], Tensor], x: Tensor, directions: Tensor) -> Propagated:
    """x (m, ...), directions (S, m or 1, ...)."""
    out: object = model(Jet.start(x, directions))  # type: ignore[arg-type]
    if not isinstance(out, Jet):
        raise JetRefusedError(f"its output is {type(out).__name__}, not one value that went through torch's functions")
    value, parts = out.value, out.full_parts
    if value.ndim == 1:
        value, parts = value.unsqueeze(-1), parts.unsqueeze(-1)
    if value.ndim != 2 or len(value) != len(x):
        raise OutputShapeError(f"the model gives outputs of shape {tuple(value.shape)} for inputs {tuple(x.shape)}")
    return Propagated(value, parts[:-1], parts[-1])
