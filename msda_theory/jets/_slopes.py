"""First derivatives along directions, computed when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]
_widths: ContextVar[list[int] | None] = ContextVar("widths", default=None)


@contextmanager
def watched() -> Iterator[list[int]]:
    """How many numbers a sample and direction the slopes have that are computed meanwhile, shared ones aside."""
    widths: list[int] = []
    token = _widths.set(widths)
    try:
        yield widths
    finally:
        _widths.reset(token)


class Slopes:
    """(S, b, ...): derivatives along S directions, b = 1 where they are the same for every sample.

    A sum of second derivatives needs slopes only where an operation bends: those behind the last such operation are
    never computed.  Shared slopes keep what has been made of them, so that the first layers, up to where the samples
    part, are gone through once for all chunks of samples.
    """

    def __init__(self, compute: Callable[[], Tensor], *, shared: bool) -> None:
        self.shared = shared
        self._compute: Callable[[], Tensor] | None = compute
        self._found: Tensor | None = None
        self._kept: dict[Hashable, tuple[object, Slopes]] = {}

    @classmethod
    def of(cls, slopes: Tensor) -> Slopes:
        return cls(lambda: slopes, shared=slopes.shape[1] == 1)

    def get(self) -> Tensor:
        if self._found is None:
            assert self._compute is not None
            self._found, self._compute = self._compute(), None
            widths = _widths.get()
            if widths is not None and not self.shared:
                widths.append(self._found[0, 0].numel())
        return self._found

    def expanded(self, shape: torch.Size) -> Tensor:
        """For every sample of a value of that shape (m, ...): (S, m, ...)."""
        slopes = self.get()
        return slopes.expand(len(slopes), *shape)

    def then(self, g: Map, key: Hashable, owner: object = None) -> Slopes:
        """Their image under a linear map.

        `key` names the map, so that shared slopes give the same image again; `owner`, what the key refers to by its
        id, is kept alive with it.
        """
        if not self.shared:
            return Slopes(lambda: g(self.get()), shared=self.shared)
        if key not in self._kept:
            self._kept[key] = owner, Slopes(lambda: g(self.get()), shared=True)
        return self._kept[key][1]
