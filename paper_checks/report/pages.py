"""The ledger as one HTML page, and as a LaTeX document."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path
from typing import Any

from markupsafe import Markup

from paper_checks.findings import KINDS, VERDICTS
from paper_checks.report import templates
from paper_checks.report.relations import used_by, weak_grounds

HERE = Path(__file__).parent


def as_html(ledger: dict[str, Any]) -> str:
    style, script = (Markup((HERE / f"page.{kind}").read_text(encoding="utf-8")) for kind in ("css", "js"))
    template = templates.html.get_template("page.html.j2")
    return template.render(**content(ledger), style=style, script=script, policy=_policy(style, script))


def as_latex(ledger: dict[str, Any]) -> str:
    return templates.latex.get_template("ledger.tex.j2").render(**content(ledger))


def content(ledger: dict[str, Any]) -> dict[str, Any]:
    """What the pages show: the ledger, its claims by paper, and their relations."""
    rows = {row["id"]: row for row in ledger["claims"]}
    papers = {
        key: {**paper, "key": key, "claims": claims}
        for key, paper in ledger["papers"].items()
        if (claims := [row for row in rows.values() if row["id"].startswith(f"{key}:")])
    }
    return {
        "ledger": ledger,
        "rows": rows,
        "papers": papers,
        "verdicts": {v: sum(row["verdict"] == v for row in rows.values()) for v in VERDICTS},
        "kinds": {k: n for k in KINDS if (n := sum(row["evidence"]["kind"] == k for row in rows.values()))},
        "caught": sum(row["fault"]["caught"] for row in rows.values()),
        "used_by": used_by(rows),
        "weak": {name: weak_grounds(name, rows) for name in rows},
    }


def _policy(style: str, script: str) -> str:
    """A Content-Security-Policy under which the page can request nothing and run its own script alone."""
    return f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'"


def _hash(source: str) -> str:
    return f"'sha256-{b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
