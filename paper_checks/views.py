"""The ledger of a run, and its plain views: table, Markdown and JUnit XML.  The report's pages are in `report`."""

from __future__ import annotations

import inspect
import io
import json
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

from paper_checks import counterexamples
from paper_checks.dependencies import dependencies
from paper_checks.findings import Finding
from paper_checks.registry import Claim, printed_claims
from paper_checks.runner import Outcome
from paper_checks.statements import papers, statement

Row = dict[str, Any]
Ledger = dict[str, Any]

_COLOURS = {"holds": "green", "fails": "red", "ill-posed": "magenta", "depends": "yellow"}
#: columns of a picture, at most
WIDEST = 200
_LIBRARIES = ("torch", "numpy", "scipy", "sympy", "scikit-learn", "python-flint", "linear_operator")


def ledger(claims: Sequence[Claim], outcomes: Iterable[Outcome], seed: int, problems: Mapping[str, str]) -> Ledger:
    """The run as plain data, with all that a view needs; claims whose check did not run have a problem, and no row."""
    found = {o.id: o for o in outcomes}
    return {
        "schema": 1,
        "package": f"msda_theory {version('msda_theory')}",
        "versions": versions(),
        "seed": seed,
        "papers": papers(),
        "listed": len(printed_claims()),
        "problems": dict(problems),
        "claims": [_row(c, o, o.finding) for c in claims if (o := found[c.id]).finding is not None],
    }


def versions() -> dict[str, str]:
    """Python and the libraries that verdicts are computed with."""
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def _row(claim: Claim, outcome: Outcome, finding: Finding) -> Row:
    corrected, printed = finding.corrected, statement(claim.id)
    return {
        "id": claim.id,
        "where": claim.where,
        "statement": claim.statement,
        "latex": printed.latex,
        "case": printed.case,
        "verdict": finding.verdict,
        "reason": finding.reason,
        "correction": corrected.statement if corrected else None,
        "corrected": {"verdict": corrected.verdict, "evidence": asdict(corrected.evidence)} if corrected else None,
        "evidence": asdict(finding.evidence),
        "counterexample": _counterexample(claim.id),
        "fault": {"planted": claim.fault, "caught": outcome.caught},
        "rests_on": list(dependencies()[claim.id]),
        "check": _place(claim.check),
        "seconds": round(outcome.seconds, 3),
    }


def _counterexample(claim: str) -> dict[str, Any] | None:
    try:
        return counterexamples.load(claim)
    except FileNotFoundError:
        return None


def _place(check: Callable[..., Any]) -> dict[str, str | int]:
    """The file of a check, from the root of the checkout, and its line."""
    function = inspect.unwrap(getattr(check, "func", check))
    file = Path(inspect.getfile(function)).relative_to(Path(__file__).parents[1])
    return {"file": file.as_posix(), "line": function.__code__.co_firstlineno}


def read(path: Path) -> Ledger:
    """A ledger that --json wrote.  Raises ValueError where the file is none, or was written by an older version."""
    try:
        data: Ledger = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"--from={path} cannot be read ({error}): needed is a ledger that --json wrote") from error
    if not isinstance(data, dict) or not {"schema", "claims", "papers", "problems"} <= data.keys():
        raise ValueError(f"--from={path} is no ledger of this version: needed is one that --json writes now")
    return data


def restricted(data: Ledger, wanted: Callable[[str], bool]) -> Ledger:
    """The part of a ledger that is about the wanted claims."""
    problems = {name: text for name, text in data["problems"].items() if wanted(name)}
    return {**data, "problems": problems, "claims": [row for row in data["claims"] if wanted(row["id"])]}


def as_json(data: Ledger) -> str:
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_table(data: Ledger) -> Table:
    """The closing table: id, verdict, corrected, evidence, fault caught, seconds."""
    table = Table(title=f"{len(data['claims'])} claims", title_justify="left")
    table.add_column("claim", no_wrap=True)
    for name in ("verdict", "corrected", "evidence", "fault"):
        table.add_column(name, no_wrap=True)
    table.add_column("s", justify="right")
    for row in data["claims"]:
        colour, caught = _COLOURS[row["verdict"]], row["fault"]["caught"]
        table.add_row(
            row["id"].replace("[", r"\["),
            f"[{colour}]{row['verdict']}[/]",
            row["corrected"]["verdict"] if row["corrected"] else "",
            row["evidence"]["kind"],
            "caught" if caught else "[red]NOT caught[/]",
            f"{row['seconds']:.1f}",
        )
    return table


def as_svg(data: Ledger) -> str:
    """A picture of the table, as a terminal shows it."""
    table = as_table(data)
    console = Console(file=io.StringIO(), record=True, width=WIDEST, force_jupyter=False)
    console.width = console.measure(table).maximum
    console.print(table)
    return console.export_svg(title="python -m paper_checks", unique_id="verdicts")


def as_markdown(data: Ledger) -> str:
    """A table, and below it each claim with its reason, correction and figures."""
    lines = ["| claim | where | verdict | corrected | evidence | fault |", "|---|---|---|---|---|---|"]
    for row in data["claims"]:
        corrected = row["corrected"]["verdict"] if row["corrected"] else ""
        caught = "caught" if row["fault"]["caught"] else "**not caught**"
        cells = (row["id"], row["where"], f"**{row['verdict']}**", corrected, row["evidence"]["kind"], caught)
        lines.append("| " + " | ".join(cells) + " |")
    for row in data["claims"]:
        lines += ["", f"### {row['id']}", "", f"{row['statement']}. **{row['verdict']}**: {row['reason']}"]
        if row["correction"]:
            lines += ["", f"Corrected: {row['correction']}"]
        figures = "; ".join(f"{k} {v}" for k, v in row["evidence"]["figures"].items())
        lines += [
            "",
            f"Evidence ({row['evidence']['kind']}): {figures}",
            "",
            f"Planted fault: {row['fault']['planted']}",
        ]
    return "\n".join(lines) + "\n"


def as_junit(data: Ledger) -> str:
    """JUnit XML: one test case a claim, a failure where it has a problem."""
    problems = data["problems"]
    names = list(dict.fromkeys([*(row["id"] for row in data["claims"]), *problems]))
    seconds = {row["id"]: row["seconds"] for row in data["claims"]}
    suite = ElementTree.Element(
        "testsuite", name="paper_checks", tests=str(len(names)), failures=str(len(problems)), errors="0"
    )
    for name in names:
        paper, _, rest = name.partition(":")
        case = ElementTree.SubElement(suite, "testcase", classname=paper, name=rest, time=str(seconds.get(name, 0)))
        if name in problems:
            failure = ElementTree.SubElement(case, "failure", message=problems[name].splitlines()[-1])
            failure.text = problems[name]
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
