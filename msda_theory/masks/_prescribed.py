"""A Gaussian mask with a prescribed second moment  (Park et al., Theorem 2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from linear_operator.operators import LinearOperator, to_linear_operator
from torch import Tensor

from msda_theory.masks._base import Atoms, MaskLaw, NotEnumerableError
from msda_theory.masks._moments import SecondMoment
from msda_theory.masks._roots import IndefiniteError, Root, covariance_root, rounding


class OperatorMoment(SecondMoment):
    """A second moment that is given as any symmetric d x d operator."""

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator)
        self.operator = operator

    @property
    def pixels(self) -> int:
        return self.operator.shape[-1]

    def _apply(self, v: Tensor) -> Tensor:
        rows = v.reshape(-1, self.pixels).to(self.operator.dtype)
        return (self.operator @ rows.mT).mT.reshape(v.shape).to(v)


class Gaussian(MaskLaw):
    """M = lambda 1 + K^{1/2} Z, Z standard normal, K = A(lambda) - (1-lambda)^2 1 1^T, for any A with K >= 0.

    E[M] = lambda 1 and E[(1-M_j)(1-M_k)] = A_jk.  (The paper prints M = 1-lambda + K^{1/2} Z, whose second moment is
    A + (2 lambda - 1) 1 1^T.)  Among real-valued masks of mean lambda, those A with K >= 0 are all there are.

    The masks are not confined to [0, 1]: a mixed image may leave the range of its two.

    second_moment : maps a ratio to A, a symmetric (d, d) tensor or LinearOperator; `CutMix(...).second_moment` is one.
        Masks are drawn without a d x d root where A is stationary (by FFT), or a Kronecker product of the two axes
        plus a multiple of 1 and low rank, as are the second moments of this package; else d is at most 4096.

    Raises ValueError, on the first use of a ratio, where A has another shape, is not symmetric or finite, or where K
    has a negative eigenvalue.
    """

    def __init__(self, shape: Sequence[int], second_moment: Callable[[float], Tensor | LinearOperator]) -> None:
        super().__init__(shape)
        if not callable(second_moment):
            raise TypeError(
                f"second_moment is a {type(second_moment).__name__}: needed is a function that maps a ratio to a "
                f"symmetric ({self.size}, {self.size}) tensor or LinearOperator"
            )
        self.prescribed = second_moment
        self._kept: tuple[float, SecondMoment, Root] | None = None

    def _mean(self, ratio: float) -> Tensor:
        return torch.full((self.size,), ratio, dtype=torch.float64)

    def _second_moment(self, ratio: float) -> SecondMoment:
        return self._at(ratio)[0]

    def _count(self, ratio: float) -> int:
        raise self._continuum()

    def _atoms(self, ratio: float) -> Atoms:
        raise self._continuum()

    def _continuum(self) -> NotEnumerableError:
        return NotEnumerableError(f"{self!r} has a continuum of masks; use method='monte-carlo'")

    def _sample(self, ratio: Tensor, rng: np.random.Generator) -> Tensor:
        noise = torch.from_numpy(rng.standard_normal((len(ratio), self.size)))
        masks = torch.empty_like(noise)
        for value in torch.unique(ratio).tolist():
            here = ratio == value
            masks[here] = value + self._at(value)[1](noise[here])
        return masks.reshape(-1, *self.shape)

    def _at(self, ratio: float) -> tuple[SecondMoment, Root]:
        """The second moment and the root of the covariance, kept for the next call at this ratio."""
        if self._kept is None or self._kept[0] != ratio:
            moment = self._require_moment(ratio)
            try:
                root = covariance_root(moment.operator if isinstance(moment, OperatorMoment) else moment, 1 - ratio)
            except IndefiniteError as found:
                raise ValueError(
                    f"second_moment({ratio!r}) is A with {found} in A - (1-ratio)^2 1 1^T: needed is a nonnegative "
                    f"definite one, else no real-valued mask of mean ratio has the second moment A"
                ) from None
            self._kept = ratio, moment, root
        return self._kept[1:]

    def _require_moment(self, ratio: float) -> SecondMoment:
        given, need = self.prescribed(ratio), f"a symmetric ({self.size}, {self.size}) tensor or LinearOperator"
        if not isinstance(given, Tensor | LinearOperator):
            raise TypeError(f"second_moment({ratio!r}) is a {type(given).__name__}: needed is {need}")
        if given.shape != (self.size, self.size) or not given.dtype.is_floating_point:
            raise ValueError(
                f"second_moment({ratio!r}) has shape {tuple(given.shape)}, {given.dtype}: needed is {need}"
            )
        moment = given if isinstance(given, SecondMoment) else OperatorMoment(to_linear_operator(given))
        gap, allowed = _asymmetry(moment)
        if not gap <= allowed:
            found = f"not symmetric (u^T A v - v^T A u = {gap:.3g})" if math.isfinite(gap) else "not finite"
            raise ValueError(f"second_moment({ratio!r}) is {found}: needed is {need}")
        return moment

    def __repr__(self) -> str:
        return f"Gaussian({self.shape}, {getattr(self.prescribed, '__qualname__', repr(self.prescribed))})"


def _asymmetry(moment: SecondMoment) -> tuple[float, float]:
    """|u^T A v - v^T A u| for two fixed random u, v, zero for almost all of them only if A = A^T; and its rounding."""
    u, v = np.random.default_rng(0).standard_normal((2, moment.pixels))
    probes = torch.from_numpy(np.stack([u, v]))
    left, right = moment._apply(probes)
    gap = abs(float(probes[1] @ left - probes[0] @ right))
    size = float(probes[1].norm() * left.norm() + probes[0].norm() * right.norm())
    return gap, rounding(size, moment.pixels, moment.dtype)
