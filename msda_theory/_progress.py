"""A progress bar for what takes longer than two seconds; none where the output is not a terminal."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress

T = TypeVar("T")
PATIENCE = 2.0
CONSOLE = Console(stderr=True)  # one for all, so that a bar inside another is shown below it


def track(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """The items, with a bar on standard error once two seconds have passed; `total` of them, if they have no length."""
    start, bar = time.monotonic(), None
    try:
        for done, item in enumerate(items):
            if bar is None and time.monotonic() - start > PATIENCE and CONSOLE.is_terminal:
                bar = Progress(console=CONSOLE, transient=True)
                bar.start()
                task = bar.add_task(description, total=len(items) if isinstance(items, Collection) else total)
            if bar is not None:
                bar.update(task, completed=done)
            yield item
    finally:
        if bar is not None:
            bar.stop()
