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
    """Seeds `seed`, ..., `seed + seeds - 1`, and the settings of each training run (verify.training_runs)."""

    seeds: int = 5
    seed: int = 0
    iterations: int = 250
    samples: int = 50
    noise: float = 0.1
    step: float = 1.0
    records: int = 40
    order: int = 8


@dataclass(frozen=True)
class Figure:
    """`compute` gives plain JSON numbers; `draw` makes the picture from what was written."""

    id: str
    title: str
    source: str
    compute: Callable[[Settings], Numbers]
    draw: Callable[[Numbers], Picture]
