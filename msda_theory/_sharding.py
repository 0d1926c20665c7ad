"""Long sums in parts, that several processes can share and a later run can take up.

    in_parts("exact loss", make, parts)  =  the rows make(part), float64, in the order of the parts

An ordinary process makes every part itself.  Inside `sharing(team)` each is made by one process of the team, and all
rows come to all processes.  How a sum is cut, and what is drawn for a part, must not depend on the team: then nor does
the result, to rounding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from msda_theory._progress import track

T = TypeVar("T")
#: the row of each part that is made
Rows = dict[int, list[float]]
#: seconds between two meetings of a team, where rows are exchanged and kept and what is left is dealt out anew
ROUND = 5.0


@dataclass
class PartialSum:
    """A sum of so many parts, and the rows that are made."""

    what: str
    parts: int
    rows: Rows = field(default_factory=dict)

    def require_same(self, other: PartialSum, where: str) -> None:
        if (self.what, self.parts) != (other.what, other.parts):
            raise ValueError(
                f"the next sum is {self.what!r} in {self.parts} parts, and {other.what!r} in {other.parts} {where}: "
                f"needed are the sums of one run"
            )


@dataclass
class Team:
    """`size` processes, all of which make the same sums in the same order; this is the one of number `rank`.

    gather : from a value of this process to those of all, in the order of their ranks; waits for all
    sums : what an earlier run has kept, then also what this one makes
    keep : is given `sums` after every round
    """

    rank: int = 0
    size: int = 1
    gather: Callable[[Any], list[Any]] = lambda own: [own]
    sums: list[PartialSum] = field(default_factory=list)
    keep: Callable[[list[PartialSum]], None] = lambda sums: None
    begun: int = 0

    def rows(self, what: str, make: Callable[[T], Tensor], parts: Sequence[T]) -> Tensor:
        now = self._next(what, len(parts))
        for _ in track(self._rounds(make, parts, now), what, len(parts)):
            pass
        return torch.tensor([now.rows[k] for k in range(len(parts))], dtype=torch.float64)

    def _next(self, what: str, parts: int) -> PartialSum:
        if self.begun == len(self.sums):
            self.sums.append(PartialSum(what, parts))
        found = self.sums[self.begun]
        self.begun += 1
        PartialSum(what, parts).require_same(found, "was kept")
        return found

    def _rounds(self, make: Callable[[T], Tensor], parts: Sequence[T], now: PartialSum) -> Iterator[int]:
        """Fills the rows of a sum from all processes until they are complete, and yields every new one."""
        rows = now.rows
        yield from list(rows)
        while left := [k for k in range(len(parts)) if k not in rows]:
            own: Rows = {}
            start = time.monotonic()
            for k in left[self.rank :: self.size]:
                own[k] = make(parts[k]).double().tolist()
                yield k
                if time.monotonic() - start > ROUND:
                    break
            for made in self.gather(PartialSum(now.what, now.parts, own)):
                now.require_same(made, "is made by another process")
                rows.update(made.rows)
                yield from made.rows.keys() - own.keys()
            self.keep(self.sums)


_TEAM: ContextVar[Team | None] = ContextVar("team", default=None)


def team() -> Team | None:
    """The team of this process; None where it works alone and nothing is kept."""
    return _TEAM.get()


@contextmanager
def sharing(team: Team) -> Iterator[None]:
    """Inside, `in_parts` is done by this team; every process of it runs the same code."""
    token = _TEAM.set(team)
    try:
        yield
    finally:
        _TEAM.reset(token)


def total(values: Sequence[float]) -> float:
    """Their sum rounded once, the same on every machine and in any order; inf or nan where it is not finite."""
    plain = sum(values)
    return math.fsum(values) if math.isfinite(plain) else plain


def in_parts(what: str, make: Callable[[T], Tensor], parts: Sequence[T]) -> Tensor:
    """make(part), numbers (c,), for each of the parts: (len(parts), c), float64, on the CPU where a team made them.

    `what` is the text of the progress bar.  Where gradients are recorded, every process makes all parts itself.
    """
    shared = _TEAM.get()
    if shared is None or torch.is_grad_enabled():
        return torch.stack([make(part).double() for part in track(parts, what)])
    return shared.rows(what, make, parts)
