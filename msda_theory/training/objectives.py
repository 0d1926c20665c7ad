"""Objectives as one trains with them: the exact MSDA loss of a data set, and its expansion.

Both are called with a model and return a 0-dim tensor that is differentiable in the model's parameters.  What does not
depend on the parameters (masks and weights, moments) is computed once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from msda_theory._model import outputs
from msda_theory._validation import require_data, require_kind
from msda_theory.augmentation import Augmentation
from msda_theory.exact import pair_loss
from msda_theory.expansions.moves import exact_moves
from msda_theory.expansions.routes import Route, route_for
from msda_theory.expansions.second_order import printed_moments, terms_of_moves
from msda_theory.losses import Loss


class ExactObjective:
    """L(theta) over all pairs of (x, y) and all masks, with `order` quadrature nodes between breaks."""

    def __init__(self, loss: Loss, x: Tensor, y: Tensor, augmentation: Augmentation, *, order: int = 16) -> None:
        require_kind("loss", loss, Loss)
        require_kind("augmentation", augmentation, Augmentation)
        require_data(x, y, augmentation.mask.shape)
        self.loss, self.x, self.y = loss, x, y
        self.table = augmentation.table(order).without_mirrored().to(x)

    def __call__(self, model: Callable[[Tensor], Tensor]) -> Tensor:
        labels = _labels(self.loss, model, self.x, self.y)
        return pair_loss(model, self.loss, self.x, labels, self.table).to(self.x.dtype)


class TaylorObjective:
    """L_m + R1 + R2 + R3 of (x, y), in the default form or as printed."""

    def __init__(
        self, loss: Loss, x: Tensor, y: Tensor, augmentation: Augmentation, *, as_printed: bool = False
    ) -> None:
        require_kind("loss", loss, Loss)
        require_kind("augmentation", augmentation, Augmentation)
        require_data(x, y, augmentation.mask.shape)
        self.loss, self.x, self.y = loss, x, y
        moments = printed_moments(augmentation) if as_printed else augmentation.seen()
        self.moves = exact_moves(moments, x, centred=as_printed)
        self._known: tuple[Callable[[Tensor], Tensor], Route] | None = None

    def __call__(self, model: Callable[[Tensor], Tensor]) -> Tensor:
        labels = _labels(self.loss, model, self.x, self.y)
        return terms_of_moves(model, self.loss, self.x, labels, self.moves, self._route(model, labels)).total

    def _route(self, model: Callable[[Tensor], Tensor], labels: Tensor) -> Route:
        """How the model is differentiated, found out at its first call."""
        if self._known is None or self._known[0] is not model:
            with torch.no_grad():
                f = outputs(model, self.x)
                residual, curvature = self.loss.h1(f) - labels, self.loss.h2(f)
                self._known = model, route_for(model, self.x, self.moves, residual, curvature)
        return self._known[1]


def _labels(loss: Loss, model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return loss.prepare(y, outputs(model, x))
