"""Audit reports as Markdown, with the command that makes them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msda_theory.audit import AuditReport


def markdown(reports: Sequence[AuditReport], command: str, versions: Mapping[str, str], picture: str | None) -> str:
    """One file for all reports: findings and theorems of each, and the picture if one was drawn."""
    names = ", ".join(report.name for report in reports)
    lines = [f"# Audit of {names}", "", "Written by", "", "```sh", command, "```", ""]
    lines += ["with " + ", ".join(f"{name} {version}" for name, version in versions.items()) + ".", ""]
    lines += [
        "M is the share of the first sample (lambda 1 for Mixup), w the weight of its label, a_jk = E[(1-M_j)(1-M_k)]. "
        "The masks were recovered from the outputs for indicator batches; nothing was read from the code.",
    ]
    if picture is not None:
        lines += ["", f"![mean masks and second moments]({picture})"]
    for report in reports:
        lines += ["", *_section(report)]
    return "\n".join(lines) + "\n"


def _section(report: AuditReport) -> list[str]:
    size = " x ".join(map(str, report.shape))
    found = [(line.topic, line.answer) for line in report.lines] + [("note", note) for note in report.notes]
    theory = [(h.theorem, f"**{h.verdict}**", h.reason) for h in report.hypotheses]
    lines = [
        f"## {report.name}",
        "",
        f"{report.draws} draws of {report.batch} images {size}, seed {report.seed}; all bounds hold at once, except "
        f"with probability {report.false_alarm:g}.",
        "",
        *_table(("", "found"), found),
        "",
        *_table(("theorem", "its hypotheses", "why"), theory),
        "",
        f"Expansion of the loss: {report.expansion}.",
    ]
    return lines


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in cells]
