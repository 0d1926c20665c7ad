"""Checks that the bounds share: one output a sample, labels 0 and 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from msda_theory._model import OutputShapeError, outputs
from msda_theory._validation import require_data, require_eval_mode
from msda_theory.derivatives import jacobian
from msda_theory.losses import Logistic, Loss


@dataclass(frozen=True)
class Slopes:
    """Samples x (m, d), labels (m,), and the network there: outputs f (m,) and input gradients (m, d)."""

    x: Tensor
    y: Tensor
    f: Tensor
    gradient: Tensor


def slopes(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, loss: Loss) -> Slopes:
    f, labels = labelled_outputs(model, x, y, loss)
    return Slopes(x.flatten(1), labels, f, jacobian(model, x).squeeze(1))


def labelled_outputs(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
    """f (m,) and y (m,) of f's dtype, checked as `exact_loss` does, and for K = 1."""
    require_data(x, y, least=1)
    require_eval_mode(model)
    f = one_output(model, x)
    return f.squeeze(-1), loss.prepare(y, f).squeeze(-1)


def one_output(model: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """f (m, 1)."""
    f = outputs(model, x)
    if f.shape[1] != 1:
        raise OutputShapeError(f"model: it has {f.shape[1]} outputs a sample; the bound is for one, y in {{0, 1}}")
    return f


def binary_labels(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """f (m,) and labels (m,), each 0 or 1."""
    f, labels = labelled_outputs(model, x, y, Logistic())
    require_binary(labels)
    return f, labels


def require_binary(y: Tensor) -> None:
    odd = (y != 0) & (y != 1)
    if bool(odd.any()):
        at = int(odd.nonzero()[0])
        raise ValueError(f"y[{at}] = {float(y[at]):g}: needed are labels 0 and 1, one class or the other")
