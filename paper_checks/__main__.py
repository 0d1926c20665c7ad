"""python -m paper_checks: check the papers' claims, print the verdicts, exit 0 only if all is as recorded."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from msda_theory import ZeroHessianNotice
from paper_checks import record, views
from paper_checks.registry import Claim, missing_packages, printed_claims, select
from paper_checks.runner import Outcome, run_claims
from verify.files import require_writable, write_atomically

FILES = ("json", "junit", "markdown")


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    warnings.simplefilter("ignore", ZeroHessianNotice)
    try:
        chosen = select(options.only)
        for name in FILES:
            if (path := getattr(options, name)) is not None:
                require_writable(path, f"--{name}")
        if options.jobs < 1:
            raise ValueError(f"--jobs={options.jobs}: needed is a number >= 1")
    except ValueError as error:
        print(f"paper_checks: {error}", file=sys.stderr)
        return 2
    if options.list:
        return _list(chosen)
    return _run(chosen, options)


def _run(chosen: Sequence[Claim], options: argparse.Namespace) -> int:
    outcomes = _with_progress(chosen, options.seed, options.jobs)
    data = views.ledger(chosen, outcomes, options.seed)
    findings = {c.id: o.finding for c in chosen for o in outcomes if o.id == c.id and o.finding is not None}
    if options.record:
        record.write(findings)
    problems = _problems(outcomes, record.differences(findings))
    contents = {
        "json": lambda: views.as_json(data),
        "junit": lambda: views.as_junit(data, problems),
        "markdown": lambda: views.as_markdown(data),
    }
    for name in FILES:
        if (path := getattr(options, name)) is not None:
            write_atomically(path, contents[name]())
    Console(width=None if sys.stdout.isatty() else 110).print(views.as_table(data))
    for text in problems.values():
        print(text, file=sys.stderr)
    print(f"{len(findings)} of {len(chosen)} claims ran, {len(problems)} problems")
    if not options.only:
        _print_missing()
    return 1 if problems else 0


def _with_progress(chosen: Sequence[Claim], seed: int, jobs: int) -> list[Outcome]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    outcomes = []
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("claims", total=len(chosen))
        for outcome in run_claims(chosen, seed, jobs):
            outcomes.append(outcome)
            progress.update(task, advance=1, description=outcome.id.replace("[", r"\["))
    return outcomes


def _problems(outcomes: Sequence[Outcome], differences: Sequence[str]) -> dict[str, str]:
    problems = {o.id: f"{o.id}: the check did not run\n{o.error}" for o in outcomes if o.finding is None}
    for o in outcomes:
        if o.finding is not None and not o.caught:
            problems[o.id] = f"{o.id}: the planted fault was not caught"
    return problems | {line.split(": ")[0]: line for line in differences}


def _list(chosen: Sequence[Claim]) -> int:
    for c in chosen:
        print(f"{c.id:38} {c.where:22} {c.statement}")
    print(f"{len(chosen)} claims have a check; {len(printed_claims())} are listed in claims.tsv and peers.tsv")
    _print_missing()
    return 0


def _print_missing() -> None:
    for package, names in missing_packages().items():
        print(f"{package} is not installed: {len(names)} claims about it were left out ({names[0]}, ...)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m paper_checks", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="GLOB", help="claims to check; * and ? are wild")
    parser.add_argument("--list", action="store_true", help="list the claims that have a check, run none")
    for name in FILES:
        parser.add_argument(f"--{name}", type=Path, metavar="F", help=f"write the ledger as {name}")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of all randomness (default 0)")
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes side by side (default: one a core)",
    )
    parser.add_argument("--record", action="store_true", help="write the verdicts found to verdicts.toml")
    return parser


if __name__ == "__main__":
    sys.exit(main())
