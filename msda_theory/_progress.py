"""A progress bar for what takes longer than two seconds; none where the output is not a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

T = TypeVar("T")
PATIENCE = 2.0


def track(items: Sequence[T], description: str) -> Iterator[T]:
    """The items, with a bar on standard error once two seconds have passed."""
    console, start, bar = Console(stderr=True), time.monotonic(), None
    try:
        for done, item in enumerate(items):
            if bar is None and console.is_terminal and time.monotonic() - start > PATIENCE:
                bar = Progress(console=console, transient=True)
                bar.start()
                task = bar.add_task(description, total=len(items))
            if bar is not None:
                bar.update(task, completed=done)
            yield item
    finally:
        if bar is not None:
            bar.stop()
