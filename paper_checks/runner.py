"""Running checks: each claim twice, honestly and with its fault planted."""

from __future__ import annotations

import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context

import torch

from msda_theory import ZeroHessianNotice
from paper_checks.findings import Finding, Trial
from paper_checks.registry import Claim, claims


@dataclass(frozen=True)
class Outcome:
    """What came of a claim: its finding and whether its fault was caught, or the traceback of a check that failed."""

    id: str
    finding: Finding | None
    caught: bool
    seconds: float
    error: str = ""


def run_claim(name: str, seed: int) -> Outcome:
    """Check one claim, then check it again with the fault planted.

    The fault is caught where the honest check establishes a true statement and the faulty one, run to its end, does
    not.  A fault that crashes the check is not caught: then the check did not look.
    """
    check, start = claims()[name].check, time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ZeroHessianNotice)  # of ReLU networks that a claim is about
            finding = check(Trial(seed))
            faulty = check(Trial(seed, faulty=True))
    except Exception:
        return Outcome(name, None, False, time.perf_counter() - start, traceback.format_exc())
    return Outcome(name, finding, finding.established and not faulty.established, time.perf_counter() - start)


def run_claims(selected: Sequence[Claim], seed: int, jobs: int) -> Iterator[Outcome]:
    """Outcomes as they finish, `jobs` processes side by side, one torch thread each: more would wait for each other."""
    if jobs == 1:
        yield from (run_claim(c.id, seed) for c in selected)
        return
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        futures = [pool.submit(run_claim, c.id, seed) for c in selected]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)
