"""What a figure is: numbers that are computed, and a picture that is drawn from nothing but them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

Numbers = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """Seeds `seed`, ..., `seed + seeds - 1`, and the settings of each training run (verify.training_runs).

    `data` are the user's own data sets, "KIND:DIR" (figures.data_sets).
    """

    seeds: int = 5
    seed: int = 0
    iterations: int = 250
    samples: int = 50
    noise: float = 0.1
    step: float = 1.0
    records: int = 40
    order: int = 8
    data: tuple[str, ...] = ()

    @property
    def each_seed(self) -> range:
        return range(self.seed, self.seed + self.seeds)


@dataclass(frozen=True)
class Figure:
    """`compute` gives plain JSON numbers; `draw` makes the picture from what was written.

    A table has `markdown` as well, the same as text (figures.table).

    needs : what it is made of here; "" where it cannot be made without the user's data
    takes : the kinds of data set that `--data` may give it instead (figures.data_sets)
    seconds : how long it takes with the usual settings on one core, measured and rounded
    seeds : how many are usual for it, where not those of the settings
    """

    id: str
    title: str
    source: str
    compute: Callable[[Settings], Numbers]
    draw: Callable[[Numbers], Picture]
    markdown: Callable[[Numbers], str] | None = None
    needs: str = "generated points"
    takes: tuple[str, ...] = ()
    seconds: float = 0.0
    seeds: int | None = None
