"""What each claim says, in LaTeX (statements.toml), and the works that the claims stand in (papers.toml)."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Statement:
    """Text with $...$ and $$...$$; `case` says of a claim of a family, name[case], which case it is."""

    latex: str
    case: str | None = None


def family(claim: str) -> tuple[str, str | None]:
    """The family of a claim and its case: park2022:thm1[mixup] is ("park2022:thm1", "mixup")."""
    name, _, case = claim.partition("[")
    return name, case.removesuffix("]") or None


def statement(claim: str) -> Statement:
    """KeyError where statements.toml has none for the claim."""
    name, case = family(claim)
    paper, _, short = name.partition(":")
    return Statement(tables()[paper][short].strip(), None if case is None else tables()["cases"][case])


@cache
def tables() -> dict[str, dict[str, str]]:
    """statements.toml: [cases], and a table a paper."""
    return tomllib.loads((HERE / "statements.toml").read_text(encoding="utf-8"))


@cache
def papers() -> dict[str, dict[str, str]]:
    """papers.toml: short, title, authors and venue of each paper."""
    return tomllib.loads((HERE / "papers.toml").read_text(encoding="utf-8"))


def formulas(latex: str) -> list[str]:
    """The formulas of a text, without their dollar signs."""
    return [inline or display for display, inline in re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", latex, flags=re.DOTALL)]
