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
from msda_theory.expansions import printed_moments, taylor_terms
from msda_theory.losses import Loss


class ExactObjective:
    """L(theta) over all pairs of (x, y) and all masks, with `order` quadrature nodes between breaks."""

    def __init__(self, loss: Loss, x: Tensor, y: Tensor, augmentation: Augmentation, *, order: int = 16) -> None:
        require_kind("loss", loss, Loss)
        require_kind("augmentation", augmentation, Augmentation)
        require_data(x, y, augmentation.mask.shape)
        self.loss, self.x, self.y = loss, x, y
        self.table = augmentation.table(order).to(x)

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
        self.loss, self.x, self.y, self.centred = loss, x, y, as_printed
        self.moments = printed_moments(augmentation) if as_printed else augmentation.seen()

    def __call__(self, model: Callable[[Tensor], Tensor]) -> Tensor:
        labels = _labels(self.loss, model, self.x, self.y)
        return taylor_terms(model, self.loss, self.x, labels, self.moments, centred=self.centred).total


def _labels(loss: Loss, model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return loss.prepare(y, outputs(model, x))
