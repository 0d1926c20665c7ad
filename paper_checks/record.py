"""The recorded verdicts, `verdicts.toml`: written by --record, reviewed in the diff, held against every run."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from paper_checks.findings import Finding
from paper_checks.registry import printed_claims
from verify.files import write_atomically

PATH = Path(__file__).parent / "verdicts.toml"


def summary(finding: Finding) -> dict[str, str]:
    """What is recorded of a finding."""
    corrected = {"corrected": finding.corrected.verdict} if finding.corrected else {}
    return {"verdict": finding.verdict, **corrected, "evidence": finding.evidence.kind}


def read(path: Path = PATH) -> dict[str, dict[str, str]]:
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(findings: Mapping[str, Finding], path: Path = PATH) -> None:
    """Replace the entries of these claims, keep the others."""
    entries = {**read(path), **{name: summary(f) for name, f in findings.items()}}
    blocks = [_block(name, entries[name]) for name in printed_claims() if name in entries]
    header = "# Written by `python -m paper_checks --record`; a change here is a change of a verdict: review it.\n"
    write_atomically(path, "\n".join([header, *blocks]))


def differences(findings: Mapping[str, Finding], path: Path = PATH) -> list[str]:
    """Where a run and the record disagree, one line each."""
    recorded = read(path)
    return [
        f"{name}: recorded {_words(recorded.get(name))}, found {_words(summary(finding))}"
        for name, finding in findings.items()
        if recorded.get(name) != summary(finding)
    ]


def _words(entry: Mapping[str, str] | None) -> str:
    return "nothing" if entry is None else ", ".join(f"{k} {v}" for k, v in entry.items())


def _block(name: str, entry: Mapping[str, str]) -> str:
    lines: Iterable[str] = (f'{key} = "{value}"' for key, value in entry.items())
    return "\n".join([f'["{name}"]', *lines, ""])
