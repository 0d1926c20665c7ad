"""Losses of the class l(f, y) = h(f) - y . f, with h, h' and h'' in closed form.

(Zhang et al., eq. (2); Park et al., sec. 3.)  Outputs f are (n, K), K >= 1; labels y are (n, K) after
`prepare`.  h'' is a K x K matrix a sample.  What the papers call a loss can differ from this class by a function
of y alone: the squared loss here is f^2/2 - y f, that is (f-y)^2/2 less y^2/2.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from msda_theory._validation import require_finite


class Loss(ABC):
    """l(f, y) = h(f) - y . f for outputs f (n, K) and labels y (n, K)."""

    label_need = "finite numbers"

    @abstractmethod
    def h(self, f: Tensor) -> Tensor:
        """h(f), shape (n,)."""

    @abstractmethod
    def h1(self, f: Tensor) -> Tensor:
        """The gradient h'(f), shape (n, K)."""

    @abstractmethod
    def h2(self, f: Tensor) -> Tensor:
        """The Hessian h''(f), shape (n, K, K)."""

    def __call__(self, f: Tensor, y: Tensor) -> Tensor:
        return self.h(f) - (y * f).sum(-1)

    def prepare(self, y: Tensor, f: Tensor) -> Tensor:
        """Labels as (n, K) numbers of f's dtype and device, checked against the outputs f (n, K) and the loss."""
        require_finite("the model's outputs", f)
        given = self._as_matrix(y, f)
        labels = given.to(f)
        if labels.shape != f.shape:
            raise ValueError(
                f"the model's outputs have shape {tuple(f.shape)} and y {tuple(y.shape)}: {self!r} needs one "
                f"label an output"
            )
        require_finite("y", labels)
        if not self._allows(given):
            raise ValueError(f"y {self._described(given)}: {self!r} needs {self.label_need}")
        return labels

    def _as_matrix(self, y: Tensor, f: Tensor) -> Tensor:
        return y.unsqueeze(-1) if y.ndim == 1 else y

    def _allows(self, y: Tensor) -> bool:
        return True

    def _described(self, y: Tensor) -> str:
        return f"lies in [{float(y.min()):g}, {float(y.max()):g}]"

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ElementwiseLoss(Loss):
    """h(f) = sum_k h(f_k): one scalar loss an output, so h'' is diagonal."""

    @abstractmethod
    def scalar(self, f: Tensor, order: int) -> Tensor:
        """The derivative of order 0, 1 or 2 of the scalar h, elementwise."""

    def h(self, f: Tensor) -> Tensor:
        return self.scalar(f, 0).sum(-1)

    def h1(self, f: Tensor) -> Tensor:
        return self.scalar(f, 1)

    def h2(self, f: Tensor) -> Tensor:
        return torch.diag_embed(self.scalar(f, 2))


class Logistic(ElementwiseLoss):
    """h(f) = log(1 + e^f), h' = g, h'' = g(1-g) with g the logistic function; y in [0, 1]."""

    label_need = "labels in [0, 1]"

    def scalar(self, f: Tensor, order: int) -> Tensor:
        if order == 0:
            return functional.softplus(f, threshold=40.0)
        return torch.sigmoid(f) if order == 1 else torch.sigmoid(f) * torch.sigmoid(-f)

    def _allows(self, y: Tensor) -> bool:
        return bool(((y >= 0) & (y <= 1)).all())


class Squared(ElementwiseLoss):
    """h(f) = f^2/2, h' = f, h'' = 1; l = (f-y)^2/2 - y^2/2; any real y."""

    def scalar(self, f: Tensor, order: int) -> Tensor:
        return (f**2 / 2, f, torch.ones_like(f))[order]


class Poisson(ElementwiseLoss):
    """h(f) = e^f = h' = h''; y >= 0 (the negative log-likelihood of counts, less log y!)."""

    label_need = "labels >= 0"

    def scalar(self, f: Tensor, order: int) -> Tensor:
        return f.exp()

    def _allows(self, y: Tensor) -> bool:
        return bool((y >= 0).all())


class SoftmaxCrossEntropy(Loss):
    """h(f) = log sum_k e^(f_k), h' = p = softmax(f), h'' = diag(p) - p p^T.

    Labels: class indices (n,), one-hot or soft (n, K) rows that are non-negative and sum to one; K >= 2.
    """

    label_need = "class indices, or rows of non-negative numbers that sum to one"

    def h(self, f: Tensor) -> Tensor:
        return torch.logsumexp(f, -1)

    def h1(self, f: Tensor) -> Tensor:
        return torch.softmax(f, -1)

    def h2(self, f: Tensor) -> Tensor:
        """diag(p) - p p^T with p_k (1-p_k) as p_k sum_{l != k} p_l, which keeps its digits where p_k is near one."""
        p = torch.softmax(f, -1)
        products = p.unsqueeze(-1) * p.unsqueeze(-2)
        others = products - torch.diag_embed(p**2)
        return torch.diag_embed(others.sum(-1)) - others

    def _as_matrix(self, y: Tensor, f: Tensor) -> Tensor:
        classes = f.shape[-1]
        if classes < 2:
            raise ValueError(
                f"the model's outputs have shape {tuple(f.shape)}: {self!r} needs K >= 2 outputs a sample; "
                f"for one output use Logistic()"
            )
        if y.ndim != 1:
            return y
        if bool(((y < 0) | (y >= classes) | (y != y.floor())).any()):
            raise ValueError(
                f"y lies in [{float(y.min()):g}, {float(y.max()):g}]: as class indices it needs integers in "
                f"0..{classes - 1}"
            )
        return functional.one_hot(y.long(), classes)

    def _allows(self, y: Tensor) -> bool:
        slack = 8 * y.shape[-1] * torch.finfo(y.dtype).eps if y.is_floating_point() else 0
        return bool((y >= 0).all() and ((y.sum(-1) - 1).abs() <= slack).all())

    def _described(self, y: Tensor) -> str:
        sums = y.sum(-1)
        return f"{super()._described(y)}, its rows sum to {float(sums.min()):.9g} .. {float(sums.max()):.9g}"
