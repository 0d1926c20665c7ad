"""Derivatives along directions as recipes: of what they are made and how; `_sweep` makes them, some directions a time.

A sum of second derivatives needs slopes only where an operation bends: those behind the last such operation are never
made.  Shared slopes are kept, so that the first layers, up to where the samples part, are gone through once for all
chunks of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import count
from typing import Literal
from weakref import ref

from torch import Tensor

Map = Callable[..., Tensor]
#: rows that are added up one by one
FEW = 4
_numbers = count()


class Recipe:
    """A tensor that `make` makes from those of the parents.

    number : rises from parents to children
    kept : the tensor, where it is made once and for all
    """

    def __init__(self, make: Map, parents: tuple[Recipe, ...]) -> None:
        self.make, self.parents, self.number = make, parents, next(_numbers)
        self.kept: Tensor | None = None

    def keep(self, tensor: Tensor) -> None:
        """For good; without its parents, which know it: both would live until Python looks for cycles."""
        self.kept, self.parents = tensor, ()


class Slopes(Recipe):
    """(S, b, ...): derivatives along S directions, b = 1 where they are the same for every sample (shared).

    `make` takes the parents' slopes along a group of the directions to its own along these.  `zeros`: what becomes of
    zeros at the start of the last axis, which may then be left out: they "stay", or "end"; None where they may not.
    """

    def __init__(
        self,
        make: Map,
        parents: tuple[Slopes, ...],
        *,
        shared: bool = False,
        zeros: Literal["stay", "end"] | None = None,
    ) -> None:
        super().__init__(make, parents)
        self.shared, self.zeros = shared, zeros
        self.turned: tuple[Tensor, Tensor] | None = None
        self._images: dict[Hashable, tuple[object, Slopes]] = {}
        self._squares: Callable[[], Total | None] = lambda: None

    @classmethod
    def of(cls, slopes: Tensor) -> Slopes:
        given = cls(lambda: slopes, (), shared=slopes.shape[1] == 1)
        given.keep(slopes)
        return given

    def then(self, g: Map, key: Hashable, owner: object = None, *, zeros: Literal["end"] | None = None) -> Slopes:
        """Their image under a linear map.

        `key` names the map, so that shared slopes give the same image again; `owner`, what the key refers to by its
        id, is kept alive with it.
        """
        if not self.shared:
            return Slopes(g, (self,), zeros=zeros)
        if key not in self._images:
            self._images[key] = owner, Slopes(g, (self,), shared=True)
        return self._images[key][1]

    def times(self, factor: Tensor) -> Slopes:
        """Each sample's times its own factor (m, ...)."""
        return Slopes(lambda v: v * last(factor, v), (self,), zeros="stay")

    def squares(self) -> Total:
        """The sum of their squares over the directions, (b, ...); the same again, while it is in use or kept."""
        squares = self._squares()
        if squares is None:
            squares = Squares(self)
            self._squares = (lambda: squares) if self.shared else ref(squares)
        return squares


class Total(Recipe):
    """A sum over directions: `make` takes the parents' slopes along a group of them to its part."""

    def __init__(self, make: Map, parents: tuple[Slopes, ...]) -> None:
        super().__init__(make, parents)
        self.shared = all(slopes.shared for slopes in parents)

    def added_to(self, sum_so_far: Tensor, *slopes: Tensor) -> Tensor:
        """With the part of another group, in place."""
        return sum_so_far.add_(self.make(*slopes))


class Squares(Total):
    """The sum of the squares of slopes; few and large rows are added without their squares beside them."""

    def __init__(self, of: Slopes) -> None:
        super().__init__(sum_of_squares, (of,))

    def added_to(self, sum_so_far: Tensor, *slopes: Tensor) -> Tensor:
        (v,) = slopes
        return _with_squares(sum_so_far, v) if len(v) <= FEW else super().added_to(sum_so_far, v)


def sum_of_squares(v: Tensor) -> Tensor:
    """Over the first axis."""
    return _with_squares(v[0].square(), v[1:]) if 0 < len(v) <= FEW else v.square().sum(0)


def _with_squares(sum_so_far: Tensor, rows: Tensor) -> Tensor:
    for row in rows.unbind():
        sum_so_far.addcmul_(row, row)
    return sum_so_far


def last(t: Tensor, v: Tensor) -> Tensor:
    """The entries of t on the last axis that v has there: v may lack zeros at the start."""
    length = v.shape[-1]
    return t if v.ndim < 3 or length == t.shape[-1] else t[..., -length:]


class Bend(Recipe):
    """(m, ...) or (1, ...), made of totals and other bends."""

    def then(self, g: Map) -> Bend:
        """Its image under a linear map."""
        return Bend(g, (self,))
