"""Through a network: its outputs, their derivatives along directions, and the sum of their second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from msda_theory._model import OutputShapeError
from msda_theory.jets._jet import Jet, JetRefusedError
from msda_theory.jets._slopes import Slopes


@dataclass(frozen=True)
class Propagated:
    """value (m, K), slopes (S, m, K) and bend (m, K) = sum_s d^2/dt^2 f(x + t v_s)."""

    jet: Jet

    @property
    def value(self) -> Tensor:
        return self.jet.value

    @property
    def slopes(self) -> Tensor:
        """Computed when they are asked for."""
        return self.jet.full_slopes

    @property
    def bend(self) -> Tensor:
        return self.jet.full_bend


def propagate(model: Callable[[Tensor], Tensor], x: Tensor, directions: Tensor | Slopes) -> Propagated:
    """x (m, ...), directions (S, m or 1, ...)."""
    out: object = model(Jet.start(x, directions))  # type: ignore[arg-type]
    if not isinstance(out, Jet):
        raise JetRefusedError(f"its output is {type(out).__name__}, not one value that went through torch's functions")
    jet: Jet = out.unsqueeze(-1) if out.value.ndim == 1 else out
    if jet.value.ndim != 2 or len(jet.value) != len(x):
        raise OutputShapeError(f"the model gives outputs of shape {tuple(jet.value.shape)} for inputs {tuple(x.shape)}")
    return Propagated(jet)
