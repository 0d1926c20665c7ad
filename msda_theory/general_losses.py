"""Losses l(y, u) of any form, with their derivatives in the label y and the output u (Carratino et al., Theorem 3).

`msda_theory.losses` holds the class h(u) - y . u, linear in the label.  Here the label may enter in any way that is
twice differentiable: labels y (n, c), outputs u (n, K), and c need not be K.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, jacrev, vmap

from msda_theory._validation import require_finite, require_kind
from msda_theory.losses import Loss, SoftmaxCrossEntropy

PANELS, NODES = 64, 4
CHUNK_POINTS = 2**14
LARGEST_JUMP = 0.01


@dataclass(frozen=True)
class LossDerivatives:
    """l and its derivatives at n points: value (n,), y (n, c), u (n, K), yy (n, c, c), yu (n, c, K), uu (n, K, K)."""

    value: Tensor
    y: Tensor
    u: Tensor
    yy: Tensor
    yu: Tensor
    uu: Tensor


class GeneralLoss(ABC):
    """l(y, u) for labels y (n, c) and outputs u (n, K)."""

    @abstractmethod
    def __call__(self, y: Tensor, u: Tensor) -> Tensor:
        """l(y, u), shape (n,)."""

    @abstractmethod
    def derivatives(self, y: Tensor, u: Tensor) -> LossDerivatives:
        """Value, gradients and second derivatives."""

    def inverse_curvature(self, y: Tensor, u: Tensor) -> Tensor:
        """The Moore-Penrose inverse of the Hessian in u, (n, K, K)."""
        return torch.linalg.pinv(self.derivatives(y, u).uu, hermitian=True)

    def prepare(self, y: Tensor, u: Tensor) -> Tensor:
        """Labels as (n, c) finite numbers of u's dtype and device."""
        require_finite("the model's outputs", u)
        labels = (y.unsqueeze(-1) if y.ndim == 1 else y).to(u)
        if labels.ndim != 2 or len(labels) != len(u):
            raise ValueError(f"y has shape {tuple(y.shape)}: {self!r} needs ({len(u)},) or ({len(u)}, c)")
        require_finite("y", labels)
        return labels

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class SquaredError(GeneralLoss):
    """l = |u - y|^2 / 2: the curvatures are 1, 1 and -1.  (`losses.Squared` leaves out |y|^2 / 2.)"""

    def __call__(self, y: Tensor, u: Tensor) -> Tensor:
        return (u - y).square().sum(-1) / 2

    def derivatives(self, y: Tensor, u: Tensor) -> LossDerivatives:
        unit = torch.eye(u.shape[-1], dtype=u.dtype, device=u.device).expand(len(u), -1, -1)
        return LossDerivatives(self(y, u), y - u, u - y, unit, -unit, unit)

    def prepare(self, y: Tensor, u: Tensor) -> Tensor:
        labels = super().prepare(y, u)
        if labels.shape != u.shape:
            raise ValueError(
                f"the model's outputs have shape {tuple(u.shape)} and y {tuple(y.shape)}: {self!r} needs one label an "
                f"output"
            )
        return labels


class LinearInLabel(GeneralLoss):
    """l = h(u) - y . u for a `Loss` of the class: linear in the label, so nabla_yy l = 0 and nabla_yu l = -I."""

    def __init__(self, loss: Loss) -> None:
        require_kind("loss", loss, Loss)
        self.loss = loss

    def __call__(self, y: Tensor, u: Tensor) -> Tensor:
        return self.loss(u, y)

    def derivatives(self, y: Tensor, u: Tensor) -> LossDerivatives:
        unit = torch.eye(u.shape[-1], dtype=u.dtype, device=u.device).expand(len(u), -1, -1)
        uu = self.loss.h2(u)
        return LossDerivatives(self(y, u), -u, self.loss.h1(u) - y, torch.zeros_like(unit), -unit, uu)

    def prepare(self, y: Tensor, u: Tensor) -> Tensor:
        return self.loss.prepare(y, u)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.loss!r})"


class CrossEntropy(LinearInLabel):
    """l = log sum_k e^(u_k) - y . u, which is -sum_k y_k log S(u)_k for labels that sum to one, S the softmax.

    nabla_y l = -u, nabla_u l = S(u) - y, nabla_uu l = H(u) = diag(S) - S S^T.  H has no inverse, for H 1 = 0; its
    pseudo-inverse is P diag(1/S) P with P = I - 1 1^T / K.
    """

    def __init__(self) -> None:
        super().__init__(SoftmaxCrossEntropy())

    def inverse_curvature(self, y: Tensor, u: Tensor) -> Tensor:
        """P diag(1/S) P, which keeps its digits for a confident network, where H is zero to rounding."""
        inverse = torch.diag_embed(1 / torch.softmax(u, -1))
        inverse = inverse - inverse.mean(-1, keepdim=True)
        return inverse - inverse.mean(-2, keepdim=True)

    def __repr__(self) -> str:
        return "CrossEntropy()"


class AutogradLoss(GeneralLoss):
    """Any loss that torch can differentiate twice: `function(y, u)` for one sample, y (c,), u (K,), gives a number.

    Raises ValueError in `prepare` where the function is no such thing: torch refuses it, a derivative is not finite, or
    the derivatives do not add up to the change of the loss and of its gradient between samples, as for |u - y| or a
    hinge, whose second derivatives torch takes as zero.
    """

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        if not callable(function):
            raise TypeError(f"function is a {type(function).__name__}: needed is a callable of (y, u)")
        self.function = function

    def __call__(self, y: Tensor, u: Tensor) -> Tensor:
        return self._mapped(self.function, y, u)

    def derivatives(self, y: Tensor, u: Tensor) -> LossDerivatives:
        slopes = grad(self.function, argnums=(0, 1))  # backward twice: not every operation has a forward derivative
        y_gradient, u_gradient = self._mapped(slopes, y, u)
        (yy, yu), (_, uu) = self._mapped(jacrev(slopes, argnums=(0, 1)), y, u)
        return LossDerivatives(self(y, u), y_gradient, u_gradient, yy, yu, uu)

    def prepare(self, y: Tensor, u: Tensor) -> Tensor:
        labels = super().prepare(y, u)
        value = self._mapped(self.function, labels, u)
        if not isinstance(value, Tensor) or value.shape != (len(u),):
            raise ValueError(f"{self!r}: for one sample it returned another thing than one number (a 0-dim tensor)")
        self._require_smooth(labels, u)
        return labels

    def _mapped(self, function: Callable[..., object], *arguments: Tensor) -> Any:
        try:
            return vmap(function, chunk_size=CHUNK_POINTS)(*arguments)
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
            raise ValueError(
                f"{self!r}: torch cannot evaluate it, or differentiate it twice, a sample at a time; needed is a twice "
                f"differentiable function of y (c,) and u (K,).\ntorch said: {error}"
            ) from error

    def _require_smooth(self, y: Tensor, u: Tensor) -> None:
        """The derivatives, integrated from each sample to the next, must give the change of the loss and its slope."""
        start = torch.cat([y, u], -1)
        step = start.roll(-1, 0) - start
        times, weights = (v.to(u) for v in _panels())
        points = torch.cat([start.unsqueeze(0), start + times[:, None, None] * step])
        value, gradient, bend = self._mapped(
            lambda point, along: self._along(point, along, y.shape[-1]),
            points.flatten(0, 1),
            step.repeat(len(points), 1),
        )
        value, gradient, bend = (v.unflatten(0, (len(points), len(y))) for v in (value, gradient, bend))
        slope = (gradient * step).sum(-1)
        for name, at, rate in (("value", value, slope), ("gradient", gradient, bend)):
            change, found = at[0].roll(-1, 0) - at[0], torch.tensordot(weights, rate[1:], 1)
            gap, rounding = (change - found).abs().max(), torch.finfo(u.dtype).eps ** 0.5 * (1 + rate.abs().max())
            if not bool(gap <= LARGEST_JUMP * change.abs().max() + rounding):
                raise ValueError(
                    f"{self!r} has no derivatives that the theory can use: between two samples its {name} changes by "
                    f"{float(change.abs().max()):.3g}, and its derivatives account for all but {float(gap):.3g}; "
                    f"needed is a twice differentiable loss (softplus for a hinge, sqrt(1 + r^2) for |r|)"
                )

    def _along(self, point: Tensor, step: Tensor, labels: int) -> tuple[Tensor, Tensor, Tensor]:
        """Value, gradient, and the derivative of the gradient along `step`, at one point (y, u)."""

        def value(point: Tensor) -> Tensor:
            return self.function(point[:labels], point[labels:])

        return value(point), grad(value)(point), grad(lambda p: grad(value)(p) @ step)(point)

    def __repr__(self) -> str:
        return f"AutogradLoss({getattr(self.function, '__name__', type(self.function).__name__)})"


def as_general(loss: GeneralLoss | Loss) -> GeneralLoss:
    """A loss of the class h(u) - y . u as a `GeneralLoss`; any other as it is.  TypeError for what is no loss."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return CrossEntropy()
    if isinstance(loss, Loss):
        return LinearInLabel(loss)
    require_kind("loss", loss, GeneralLoss)
    return loss


def _panels() -> tuple[Tensor, Tensor]:
    """A composite Gauss rule on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    unit = (np.arange(PANELS)[:, None] + (nodes + 1) / 2) / PANELS
    return torch.from_numpy(unit.ravel()), torch.from_numpy(np.tile(weights / (2 * PANELS), PANELS))
