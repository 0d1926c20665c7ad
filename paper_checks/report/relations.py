"""How the claims of a ledger bear on each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Rows = Mapping[str, Mapping[str, Any]]


def used_by(rows: Rows) -> dict[str, list[str]]:
    """For each claim the claims of the ledger that rest on it directly."""
    return {name: [other for other, row in rows.items() if name in row["rests_on"]] for name in rows}


def weak_grounds(name: str, rows: Rows) -> list[str]:
    """What a claim rests on, directly or through others, that fails or is ill-posed as printed."""
    return [used for used in dict.fromkeys(_grounds(name, rows)) if rows[used]["verdict"] in ("fails", "ill-posed")]


def _grounds(name: str, rows: Rows) -> Iterator[str]:
    for used in rows[name]["rests_on"]:
        if used in rows:
            yield used
            yield from _grounds(used, rows)
