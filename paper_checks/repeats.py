"""`python -m paper_checks.repeats --seeds N --out F`: do the checks find the recorded verdicts at other seeds too?

Each check is run honestly at N seeds that it was not written with; a run that fails, or finds anything but the recorded
verdict, correction and kind of evidence, is a false alarm.  A check that never asks for its seed would do the same
every time, and is run once: its first run tells.  The planted fault of the quick ones is tried again at a few seeds.

F keeps what is done, and the same command goes on from there.  Exit code 1 where there was an alarm, 130 where the run
was stopped.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from paper_checks import quick, record, runner
from paper_checks.findings import Trial
from paper_checks.registry import Claim, claims, select
from paper_checks.repeats_report import as_markdown
from paper_checks.repeats_state import Repeats, Run, read, write
from verify.files import require_writable, write_atomically

#: a check that trains several networks takes seed, seed + 1, ...: the seeds are so far apart that no draw is repeated
FIRST, APART = 1000, 10_000
#: seeds at which the fault is planted again, for claims that take at most so many seconds, both runs
FAULTY, CHEAP = 5, 2.0
SAVE_EVERY = 10.0


@dataclass(frozen=True)
class Watched(Trial):
    """A trial that knows whether it was asked for its seed.

    Until then its check cannot know which seed it has: one that does not ask does the same at every seed.
    """

    looks: list[None] = field(default_factory=list, compare=False, repr=False)

    def __getattribute__(self, name: str) -> Any:
        if name == "seed":
            self.looks.append(None)
        return object.__getattribute__(self, name)


@dataclass(frozen=True)
class Task:
    """One run: the check of a claim, at the seed with this index."""

    claim: str
    index: int
    faulty: bool = False

    @property
    def seed(self) -> int:
        return FIRST + APART * self.index


def attempt(task: Task) -> Run:
    """Run the check; `seconds` are those of the processor."""
    claims()  # imports all checks, which is no part of this one's time
    trial, start = Watched(task.seed, task.faulty), time.process_time()
    try:
        finding = runner.check(task.claim, trial)
    except Exception:
        alarm = traceback.format_exc()
    else:
        if task.faulty:
            alarm = "the planted fault was not caught" if finding.established else ""
        else:
            alarm = "; ".join(record.differences({task.claim: finding}))
    seconds = time.process_time() - start
    return Run(task.claim, task.index, task.seed, task.faulty, bool(trial.looks), seconds, alarm)


def attempt_all(tasks: Sequence[Task]) -> list[Run]:
    """Runs at one seed, whose checks share what they train; then the caches that are kept by seed are emptied."""
    try:
        return [attempt(task) for task in tasks]
    finally:
        _forget()


def _forget() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith(("paper_checks.", "verify.")):
            for kept in vars(module).values():
                if hasattr(kept, "cache_clear") and "seed" in kept.__wrapped__.__annotations__:
                    kept.cache_clear()


def first_runs(chosen: Sequence[Claim], repeats: Repeats) -> list[list[Task]]:
    """A run of every claim that has none, each by itself, cheapest first."""
    return [[Task(name, 0)] for name in _cheapest_first(chosen) if not repeats.of(name).honest]


def further_runs(chosen: Sequence[Claim], repeats: Repeats, seeds: int) -> list[list[Task]]:
    """The other runs of those that ask for their seed: seed by seed, at each the cheapest first."""
    asking = {name: seconds for name, seconds in _cheapest_first(chosen).items() if repeats.of(name).asks}
    found = []
    for k in range(seeds):
        honest = [Task(name, k) for name in asking if k not in repeats.of(name).honest]
        cheap = [name for name, seconds in asking.items() if seconds <= CHEAP and k < FAULTY]
        faulty = [Task(name, k, faulty=True) for name in cheap if k not in repeats.of(name).faulty]
        found.append(honest + faulty)
    return [tasks for tasks in found if tasks]


def _cheapest_first(chosen: Sequence[Claim]) -> dict[str, float]:
    """The claims with what both runs are recorded to take; those of which nothing is recorded last."""
    known = quick.read()
    seconds = {c.id: known.get(c.id, math.inf) for c in chosen}
    return dict(sorted(seconds.items(), key=lambda item: item[1]))


def run(tasks: Sequence[Sequence[Task]], repeats: Repeats, path: Path, jobs: int, progress: Progress) -> None:
    """Run the tasks and keep what comes of them: an alarm at once, the rest every few seconds and at the end."""
    bar, saved = progress.add_task("runs", total=sum(map(len, tasks))), time.monotonic()
    try:
        for done in _attempts(tasks, jobs):
            repeats.add(done)
            progress.update(bar, advance=1, description=done.claim.replace("[", r"\["))
            if done.alarm:
                print(f"{done.claim}, seed {done.seed}: {done.alarm}", file=sys.stderr, flush=True)
            if done.alarm or time.monotonic() - saved > SAVE_EVERY:
                write(path, repeats)
                saved = time.monotonic()
    finally:
        write(path, repeats)


def _attempts(tasks: Sequence[Sequence[Task]], jobs: int) -> Iterator[Run]:
    if jobs == 1:
        yield from chain.from_iterable(map(attempt_all, tasks))
        return
    with runner.workers(jobs) as pool:
        for future in as_completed([pool.submit(attempt_all, some) for some in tasks]):
            yield from future.result()


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        for name in ("seeds", "jobs"):
            if getattr(options, name) < 1:
                raise ValueError(f"--{name}={getattr(options, name)}: needed is a number >= 1")
        chosen = select(options.only)
        for name in ("out", "markdown"):
            if path := getattr(options, name):
                require_writable(path, f"--{name}")
        repeats = read(options.out)
    except ValueError as error:
        print(f"paper_checks.repeats: {error}", file=sys.stderr)
        return 2
    console = Console(stderr=True)
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            run(first_runs(chosen, repeats), repeats, options.out, options.jobs, progress)
            run(further_runs(chosen, repeats, options.seeds), repeats, options.out, options.jobs, progress)
    except KeyboardInterrupt:
        print(f"stopped; {options.out} has what is done, and the same command goes on from there", file=sys.stderr)
        return 130
    if options.markdown:
        write_atomically(options.markdown, as_markdown(repeats))
    alarms = sum(len(done.alarms) for done in repeats.claims.values())
    print(f"{sum(len(done.honest) for done in repeats.claims.values())} runs, {alarms} alarms")
    return 1 if alarms else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m paper_checks.repeats", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, metavar="N", help="runs of each check (default 200)")
    parser.add_argument("--out", type=Path, required=True, metavar="F", help="the runs as JSON, kept and gone on from")
    parser.add_argument("--markdown", type=Path, metavar="F", help="write the report")
    parser.add_argument("--only", nargs="+", default=[], metavar="GLOB", help="claims to check; * and ? are wild")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes side by side")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what is done is kept, the workers end too
    sys.exit(main())
