"""A letter to the authors of a paper: what was found not to hold as printed, why, and the smallest correction found."""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

from paper_checks.findings import VERDICTS
from paper_checks.report import templates
from paper_checks.report.relations import used_by
from paper_checks.statements import family

Row = dict[str, Any]


def as_markdown(ledger: dict[str, Any], paper: str) -> str:
    made = templates.markdown.get_template("errata.md.j2").render(**content(ledger, paper))
    return re.sub(r"\n\s*\n", "\n\n", made)


def as_latex(ledger: dict[str, Any], paper: str) -> str:
    return templates.latex.get_template("errata.tex.j2").render(**content(ledger, paper))


def content(ledger: dict[str, Any], paper: str) -> dict[str, Any]:
    """The entries by verdict; cases of one family that fail for the same reason share an entry."""
    rows = {row["id"]: row for row in ledger["claims"] if row["id"].startswith(f"{paper}:")}
    users = _places(ledger)
    return {
        "ledger": ledger,
        "paper": ledger["papers"][paper],
        "key": paper,
        "checked": len(rows),
        "tally": _tally([row["verdict"] for row in rows.values()]),
        "entries": {v: _entries([r for r in rows.values() if r["verdict"] == v], users) for v in VERDICTS[1:]},
    }


def _places(ledger: dict[str, Any]) -> dict[str, dict[str, str]]:
    """For each claim the families of claims that use it, and where these stand."""
    rows = {row["id"]: row for row in ledger["claims"]}
    found: dict[str, dict[str, str]] = {name: {} for name in rows}
    for name, users in used_by(rows).items():
        for user in users:
            short = ledger["papers"][user.partition(":")[0]]["short"]
            place = rows[user]["where"] if _paper(user) == _paper(name) else f"{short}, {rows[user]['where']}"
            found[name].setdefault(family(user)[0], place)
    return found


def _paper(claim: str) -> str:
    return claim.partition(":")[0]


def _tally(verdicts: list[str]) -> str:
    """How many hold, and how many do not."""
    forms = {
        "holds": ("holds", "hold"),
        "fails": ("is false", "are false"),
        "ill-posed": ("is not defined", "are not defined"),
        "depends": ("depends on its reading", "depend on their reading"),
    }
    counts = {verdict: verdicts.count(verdict) for verdict in VERDICTS}
    return ", ".join(f"{n} {forms[v][n != 1]}" for v, n in counts.items() if n)


def _entries(rows: list[Row], users: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    return [_entry(list(group), users) for _, group in groupby(rows, key=_same)]


def _same(row: Row) -> tuple[str, str, str | None]:
    return family(row["id"])[0], row["reason"], row["correction"]


def _entry(rows: list[Row], users: dict[str, dict[str, str]]) -> dict[str, Any]:
    where, cases = rows[0]["where"], [case for row in rows if (case := family(row["id"])[1])]
    affected = {user: place for row in rows for user, place in users[row["id"]].items()}
    return {
        **rows[0],
        "rows": rows,
        "title": where[0].upper() + where[1:] + (f": {', '.join(cases)}" if cases else ""),
        "cases": [row["case"] for row in rows if row["case"]],
        "affected": list(dict.fromkeys(affected.values())),
    }
