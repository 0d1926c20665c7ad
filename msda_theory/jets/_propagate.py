"""Through a network: its outputs, their derivatives along directions, and the sum of their second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from msda_theory._model import OutputShapeError
from msda_theory.jets._jet import Jet, JetRefusedError
from msda_theory.jets._slopes import Slopes
from msda_theory.jets._sweep import made


@dataclass(frozen=True)
class Propagated:
    """value (m, K), slopes (S, m, K), bend (m, K) = sum_s d^2/dt^2 f(x + t v_s); `at_once` directions go together"""

    jet: Jet
    at_once: int | None = None

    @property
    def value(self) -> Tensor:
        return self.jet.value

    @property
    def slopes(self) -> Tensor:
        """Made when they are asked for."""
        return made([self.jet.full_slopes], self.at_once)[0]

    @property
    def bend(self) -> Tensor:
        """Made when it is asked for."""
        return made([self.jet.full_bend], self.at_once)[0]

    @property
    def slopes_and_bend(self) -> tuple[Tensor, Tensor]:
        """Made together, which takes half the work."""
        slopes, bend = made([self.jet.full_slopes, self.jet.full_bend], self.at_once)
        return slopes, bend

    @property
    def straight(self) -> bool:
        """Whether no operation of the network bends: it is affine, or piecewise."""
        return self.jet.bend is None


def propagate(
    model: Callable[[Tensor], Tensor], x: Tensor, directions: Tensor | Slopes, at_once: int | None = None
) -> Propagated:
    """x (m, ...), directions (S, m or 1, ...)."""
    out: object = model(Jet.start(x, directions))  # type: ignore[arg-type]
    if not isinstance(out, Jet):
        raise JetRefusedError(f"its output is {type(out).__name__}, not one value that went through torch's functions")
    jet: Jet = out.unsqueeze(-1) if out.value.ndim == 1 else out
    if jet.value.ndim != 2 or len(jet.value) != len(x):
        raise OutputShapeError(f"the model gives outputs of shape {tuple(jet.value.shape)} for inputs {tuple(x.shape)}")
    return Propagated(jet, at_once)
