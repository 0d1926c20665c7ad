"""`torchrun --nproc-per-node N -m verify`: the processes that share the sums of one run, on one machine or on many.

All of them run the same command on the same data; long sums are dealt out among them (`msda_theory._sharding`).  The
first one alone prints and writes.  torch.distributed carries their rows, by gloo; the network goes from the first to
the others by nccl where each process has a GPU of its own.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import nn

from msda_theory._sharding import Team, sharing, team

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

#: how long a process waits for the others; longer than a part of a sum takes, and than they may differ in speed
TIMEOUT = timedelta(minutes=30)
#: how long a process that failed waits for the first one to fail too, which then says why
GRACE = timedelta(seconds=3)
FAILED = "verify: the first process failed"


class LostProcessError(ConnectionError):
    """Another process of the run ended, or did not answer in time."""


def launched() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_first() -> bool:
    """Whether this process prints and writes: the only one, or the first of the run."""
    together = team()
    return together is None or together.rank == 0


def run(command: Callable[[], int]) -> int:
    """The exit code of the command as one process of the run; the others' output is dropped, but for their errors."""
    store = _start()
    rank, size, said = dist.get_rank(), dist.get_world_size(), io.StringIO()
    with ExitStack() as stack:
        if rank > 0:
            stack.enter_context(redirect_stdout(io.StringIO()))
            stack.enter_context(redirect_stderr(said))
        stack.enter_context(sharing(Team(rank, size, _gather)))
        code = _exit_code(command)
        sys.stdout.flush()  # once one process has ended in an error, torchrun ends the others at once
    if code == 0:
        dist.destroy_process_group()
    elif rank == 0:
        store.set(FAILED, "")
    elif not _has(store, FAILED):
        print(f"process {rank} of {size}:\n{said.getvalue()}", file=sys.stderr, flush=True)
    return code


def _start() -> Store:
    if not (dist.is_available() and dist.is_gloo_available()):
        raise RuntimeError("this torch was built without gloo: needed is one with it, or a run without torchrun")
    from torch.distributed.rendezvous import rendezvous  # a torch without gloo lacks it

    backend = "gloo"
    if torch.cuda.is_available():
        gpus = torch.cuda.device_count()
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % gpus)
        if int(os.environ["LOCAL_WORLD_SIZE"]) <= gpus and dist.is_nccl_available():
            backend = "cpu:gloo,cuda:nccl"
    store, rank, size = next(rendezvous("env://", timeout=TIMEOUT))
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    return store


def _exit_code(command: Callable[[], int]) -> int:
    try:
        return command()
    except SystemExit as stop:  # argparse
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception:
        traceback.print_exc()
        return 1


def _has(store: Store, key: str) -> bool:
    try:
        store.wait([key], GRACE)
    except RuntimeError:
        return False
    return True


@contextmanager
def _others() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError(
            f"another of the {dist.get_world_size()} processes ended, or did not answer within {TIMEOUT}: {error}"
        ) from error


def _gather(own: Any) -> list[Any]:
    every: list[Any] = [None] * dist.get_world_size()
    with _others():
        dist.all_gather_object(every, own)
    return every


def share_network(model: object) -> None:
    """Give every process the first one's parameters and buffers: training differs in rounding between machines."""
    if not (launched() and dist.is_initialized() and isinstance(model, nn.Module)):
        return
    tensors = list(chain(model.parameters(), model.buffers()))
    if len({str(shapes) for shapes in _gather([tuple(tensor.shape) for tensor in tensors])}) > 1:
        raise ValueError("model: the processes built networks of different shapes, needed is the same one in each")
    with torch.no_grad(), _others():
        for tensor in tensors:
            values = tensor.detach().contiguous()
            dist.broadcast(values, 0)
            tensor.copy_(values)
