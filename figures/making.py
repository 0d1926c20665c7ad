"""Figures made one after the other, or several side by side in processes of their own."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch

from figures.definition import Figure, Settings
from figures.files import write_figure


@dataclass(frozen=True)
class Made:
    """The files of a figure, or what was wrong; `seconds` is the time that it took."""

    id: str
    files: tuple[Path, ...]
    error: str
    seconds: float


def make(figure: Figure, settings: Settings, folder: Path) -> Made:
    """Write the figure; a training that diverges and data that cannot be read are told, not raised."""
    start = time.monotonic()
    try:
        files, error = tuple(write_figure(figure, settings, folder)), ""
    except (FloatingPointError, ValueError) as failure:
        files, error = (), str(failure)
    return Made(figure.id, files, error, time.monotonic() - start)


def make_all(plans: Sequence[tuple[Figure, Settings]], folder: Path, jobs: int) -> Iterator[Made]:
    """Each as it is finished, `jobs` at a time, one torch thread each, those that take long first."""
    if min(jobs, len(plans)) <= 1:
        yield from (make(figure, settings, folder) for figure, settings in plans)
        return
    pool = ProcessPoolExecutor(
        min(jobs, len(plans)), mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    )
    with pool:
        ordered = sorted(plans, key=lambda plan: -plan[0].seconds)
        futures = [pool.submit(partial(_make_quietly, figure.id, settings, folder)) for figure, settings in ordered]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _make_quietly(name: str, settings: Settings, folder: Path) -> Made:
    """In a process of its own, without a progress bar: several would write over each other."""
    from figures.registry import FIGURES

    with contextlib.redirect_stderr(io.StringIO()):
        return make(FIGURES[name], settings, folder)
