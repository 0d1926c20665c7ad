"""python -m paper_checks: check the papers' claims, print the verdicts, exit 0 only if all is as recorded.

--from shows an earlier run again, from its JSON, in any of the other forms, and checks nothing.  --quick checks what
fits into half a minute, for a commit hook.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from paper_checks import outputs, quick, record, views
from paper_checks.registry import Claim, matches, missing_packages, printed_claims, select
from paper_checks.runner import Outcome, get_ready, run_claims
from paper_checks.views import Ledger


def main(argv: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(argv)
    try:
        _check(options, parser)
        plan = outputs.planned(options)
        if options.jobs > 1 and not (options.list or options.earlier):
            get_ready()
        earlier = _earlier(options.earlier, options.only) if options.earlier else None
        known = select(options.only) if earlier is None else []
    except ValueError as error:
        print(f"paper_checks: {error}", file=sys.stderr)
        return 2
    chosen = quick.chosen(known) if options.quick else known
    if options.list:
        return _list(chosen, known)
    data = earlier or _run(chosen, options)
    outputs.write(plan, data)
    _print(data)
    if plan:
        print(f"written: {', '.join(map(str, plan))}")
    _print_left_out(len(known) - len(chosen))
    if not options.only and earlier is None:
        _print_missing()
    return 1 if data["problems"] else 0


def _check(options: argparse.Namespace, parser: argparse.ArgumentParser) -> None:
    if options.jobs < 1:
        raise ValueError(f"--jobs={options.jobs}: needed is a number >= 1")
    if options.earlier:
        work = ("list", "quick", "record", "seed", "jobs")
        changed = [n for n in work if getattr(options, n) != parser.get_default(n)]
        if changed:
            raise ValueError(f"--{changed[0]} cannot go with --from, which checks nothing")
    elif options.quick and (options.only or options.errata):
        raise ValueError(f"--quick chooses the claims: it cannot go with --{'only' if options.only else 'errata'}")
    elif options.errata and not options.only:
        options.only = [f"{options.errata[0]}:*"]


def _earlier(path: Path, patterns: Sequence[str]) -> Ledger:
    """The ledger of an earlier run, or those claims of it that match."""
    data = views.read(path)
    for pattern in patterns:
        if not any(matches(row["id"], pattern) for row in data["claims"]):
            raise ValueError(f"no claim in {path} matches {pattern!r}")
    return views.restricted(data, lambda name: not patterns or any(matches(name, p) for p in patterns))


def _print(data: Ledger) -> None:
    Console(width=None if sys.stdout.isatty() else 110).print(views.as_table(data))
    for text in data["problems"].values():
        print(text, file=sys.stderr)
    ran = {row["id"] for row in data["claims"]}
    print(f"{len(ran)} of {len(ran | data['problems'].keys())} claims ran, {len(data['problems'])} problems")


def _run(chosen: Sequence[Claim], options: argparse.Namespace) -> Ledger:
    outcomes = _with_progress(chosen, options.seed, options.jobs)
    findings = {c.id: o.finding for c in chosen for o in outcomes if o.id == c.id and o.finding is not None}
    if options.record:
        record.write(findings)
        quick.add({o.id: o.seconds for o in outcomes if o.finding is not None})
    return views.ledger(chosen, outcomes, options.seed, _problems(outcomes, record.differences(findings)))


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


def _list(chosen: Sequence[Claim], known: Sequence[Claim]) -> int:
    for c in chosen:
        print(f"{c.id:38} {c.where:22} {c.statement}")
    print(f"{len(known)} claims have a check; {len(printed_claims())} are listed in claims.tsv and peers.tsv")
    _print_left_out(len(known) - len(chosen))
    _print_missing()
    return 0


def _print_left_out(count: int) -> None:
    if count:
        print(f"{count} claims were left out, as --quick does; without it all are checked")


def _print_missing() -> None:
    for package, names in missing_packages().items():
        print(f"{package} is not installed: {len(names)} claims about it were left out ({names[0]}, ...)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m paper_checks", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="GLOB", help="claims to check; * and ? are wild")
    parser.add_argument("--quick", action="store_true", help="check the claims that show most in half a minute")
    parser.add_argument("--list", action="store_true", help="list the claims that have a check, run none")
    parser.add_argument(
        "--from", type=Path, metavar="F", dest="earlier", help="show a ledger that --json wrote; check nothing"
    )
    outputs.add_options(parser)
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
