"""Second moments of masks as structured operators: v^T a v for a batch without the d x d matrix."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import reduce

import torch
from linear_operator.operators import LinearOperator
from torch import Tensor


class SecondMoment(LinearOperator):
    """a_jk = E[(1-M_j)(1-M_k)]: symmetric, d x d, applied without being formed; `to_dense()` forms it.

    A subclass gives `pixels` (d), the tensors that hold it (arguments of `__init__`), and `_apply`, its product with
    each row of a batch (..., d); `quadratic_form` where there is a faster way than the product.
    """

    @property
    @abstractmethod
    def pixels(self) -> int: ...

    @abstractmethod
    def _apply(self, v: Tensor) -> Tensor: ...

    def quadratic_form(self, v: Tensor) -> Tensor:
        """v^T a v = E[((1-M) . v)^2] for each row of a batch: (..., d) to (...), in the dtype of v.

        Raises ValueError where v is not floating or its last axis is not d.
        """
        if not v.is_floating_point() or v.shape[-1:] != (self.pixels,):
            raise ValueError(
                f"v has shape {tuple(v.shape)}, {v.dtype}; needed is a floating tensor (..., {self.pixels})"
            )
        return self._quadratic_form(v) if v.numel() else v.new_zeros(v.shape[:-1])

    def _quadratic_form(self, v: Tensor) -> Tensor:
        return (v * self._apply(v)).sum(-1)

    def _matmul(self, rhs: Tensor) -> Tensor:
        return self._apply(rhs) if rhs.ndim == 1 else self._apply(rhs.mT).mT

    def _size(self) -> torch.Size:
        return torch.Size((self.pixels, self.pixels))

    def _transpose_nonbatch(self) -> LinearOperator:
        return self


class StationaryMoment(SecondMoment):
    """a_jk = kernel[(j-k) mod (H, W)] on the torus: a convolution, by FFT.  kernel (H, W), even."""

    def __init__(self, kernel: Tensor) -> None:
        super().__init__(kernel)
        self.kernel = kernel

    @property
    def pixels(self) -> int:
        return self.kernel.numel()

    def _apply(self, v: Tensor) -> Tensor:
        shape = tuple(self.kernel.shape)
        spectrum = torch.fft.rfft2(self.kernel).real.to(v)
        images = torch.fft.rfft2(v.reshape(*v.shape[:-1], *shape))
        return torch.fft.irfft2(images * spectrum, s=shape).reshape(v.shape)


class UniformMoment(SecondMoment):
    """a_jk = value + variance [j = k]: Mixup, and the Bernoulli variant.  value, variance: 0-dimensional."""

    def __init__(self, value: Tensor, variance: Tensor, *, size: int) -> None:
        super().__init__(value, variance, size=size)
        self.value, self.variance, self.size_ = value, variance, size

    @property
    def pixels(self) -> int:
        return self.size_

    def _apply(self, v: Tensor) -> Tensor:
        return (self.value.to(v) * v.sum(-1, keepdim=True)).expand_as(v) + self.variance.to(v) * v

    def _quadratic_form(self, v: Tensor) -> Tensor:
        form = self.value.to(v) * v.sum(-1) ** 2
        return form + self.variance.to(v) * v.square().sum(-1) if self.variance != 0 else form


class MixedMoment(SecondMoment):
    """sum_k weights[k] moments[k]: what a mixture of laws has, or an average over the mixing ratio."""

    def __init__(self, weights: Tensor, *moments: SecondMoment) -> None:
        super().__init__(weights, *moments)
        self.weights, self.moments = weights, moments

    @classmethod
    def sum(cls, moments: Sequence[SecondMoment]) -> MixedMoment:
        return cls(torch.ones(len(moments), dtype=torch.float64), *moments)

    @property
    def pixels(self) -> int:
        return self.moments[0].pixels

    def _apply(self, v: Tensor) -> Tensor:
        return reduce(torch.add, (w * m._apply(v) for w, m in self._pairs(v)))

    def _quadratic_form(self, v: Tensor) -> Tensor:
        return reduce(torch.add, (w * m._quadratic_form(v) for w, m in self._pairs(v)))

    def _pairs(self, v: Tensor) -> zip[tuple[Tensor, SecondMoment]]:
        return zip(self.weights.to(v), self.moments, strict=True)


class OuterSum(SecondMoment):
    """u_j + u_k: the part of a second moment that is linear in the mean of the mask.  u (d,)."""

    def __init__(self, u: Tensor) -> None:
        super().__init__(u)
        self.u = u

    @property
    def pixels(self) -> int:
        return len(self.u)

    def _apply(self, v: Tensor) -> Tensor:
        u = self.u.to(v)
        return u * v.sum(-1, keepdim=True) + (v @ u).unsqueeze(-1)

    def _quadratic_form(self, v: Tensor) -> Tensor:
        return 2 * (v @ self.u.to(v)) * v.sum(-1)
