"""The tables that the papers print, as data: verify/printed/PAPER.toml."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "printed"


@dataclass(frozen=True)
class PrintedTable:
    """Numbers by row and column, None where the table has none; `note` is about the reading."""

    caption: str
    unit: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[float | None, ...]]
    note: str = ""

    def value(self, row: str, column: str) -> float:
        """KeyError, ValueError where there is none."""
        found = self.rows[row][self.columns.index(column)]
        if found is None:
            raise ValueError(f"the table has no number at {row!r}, {column!r}")
        return found


def printed_table(paper: str, name: str) -> PrintedTable:
    """Of "park2022", "table2", say; KeyError where verify/printed has none."""
    table = _tables(paper)[name]
    columns = tuple(table["columns"])
    rows = {row: tuple(None if math.isnan(v) else float(v) for v in values) for row, values in table["rows"].items()}
    wrong = [row for row, values in rows.items() if len(values) != len(columns)]
    if wrong:
        raise ValueError(f"{paper}.toml, {name}, row {wrong[0]!r}: needed are {len(columns)} numbers, nan for none")
    return PrintedTable(table["caption"], table["unit"], columns, rows, table.get("note", ""))


@cache
def _tables(paper: str) -> dict[str, dict[str, Any]]:
    return tomllib.loads((FOLDER / f"{paper}.toml").read_text(encoding="utf-8"))
