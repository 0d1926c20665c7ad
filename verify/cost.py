"""What a run takes: wall time, and the largest memory that the process, or the device, had in use."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch


@dataclass
class Cost:
    """seconds on the clock and of the processor, and bytes: the process's largest resident set since it began, or the
    most that torch held on the GPU.

    memory is None where the system does not say.
    """

    device: str = "cpu"
    seconds: float = 0.0
    processor_seconds: float = 0.0
    memory: int | None = None

    def __str__(self) -> str:
        memory = "" if self.memory is None else f", at most {self.memory / 2**30:.2f} GiB of memory"
        return f"took {self.seconds:.1f} s ({self.processor_seconds:.1f} s of processor) on {self.device}{memory}"


@contextmanager
def measured() -> Iterator[Cost]:
    """The cost of the block, complete when it ends; the block says on which device it computed."""
    cost, start, worked = Cost(), time.perf_counter(), time.process_time()
    yield cost
    if torch.device(cost.device).type == "cuda":
        torch.cuda.synchronize(cost.device)
        cost.memory = torch.cuda.max_memory_allocated(cost.device)
    else:
        cost.memory = _resident()
    cost.seconds, cost.processor_seconds = time.perf_counter() - start, time.process_time() - worked


def _resident() -> int | None:
    if sys.platform == "win32":
        return None
    import resource  # Unix alone has it

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
