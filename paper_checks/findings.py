"""What a check of a claim returns: a verdict, its evidence, and the corrected statement where it does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

HOLDS, FAILS, ILL_POSED, DEPENDS = VERDICTS = ("holds", "fails", "ill-posed", "depends")
KINDS = ("symbolic", "exact", "enclosure", "deterministic", "statistical", "empirical")


@dataclass(frozen=True)
class Evidence:
    """The kind of evidence and its figures: numbers and short strings, ready for JSON."""

    kind: str
    figures: dict[str, Any]

    def __post_init__(self) -> None:
        if self.kind not in KINDS or not self.figures:
            raise ValueError(f"kind={self.kind!r}, figures={self.figures!r}: needed is one of {KINDS} and some figures")


@dataclass(frozen=True)
class Corrected:
    """The smallest correction that holds, and what its own check found."""

    statement: str
    verdict: str
    evidence: Evidence


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.  `corrected` is given for whatever does not hold as printed."""

    verdict: str
    reason: str
    evidence: Evidence
    corrected: Corrected | None = None

    @property
    def established(self) -> bool:
        """True where the check ends on a true statement: the printed one, both of its readings, or its correction."""
        return self.verdict in (HOLDS, DEPENDS) or (self.corrected is not None and self.corrected.verdict == HOLDS)


@dataclass(frozen=True)
class Trial:
    """How a check is run: the seed of its randomness, and whether its fault is planted."""

    seed: int = 0
    faulty: bool = False

    def plant(self, right: T, wrong: T) -> T:
        """The right formula, or the planted fault."""
        return wrong if self.faulty else right


def verdict_of(holds: bool) -> str:
    return HOLDS if holds else FAILS
