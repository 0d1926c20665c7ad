"""Views of a run: JSON first; the table, Markdown and JUnit XML are made from it."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any
from xml.etree import ElementTree

from rich.table import Table

from paper_checks.findings import Finding
from paper_checks.registry import Claim
from paper_checks.runner import Outcome

Row = dict[str, Any]
Ledger = dict[str, Any]

_COLOURS = {"holds": "green", "fails": "red", "ill-posed": "magenta", "depends": "yellow"}
_LIBRARIES = ("torch", "numpy", "scipy", "sympy", "scikit-learn", "python-flint", "linear_operator")


def ledger(claims: Sequence[Claim], outcomes: Iterable[Outcome], seed: int) -> Ledger:
    """The run as plain data; claims whose check did not run have no row."""
    found = {o.id: o for o in outcomes}
    rows = [_row(c, o, o.finding) for c in claims if (o := found[c.id]).finding is not None]
    versions = {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}
    package = f"msda_theory {version('msda_theory')}"
    return {"schema": 1, "package": package, "versions": versions, "seed": seed, "claims": rows}


def _row(claim: Claim, outcome: Outcome, finding: Finding) -> Row:
    corrected = finding.corrected
    return {
        "id": claim.id,
        "where": claim.where,
        "statement": claim.statement,
        "verdict": finding.verdict,
        "reason": finding.reason,
        "correction": corrected.statement if corrected else None,
        "corrected": {"verdict": corrected.verdict, "evidence": asdict(corrected.evidence)} if corrected else None,
        "evidence": asdict(finding.evidence),
        "fault": {"planted": claim.fault, "caught": outcome.caught},
        "seconds": round(outcome.seconds, 3),
    }


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


def as_junit(data: Ledger, problems: dict[str, str]) -> str:
    """JUnit XML: one test case a claim, a failure where `problems` names one."""
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
