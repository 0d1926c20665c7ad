"""Running checks: each claim twice, honestly and with its fault planted."""

from __future__ import annotations

import math
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context, set_forkserver_preload
from multiprocessing.forkserver import ensure_running

import torch

from msda_theory import ZeroHessianNotice
from paper_checks import quick
from paper_checks.findings import Finding, Trial
from paper_checks.registry import Claim, claims

#: how processes are started: by a fork of one that has imported everything and computed nothing, where there is such
START = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
#: a file of checks, and another that trains the same networks
SHARED = {"paper_checks.park2022.fig1": "paper_checks.zhang2021.fig2"}


@dataclass(frozen=True)
class Outcome:
    """What came of a claim: its finding and whether its fault was caught, or the traceback of a check that failed.

    `seconds` are those of the processor, for both runs: the same on a busy machine.
    """

    id: str
    finding: Finding | None
    caught: bool
    seconds: float
    error: str = ""


def check(name: str, trial: Trial) -> Finding:
    """One run of a claim's check."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ZeroHessianNotice)  # of ReLU networks that a claim is about
        return claims()[name].check(trial)


def run_claim(name: str, seed: int) -> Outcome:
    """Check one claim, then check it again with the fault planted.

    The fault is caught where the honest check establishes a true statement and the faulty one, run to its end, does
    not.  A fault that crashes the check is not caught: then the check did not look.
    """
    claims()  # imports all checks, which is no part of this one's time
    start = time.process_time()
    try:
        finding = check(name, Trial(seed))
        faulty = check(name, Trial(seed, faulty=True))
    except Exception:
        return Outcome(name, None, False, time.process_time() - start, traceback.format_exc())
    return Outcome(name, finding, finding.established and not faulty.established, time.process_time() - start)


def run_claims(selected: Sequence[Claim], seed: int, jobs: int) -> Iterator[Outcome]:
    """Outcomes as they finish, from `jobs` processes side by side."""
    if jobs == 1:
        yield from (run_claim(c.id, seed) for c in selected)
        return
    with workers(jobs) as pool:
        for future in as_completed([pool.submit(_run_group, group, seed) for group in _groups(selected)]):
            yield from future.result()


def _run_group(names: Sequence[str], seed: int) -> list[Outcome]:
    return [run_claim(name, seed) for name in names]


def _groups(selected: Sequence[Claim]) -> list[list[str]]:
    """Claims that go to one process, since checks in one file share what they compute, those that take longest first: a
    long one that is begun last keeps one process busy while the others wait.
    """
    groups = defaultdict(list)
    for c in selected:
        groups[SHARED.get(c.module, c.module)].append(c.id)
    seconds = quick.read()
    return sorted(groups.values(), key=lambda names: -sum(seconds.get(name, math.inf) for name in names))


def get_ready() -> None:
    """Begin to import what `workers` need, once for all of them, while this process does other things."""
    if START == "forkserver":
        set_forkserver_preload([f"{__package__}.checks"])
        ensure_running()


@contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes with one torch thread each: more would wait for each other.  Leaving drops what has not begun."""
    with ProcessPoolExecutor(
        jobs, mp_context=get_context(START), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
