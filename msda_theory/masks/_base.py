"""What a mask law is: the conditional law of the mask M given the mixing ratio lambda."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from msda_theory._validation import require_ratio, require_shape
from msda_theory.masks._moments import MixedMoment, SecondMoment


class NotEnumerableError(ValueError):
    """The law has too many atoms, or none, for a complete enumeration."""


@dataclass(frozen=True)
class Atoms:
    """A finite law of masks: masks (K, *shape) with probabilities (K,), float64."""

    masks: Tensor
    probabilities: Tensor


class MaskLaw(ABC):
    """The law of M given lambda, for arrays of a `shape` (leading axes of the data, as channels, broadcast).

    The mixed input is M * x_i + (1-M) * x_j.  A law gives, at any ratio, `sample`, `mean`, `second_moment` and,
    where it is finite, its exact `atoms`.
    """

    #: ratios at which the law of M jumps, or where a new cell helps the quadrature; increasing, inside (0, 1)
    breaks: tuple[float, ...] = ()
    #: True where the law depends on the ratio only through the cell between two breaks that it lies in
    constant_between_breaks = False
    #: how many uniform numbers a mask `placed` takes
    uniforms = 0

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = require_shape(shape)

    @property
    def size(self) -> int:
        """The number d of coordinates (pixels)."""
        return int(np.prod(self.shape))

    @property
    def parts(self) -> tuple[tuple[float, MaskLaw], ...]:
        """(probability, law) pairs of which this law is the mixture; itself unless it is one."""
        return ((1.0, self),)

    def sample(self, ratio: Tensor, seed: int | np.random.Generator | None = None) -> Tensor:
        """One mask a ratio: ratio (n,) in [0, 1] to masks (n, *shape), of the ratio's dtype and device."""
        return self._sample(_ratios(ratio), np.random.default_rng(seed)).to(ratio)

    def placed(self, ratio: Tensor, uniform: Tensor, seed: int | np.random.Generator | None = None) -> Tensor:
        """One mask a ratio (n,), where uniform numbers (n, `uniforms`) in [0, 1) put it: masks (n, *shape).

        A law without `uniforms` draws its masks from the generator.
        """
        if uniform.shape != (len(ratio), self.uniforms):
            raise ValueError(f"uniform has shape {tuple(uniform.shape)}: needed is {(len(ratio), self.uniforms)}")
        return self._placed(_ratios(ratio), uniform.double().cpu(), np.random.default_rng(seed)).to(ratio)

    def _placed(self, ratio: Tensor, uniform: Tensor, rng: np.random.Generator) -> Tensor:
        return self._sample(ratio, rng)

    def mean(self, ratio: float) -> Tensor:
        """E[M | lambda], shape `shape`, float64."""
        require_ratio("ratio", ratio)
        return self._mean(float(ratio)).reshape(self.shape)

    def second_moment(self, ratio: float) -> SecondMoment:
        """The d x d operator a_jk = E[(1-M_j)(1-M_k) | lambda], Park et al., eq. (9).

        `.quadratic_form(v)` gives v^T a v for a batch (..., d) without the matrix, `.to_dense()` the matrix.
        """
        require_ratio("ratio", ratio)
        return self._second_moment(float(ratio))

    def atoms(self, ratio: float) -> Atoms:
        """All masks that occur at this ratio, with their probabilities.

        Raises NotEnumerableError where there are too many.
        """
        require_ratio("ratio", ratio)
        return self._atoms(float(ratio))

    def count(self, ratio: float) -> int:
        """How many masks `atoms` lists at this ratio, without listing them; NotEnumerableError where it has no list."""
        require_ratio("ratio", ratio)
        return self._count(float(ratio))

    def averaged_second_moment(self, ratio: np.ndarray, mass: np.ndarray) -> SecondMoment:
        """sum_k mass[k] a(ratio[k]): an average over the mixing ratio by the nodes (K,) and weights (K,) of a rule."""
        require_ratio("ratio", float(np.min(ratio)))
        require_ratio("ratio", float(np.max(ratio)))
        return self._averaged(ratio, mass)

    def _averaged(self, ratio: np.ndarray, mass: np.ndarray) -> SecondMoment:
        return MixedMoment(torch.from_numpy(mass), *(self._second_moment(float(value)) for value in ratio))

    @abstractmethod
    def _sample(self, ratio: Tensor, rng: np.random.Generator) -> Tensor: ...

    @abstractmethod
    def _mean(self, ratio: float) -> Tensor: ...

    @abstractmethod
    def _second_moment(self, ratio: float) -> SecondMoment: ...

    def _count(self, ratio: float) -> int:
        raise NotEnumerableError(f"{self!r} has no finite set of masks; use method='monte-carlo'")

    def _atoms(self, ratio: float) -> Atoms:
        raise NotEnumerableError(f"{self!r} has no finite set of masks; use method='monte-carlo'")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shape})"


def _ratios(ratio: Tensor) -> Tensor:
    """Ratios (n,) in [0, 1] in float64 on the processor."""
    if not (isinstance(ratio, Tensor) and ratio.is_floating_point() and ratio.ndim == 1):
        given = f"shape {tuple(ratio.shape)}, {ratio.dtype}" if isinstance(ratio, Tensor) else type(ratio).__name__
        raise TypeError(f"ratio ({given}): needed is a floating tensor (n,), one ratio a mask")
    values = ratio.detach().double().cpu()
    for value in (values.min(), values.max()) if len(values) else ():
        require_ratio("ratio", float(value))
    return values
